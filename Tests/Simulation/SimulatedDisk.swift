internal import CSimulatedDisk

/// A disk of the simulated machine: a VFS of SQLite.
final class SimulatedDisk {
  let handle: OpaquePointer
  let name: String

  init(seed: UInt64) {
    // SQLite knows it by this name, and nothing in the history does: two histories of one seed may be played at the same time.
    name = "disk-\(seed)-\(UInt64.random(in: 0 ... .max))"
    guard let handle = simdisk_new(name) else { fatalError("cannot register the disk \(name)") }
    self.handle = handle
    simdisk_seed(handle, seed)
  }

  deinit { simdisk_free(handle) }
}
