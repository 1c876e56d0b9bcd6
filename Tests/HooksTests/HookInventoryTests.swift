import Systemd
import TestSupport
import Testing

@testable import Hooks
@testable import Lifecycle

@Suite struct HookInventoryTests {
  private func inventory(_ digests: [String: String]) -> HookInventory {
    HookInventory(digests.mapValues { .init(path: "/h/\($0.prefix(1))", digest: $0) })
  }

  @Test func reportsChanges() {
    let before = inventory(["a": "a1", "b": "b1", "c": "c1"])
    let now = inventory(["a": "a1", "b": "b2", "d": "d1"])
    #expect(
      now.changes(since: before) == [
        .changed(name: "b", path: "/h/b"), .removed(name: "c", path: "/h/c"), .loaded(name: "d", path: "/h/d"),
      ])
    #expect(now.changes(since: now) == [])
    // The same text at another path is a change.
    var moved = before
    moved.items["a"]?.path = "/i/a"
    #expect(moved.changes(since: before) == [.changed(name: "a", path: "/i/a")])
  }

  @Test func digestsOfDifferentTextsDiffer() {
    #expect(HookInventory.digest(of: ["a", "b"]) == HookInventory.digest(of: ["a", "b"]))
    #expect(HookInventory.digest(of: ["ab", ""]) != HookInventory.digest(of: ["a", "b"]))
    #expect(HookInventory.digest(of: ["a"]).count == 32)
  }
}
