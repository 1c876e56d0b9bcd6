import Testing

@testable import Systemd

@Suite struct MountTableTests {
  private static let table = """
    20 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
    21 20 0:5 / /etc rw - tmpfs tmpfs rw
    22 20 0:6 / /etcetera rw - tmpfs tmpfs rw
    23 20 0:7 / /srv/a\\040b/hooks.d/x.hook rw - tmpfs tmpfs rw
    24 20 0:8 / /var/lib rw - tmpfs tmpfs rw
    garbage

    """

  @Test(
    arguments: [
      (["/etc", "/etc/journalhook"], [], ["20", "21"]),
      (["/srv", "/srv/a b", "/srv/a b/hooks.d"], ["/srv/a b/hooks.d"], ["20", "23"]),
      // The first mount is not on the path; the second is below a directory whose contents do not matter.
      (["/srv", "/srv/a b"], ["/srv/a"], ["20"]),
      (["/var", "/var/lib", "/var/lib/x"], ["/var/lib/x"], ["20", "24"]),
      ([], [], ["20"]),
    ] as [([String], [String], [String])])
  func mountsThatAffectPaths(paths: [String], directories: [String], ids: [String]) {
    let lines = MountTable(Array(Self.table.utf8)).concerning(paths: Set(paths), directories: Set(directories))
    #expect(lines.map { String(decoding: $0.prefix(2), as: UTF8.self) }.sorted() == ids)
  }
}
