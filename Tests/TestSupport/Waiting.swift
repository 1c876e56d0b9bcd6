import Glibc

@discardableResult package func run(_ command: String) -> Int32 { system(command) }

/// Waits for what the kernel does in a moment.
package func eventually(seconds: Double = 5, _ condition: () throws -> Bool) rethrows -> Bool {
  for _ in 0..<Int(seconds * 200) {
    if try condition() { return true }
    usleep(5000)
  }
  return try condition()
}

package func openDescriptors() -> Int {
  var count = 0
  for number in Int32(0)..<4096 where fcntl(number, F_GETFD) >= 0 { count += 1 }
  return count
}
