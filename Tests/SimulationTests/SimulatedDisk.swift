import CSimulatedDisk

/// A disk in memory that SQLite uses as a VFS of its own.
final class SimulatedDisk {
  let raw: OpaquePointer
  /// The name of the VFS.
  let vfs: String

  init() {
    vfs = "simulated-\(UInt64.random(in: 0 ... .max))"
    guard let disk = simdisk_new(vfs) else { fatalError("no VFS \(vfs)") }
    raw = disk
  }

  deinit { simdisk_free(raw) }

  /// The content of a file; nil if it does not exist.
  func file(_ name: String) -> [UInt8]? {
    var size = 0
    guard let bytes = simdisk_file(raw, name, &size) else { return nil }
    return Array(UnsafeRawBufferPointer(start: bytes, count: size))
  }

  var names: [String] {
    var names: [String] = []
    while let name = simdisk_name(raw, names.count) { names.append(String(cString: name)) }
    return names
  }

  /// Who opens databases in the body.
  func `as`<Value>(_ owner: Int32, _ body: () throws -> Value) rethrows -> Value {
    simdisk_set_owner(raw, owner)
    defer { simdisk_set_owner(raw, 0) }
    return try body()
  }

  /// What was recorded since `simdisk_record`.
  var record: [DiskEvent] {
    (0..<simdisk_event_count(raw)).compactMap { simdisk_event_at(raw, $0).flatMap { DiskEvent($0.pointee) } }
  }
}

/// Something that has changed a disk.
enum DiskEvent {
  case write(file: Int32, offset: Int, bytes: [UInt8])
  case truncate(file: Int32, size: Int)
  case sync(file: Int32)
  case create(file: Int32, name: String)
  case delete(file: Int32, name: String)
  case syncDirectory
  /// A value of the test's own.
  case mark(Int)

  init?(_ event: simdisk_event) {
    let name = event.name.map { String(cString: $0) } ?? ""
    switch event.kind {
    case SIMDISK_WRITE:
      self = .write(
        file: event.file, offset: Int(event.offset),
        bytes: Array(UnsafeBufferPointer(start: event.bytes, count: event.length)))
    case SIMDISK_TRUNCATE: self = .truncate(file: event.file, size: Int(event.offset))
    case SIMDISK_SYNC: self = .sync(file: event.file)
    case SIMDISK_CREATE: self = .create(file: event.file, name: name)
    case SIMDISK_DELETE: self = .delete(file: event.file, name: name)
    case SIMDISK_SYNC_DIRECTORY: self = .syncDirectory
    case SIMDISK_MARK: self = .mark(Int(event.offset))
    default: return nil
    }
  }
}
