internal import CSimulatedDisk

/// A disk of the simulated machine: a VFS of SQLite.
final class SimulatedDisk {
  let handle: OpaquePointer
  let name: String

  init(seed: UInt64) {
    name = "disk-\(seed)"
    guard let handle = simdisk_new(name) else { fatalError("no memory for a disk") }
    self.handle = handle
    simdisk_seed(handle, seed)
  }

  deinit { simdisk_free(handle) }
}
