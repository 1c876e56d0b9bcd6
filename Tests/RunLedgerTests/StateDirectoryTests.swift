import Glibc
import TestSupport
import Testing

@testable import RunLedger

@Suite struct StateDirectoryTests {
  let directory: TemporaryDirectory

  init() throws { directory = try TemporaryDirectory() }

  @Test(.enabled(if: isRoot, "needs root")) func aStateDirectoryOfOthersIsRefused() throws {
    func isRefused(_ path: String) -> Bool { (try? Ledger(stateDirectory: path)) == nil }
    _ = directory.directory("open", mode: 0o777)
    _ = directory.directory("open/state", mode: 0o711)
    _ = directory.directory("sticky", mode: 0o1777)
    _ = directory.directory("sticky/state", mode: 0o711)
    _ = directory.directory("writable", mode: 0o1777)
    _ = directory.directory("others", mode: 0o711)
    chown(directory.path + "/others", 4242, 0)
    let link = directory.link("sticky/link", to: directory.path + "/sticky/state")
    #expect(!isRefused(directory.path + "/sticky/state") && !isRefused(link))
    lchown(link, 4242, 0)
    for path in ["open/state", "sticky/link", "writable", "others"] {
      #expect(isRefused(directory.path + "/" + path), "\(path)")
    }
  }
}
