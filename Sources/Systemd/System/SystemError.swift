public import Glibc

/// A system call or a call of libsystemd that failed: the operation, its object and the `errno`.
///
/// This is the one place where an `errno` becomes an error.
public struct SystemError: Error, Hashable, Sendable {
  /// The `errno` value, positive; 0 where there is none. Then `operation` alone describes the error.
  public let code: Int32
  /// What was attempted, in words or as the name of the call: "open", "start the scope".
  public let operation: String
  /// The file or other object of the operation.
  public let path: String?

  /// Makes an error from the `errno` of the call that has just failed, or from a given code.
  ///
  /// - Parameter code: positive as in `errno`, or negative as libsystemd returns it.
  public init(_ operation: String, path: String? = nil, code: Int32 = errno) {
    self.operation = operation
    self.path = path
    self.code = code < 0 ? 0 &- code : code
  }

  /// Returns the result of a call of libsystemd, or throws what its negative result means.
  @discardableResult
  public static func check(_ result: Int32, _ operation: String, path: String? = nil) throws(SystemError) -> Int32 {
    if result < 0 { throw SystemError(operation, path: path, code: result) }
    return result
  }

  /// Returns the result of a system call, or throws what `errno` means if the result is -1.
  @discardableResult
  public static func checkErrno(_ result: Int32, _ operation: String, path: String? = nil) throws(SystemError) -> Int32
  {
    if result == -1 { throw SystemError(operation, path: path) }
    return result
  }
}

extension SystemError {
  /// Whether an `errno` is due to the state of the system and not to the file or the call, so that the same call may succeed a
  /// moment later.
  public static func isTemporary(_ code: Int32) -> Bool {
    [EIO, ENOLCK, ESTALE, EINTR, ENOMEM, EMFILE, ENFILE, EAGAIN].contains(code)
  }

  /// Whether the same call may succeed a moment later.
  public var isTemporary: Bool { SystemError.isTemporary(code) }
}

extension SystemError: CustomStringConvertible {
  /// The system's text for the code.
  ///
  /// The corresponding C function is `strerror`.
  public var reason: String { unsafe String(cString: strerror(code)) }

  /// A sentence for people: "open /etc/x: No such file or directory".
  public var description: String {
    let subject = path.map { "\(operation) \($0)" } ?? operation
    return code == 0 ? subject : "\(subject): \(reason)"
  }
}
