internal import Glibc

/// The name of this machine, as in journald's field _HOSTNAME (gethostname(2)).
package func hostName() -> String? {
  var buffer = [CChar](repeating: 0, count: 256)
  guard unsafe gethostname(&buffer, buffer.count - 1) == 0 else { return nil }
  return String(decoding: buffer.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
}
