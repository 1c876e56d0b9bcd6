import Glibc
import Systemd
import TestSupport
import Testing

@testable import TrustedFiles

@Suite struct TrustedFileTests {
  let folder: TemporaryFolder

  init() throws { folder = try TemporaryFolder() }

  private func problem(_ path: String, _ purpose: TrustedFile.Purpose = .reading) -> TrustError.Problem? {
    do {
      _ = try TrustedFile.open(path, for: purpose)
      return nil
    } catch { return error.problem }
  }

  @Test func whatIsInOrderOpens() throws {
    let path = try folder.file("hook", "#!/bin/sh -e\necho\n")
    let file = try TrustedFile.open(path)
    let found = file.path
    #expect(found == path)
    let isExecutable = file.isExecutable
    #expect(isExecutable)
    #expect(try file.interpreter() == "/bin/sh")
    try file.checkInterpreter()
    #expect(String(decoding: try file.readAll(limit: 100), as: UTF8.self) == "#!/bin/sh -e\necho\n")
    #expect(throws: TrustError.self) { try file.readAll(limit: 17) }
    #expect(try TrustedFile.open(path, for: .executing).identity == file.identity)
  }

  @Test func missingAndRelativePathsAreToldApart() throws {
    #expect(problem("hook") == .notAbsolute)
    #expect(problem(folder.path + "/none") == .notFound)
    #expect(problem(folder.path + "/none/hook") == .notFound)
    let file = try folder.file("file")
    #expect(problem(file + "/below") == .notFolder)
    #expect(problem(folder.path) == .notRegularFile)
    #expect(problem("/") == .notRegularFile)
    #expect(problem("/dev/null") != nil)
    mkfifo(folder.path + "/pipe", 0o600)
    #expect(problem(folder.path + "/pipe") == .notRegularFile)
  }

  @Test(arguments: [0o775, 0o757, 0o1777, 0o770] as [UInt32])
  func aWritableFolderIsRefused(mode: UInt32) throws {
    _ = folder.folder("a")
    _ = folder.folder("a/b")
    let path = try folder.file("a/b/hook")
    #expect(problem(path) == nil)
    chmod(folder.path + "/a", mode)
    let error = try #require(throws: TrustError.self) { _ = try TrustedFile.open(path) }
    #expect(error.component == folder.path + "/a")
    #expect(error.problem == .writable(mode: S_IFDIR | mode))
    // A sticky folder is for everybody on purpose.
    #expect(error.remedy?.hasPrefix(mode & 0o1000 != 0 ? "use a folder" : "chmod go-w \(folder.path)/a") == true)
  }

  @Test(arguments: [(0o775, false), (0o757, false), (0o4755, true), (0o2755, true)] as [(UInt32, Bool)])
  func aWritableOrSetuidFileIsRefused(mode: UInt32, setID: Bool) throws {
    let path = try folder.file("hook", mode: mode)
    #expect(problem(path) == (setID ? .setID(mode: S_IFREG | mode) : .writable(mode: S_IFREG | mode)))
    #expect(problem(path, .executing) == problem(path))
  }

