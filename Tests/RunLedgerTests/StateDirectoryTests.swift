import Glibc
import TestSupport
import Testing

@testable import RunLedger

@Suite struct StateDirectoryTests {
  let folder: TemporaryFolder

  init() throws { folder = try TemporaryFolder() }

  @Test(.enabled(if: isRoot, "needs root")) func aStateDirectoryOfOthersIsRefused() throws {
    func isRefused(_ path: String) -> Bool { (try? Ledger(stateDirectory: path)) == nil }
    _ = folder.folder("open", mode: 0o777)
    _ = folder.folder("open/state", mode: 0o711)
    _ = folder.folder("sticky", mode: 0o1777)
    _ = folder.folder("sticky/state", mode: 0o711)
    _ = folder.folder("writable", mode: 0o1777)
    _ = folder.folder("others", mode: 0o711)
    chown(folder.path + "/others", 4242, 0)
    let link = folder.link("sticky/link", to: folder.path + "/sticky/state")
    #expect(!isRefused(folder.path + "/sticky/state") && !isRefused(link))
    lchown(link, 4242, 0)
    for path in ["open/state", "sticky/link", "writable", "others"] {
      #expect(isRefused(folder.path + "/" + path), "\(path)")
    }
  }
}
