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
  var hexadecimal: String { unsafe withUnsafeBytes(of: self) { unsafe String(hexadecimal: $0) } }
}

extension String {
  /// Two hexadecimal digits for each byte.
  package init(hexadecimal bytes: UnsafeRawBufferPointer) {
    unsafe self.init(unsafeUninitializedCapacity: bytes.count * 2) { text in
      for index in 0..<bytes.count {
        let byte = unsafe bytes[index]
        unsafe text[index &* 2] = String.hexadecimalDigit(byte &>> 4)
        unsafe text[index &* 2 &+ 1] = String.hexadecimalDigit(byte & 15)
      }
      return bytes.count * 2
    }
  }

  private static func hexadecimalDigit(_ value: UInt8) -> UInt8 {
    value &+ (value < 10 ? UInt8(ascii: "0") : UInt8(ascii: "a") &- 10)
  }
}
