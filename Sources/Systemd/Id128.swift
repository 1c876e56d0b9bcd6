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
    unsafe withUnsafeBytes(of: self) { bytes in
      unsafe String(unsafeUninitializedCapacity: 32) { text in
        for index in 0..<32 {
          let byte = unsafe bytes[index / 2]
          let digit = index % 2 == 0 ? byte >> 4 : byte & 15
          unsafe text[index] = digit < 10 ? UInt8(ascii: "0") + digit : UInt8(ascii: "a") + digit - 10
        }
        return 32
      }
    }
  }
}
