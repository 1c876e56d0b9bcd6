internal import Glibc

/// A failed call of the C library, the kernel or libsystemd.
///
/// libsystemd returns negative errno values, the C library sets `errno`: both end here, so that every failure is told the
/// same way.
public struct SystemError: Error, Equatable, Sendable, CustomStringConvertible {
  /// The errno value, positive.
  public let code: CInt
  /// What was tried, in words or by the name of the C function.
  public let operation: String
  /// The file, unit or other object that it was tried on.
  public let path: String?

  /// Describes a failure with a known errno value, given positive or negative.
  public init(code: CInt, operation: String, path: String? = nil) {
    self.code = code.magnitude > CInt.max ? CInt.max : CInt(code.magnitude)
    self.operation = operation
    self.path = path
  }

  /// Describes the failure that the calling thread's `errno` tells.
  public static func last(_ operation: String, path: String? = nil) -> SystemError {
    SystemError(code: errno, operation: operation, path: path)
  }

  /// strerror's text for the code.
  public var reason: String {
    unsafe String(cString: strerror(code))
  }

  public var description: String {
    if let path { "\(operation) \(path): \(reason)" } else { "\(operation): \(reason)" }
  }

  /// Passes on the result of a libsystemd call, or throws when it is a negative errno value.
  @discardableResult
  static func check(
    _ result: CInt, _ operation: @autoclosure () -> String, path: String? = nil
  ) throws(SystemError) -> CInt {
    guard result >= 0 else { throw SystemError(code: result, operation: operation(), path: path) }
    return result
  }
}
