internal import CSystemd

/// The 128-bit ids of systemd: machine, boot, invocation (sd-id128(3)).
public enum Id128 {
  /// This machine's id, from /etc/machine-id: 32 hexadecimal digits.
  public static func machine() throws(SystemError) -> String {
    var id = sd_id128_t()
    try SystemError.check(unsafe sd_id128_get_machine(&id), "read the machine id", path: "/etc/machine-id")
    return id.hexadecimal
  }

  /// This boot's id: 32 hexadecimal digits. A soft reboot does not change it.
  public static func boot() throws(SystemError) -> String {
    var id = sd_id128_t()
    try SystemError.check(unsafe sd_id128_get_boot(&id), "read the boot id")
    return id.hexadecimal
  }
}

extension sd_id128_t {
  var hexadecimal: String {
    let digits = Array("0123456789abcdef".utf8)
    var text: [UInt8] = []
    text.reserveCapacity(32)
    unsafe withUnsafeBytes(of: self) { bytes in
      for index in 0..<bytes.count {
        let byte = unsafe bytes[index]
        text.append(digits[Int(byte >> 4)])
        text.append(digits[Int(byte & 15)])
      }
    }
    return String(decoding: text, as: UTF8.self)
  }
}
