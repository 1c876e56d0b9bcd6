internal import Glibc

/// The names in an open directory, without "." and "..".
package func listDirectory(_ descriptor: Int32) throws(SystemError) -> [String] {
  // A new open file description, because a duplicate would share the read position of an earlier listing.
  let number = try OwnedDescriptor.open(".", in: descriptor, O_RDONLY | O_DIRECTORY).release()
  guard let stream = unsafe fdopendir(number) else {
    let failure = SystemError("list a directory")
    _ = close(number)
    throw failure
  }
  defer { unsafe closedir(stream) }
  var names: [String] = []
  while true {
    errno = 0
    guard let entry = unsafe readdir(stream) else { break }
    let name = unsafe withUnsafePointer(to: &entry.pointee.d_name) {
      unsafe String(cString: UnsafeRawPointer($0).assumingMemoryBound(to: CChar.self))
    }
    if name != "." && name != ".." { names.append(name) }
  }
  if errno != 0 { throw SystemError("list a directory") }
  return names
}
