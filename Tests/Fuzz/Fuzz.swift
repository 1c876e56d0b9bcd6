internal import Glibc

/// What can be fuzzed: everything that reads what others have written.
enum FuzzTarget: String, CaseIterable {
  /// The syntax of unit files, and the words of a command line.
  case unitFile = "unit-file"
  /// Definitions of hooks with drop-ins, in `.hook` files and in scripts, and what they say to events.
  case hook
  /// Journal entries, from fields to lifecycle events as JSON.
  case entry
  /// Cursors of the journal.
  case cursor
  /// Time spans and points in time.
  case time

  func run(_ input: FuzzInput) {
    switch self {
    case .unitFile: fuzzUnitFile(input)
    case .hook: fuzzHook(input)
    case .entry: fuzzEntry(input)
    case .cursor: fuzzCursor(input)
    case .time: fuzzTime(input)
    }
  }
}

/// The target of this process, which its environment names.
private let target: FuzzTarget = {
  guard let name = unsafe getenv("JOURNALHOOK_FUZZ_TARGET").map({ unsafe String(cString: $0) }),
    let target = FuzzTarget(rawValue: name)
  else {
    print("JOURNALHOOK_FUZZ_TARGET is none of: " + FuzzTarget.allCases.map(\.rawValue).joined(separator: " "))
    exit(64)
  }
  return target
}()

/// What libFuzzer calls with each input (llvm.org/docs/LibFuzzer.html).
@c(LLVMFuzzerTestOneInput)
public func testOneInput(_ bytes: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
  target.run(FuzzInput(unsafe Array(UnsafeBufferPointer(start: bytes, count: count))))
  return 0
}

/// Ends the process, which libFuzzer reports with the input, unless a condition holds.
func expect(_ condition: Bool, _ message: @autoclosure () -> String) {
  if !condition { fatalError(message()) }
}