  @Test(.enabled(if: isRoot, "needs root")) func othersFilesFoldersAndLinksAreRefused() throws {
    _ = folder.folder("a")
    let path = try folder.file("a/hook")
    let link = folder.link("link", to: "a/hook")
    #expect(problem(link) == nil)
    lchown(link, 4242, 0)
    #expect(problem(link) == .owner(4242))
    #expect(problem(path) == nil)
    chown(path, 4242, 0)
    #expect(problem(path) == .owner(4242))
    chown(path, 0, 4242)
    #expect(problem(path) == nil, "the group counts only where it may write")
    chown(folder.path + "/a", 4242, 0)
    let error = try #require(throws: TrustError.self) { _ = try TrustedFile.open(path) }
    #expect(
      error.description
        == "\(path): \(folder.path)/a is owned by uid 4242, and not by root; remedy: chown root:root \(folder.path)/a"
    )
  }

  @Test func linksAreFollowedAndChecked() throws {
    _ = folder.folder("a")
    _ = folder.folder("b")
    let path = try folder.file("a/hook")
    let links = [
      folder.link("absolute", to: path), folder.link("relative", to: "a/hook"), folder.link("b/up", to: "../a/hook"),
      folder.link("chain", to: "relative"), folder.link("folder", to: "a") + "/hook",
      folder.link("odd", to: "b/.././/a/./hook"),
    ]
    for link in links { #expect(try TrustedFile.open(link).path == path, "\(link)") }
    #expect(problem(folder.link("loop", to: "loop")) == .tooManyLinks)
    #expect(problem(folder.link("dangling", to: "nothing")) == .notFound)
    // What a link leads through counts, although the path does not show it.
    chmod(folder.path + "/b", 0o777)
    #expect(problem(folder.path + "/b/up") == .writable(mode: S_IFDIR | 0o777))
    #expect(problem(folder.path + "/odd") == .writable(mode: S_IFDIR | 0o777))
    let outside = "/tmp/journalhook-test-\(getpid())"
    close(creat(outside, 0o755))
    defer { unlink(outside) }
    #expect(problem(folder.link("outside", to: outside)) == .writable(mode: S_IFDIR | 0o1777))
  }

  @Test func aChangeShows() throws {
    let path = try folder.file("hook", "one")
    let file = try TrustedFile.open(path)
    var isUnchanged = file.isUnchanged
    #expect(isUnchanged)
    usleep(20_000)
    _ = try folder.file("hook", "two")
    isUnchanged = file.isUnchanged
    #expect(!isUnchanged)
    let other = try TrustedFile.open(path)
    #expect(other.identity != file.identity)
    usleep(20_000)
    rename(try folder.file("new", "two"), path)
    isUnchanged = other.isUnchanged
    #expect(!isUnchanged)
  }

  @Test func whatWasOpenedIsWhatIsRead() throws {
    let path = try folder.file("hook", "good")
    let file = try TrustedFile.open(path)
    rename(try folder.file("evil", "evil"), path)
    #expect(String(decoding: try file.readAll(limit: 10), as: UTF8.self) == "good")
  }

  @Test func interpretersAreParsedAsByTheKernel() throws {
    let cases: [(String, String?)] = [
      ("#!/bin/sh\n", "/bin/sh"), ("#! \t/usr/bin/env python3\n", "/usr/bin/env"), ("#!/bin/sh", "/bin/sh"),
      ("# /bin/sh\n", nil), ("", nil), ("\u{7f}ELF", nil), ("#!\n", ""),
    ]
    for (text, expected) in cases {
      #expect(try TrustedFile.open(try folder.file("script", text)).interpreter() == expected, "\(text)")
    }
  }

  @Test func anInterpreterIsCheckedToo() throws {
    func problem(_ interpreter: String) throws -> TrustError.Problem? {
      let script = try TrustedFile.open(try folder.file("script", "#!\(interpreter)\n"))
      do {
        try script.checkInterpreter()
        return nil
      } catch { return error.problem }
    }
    #expect(try problem("/usr/bin/env") == nil)
    #expect(try problem("sh") == .notAbsolute)
    #expect(try problem("/no/such") == .notFound)
    #expect(try problem("/usr/bin/env\r") == .carriageReturn)
    #expect(try problem(try folder.file("plain", mode: 0o644)) == .notExecutable)
    #expect(try problem(try folder.file("open", mode: 0o777)) == .writable(mode: S_IFREG | 0o777))
    #expect(try problem(try folder.file("nested", "#!\(folder.path)/open\n")) == .writable(mode: S_IFREG | 0o777))
    #expect(try problem(try folder.file("self", "#!\(folder.path)/self\n")) == .tooManyLinks)
  }

  @Test func foldersListAndOpenWhatIsInThem() throws {
    _ = folder.folder("hooks.d")
    _ = folder.folder("hooks.d/b.d")
    _ = try folder.file("hooks.d/b")
    _ = try folder.file("hooks.d/empty", "")
    _ = try folder.file("hooks.d/B")
    _ = try folder.file("a")
    _ = folder.link("hooks.d/null", to: "/dev/null")
    _ = folder.link("hooks.d/a", to: "../a")
    let hooks = try TrustedDirectory.open(folder.path + "/hooks.d")
    for _ in 0..<2 { #expect(try hooks.names() == ["B", "a", "b", "b.d", "empty", "null"]) }
    #expect(try hooks.openFile("b").path == folder.path + "/hooks.d/b")
    #expect(try hooks.openFile("a").path == folder.path + "/a")
    #expect(try hooks.openDirectory("b.d").names() == [])
    #expect(try hooks.names().filter { try hooks.isMask($0) } == ["empty", "null"])
    for name in ["", ".", "..", "../a", "none"] {
      let error = #expect(throws: TrustError.self) { _ = try hooks.openFile(name) }
      #expect(error?.problem == .notFound)
    }
    #expect(throws: TrustError.self) { _ = try TrustedDirectory.open(folder.path + "/a") }
  }

  /// What others may fill or empty must hide nothing.
  @Test(.enabled(if: isRoot, "needs root")) func aMaskIsTrustedOnlyUnderTheRule() throws {
    _ = folder.folder("hooks.d")
    for (name, owner, mode) in [("own", 0, 0o644), ("others", 4242, 0o644), ("open", 0, 0o666)]
      as [(String, UInt32, UInt32)]
    {
      chown(try folder.file("hooks.d/\(name)", "", mode: mode), owner, 0)
      _ = folder.link("hooks.d/to-\(name)", to: name)
    }
    _ = folder.link("hooks.d/null", to: "/dev/null")
    _ = folder.link("hooks.d/zero", to: "/dev/zero")
    lchown(folder.link("hooks.d/others-null", to: "/dev/null"), 4242, 0)
    let hooks = try TrustedDirectory.open(folder.path + "/hooks.d")
    #expect(try hooks.names().filter { try hooks.isMask($0) } == ["null", "own", "to-own"])
  }
}
