import Glibc
import Systemd
import TestSupport
import Testing

@testable import TrustedFiles

@Suite struct TrustedFileTests {
  let directory: TemporaryDirectory

  init() throws { directory = try TemporaryDirectory() }

  private func problem(_ path: String, _ purpose: TrustedFile.Purpose = .reading) -> TrustError.Problem? {
    do {
      _ = try TrustedFile.open(path, for: purpose)
      return nil
    } catch { return error.problem }
  }

  @Test func trustedFilesOpen() throws {
    let path = try directory.file("hook", "#!/bin/sh -e\necho\n")
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

  @Test func missingAndRelativePathsHaveDifferentProblems() throws {
    #expect(problem("hook") == .notAbsolute)
    #expect(problem(directory.path + "/none") == .notFound)
    #expect(problem(directory.path + "/none/hook") == .notFound)
    let file = try directory.file("file")
    #expect(problem(file + "/below") == .notDirectory)
    #expect(problem(directory.path) == .notRegularFile)
    #expect(problem("/") == .notRegularFile)
    #expect(problem("/dev/null") != nil)
    #expect(throws: TrustError.self) { _ = try TrustedFile.open("/dev/zero") }
    do { _ = try TrustedFile.open("/dev/zero") } catch { #expect(error.remedy == "use a regular file") }
    mkfifo(directory.path + "/pipe", 0o600)
    #expect(problem(directory.path + "/pipe") == .notRegularFile)
  }

  @Test(arguments: [0o775, 0o757, 0o1777, 0o770] as [UInt32])
  func aWritableDirectoryIsRefused(mode: UInt32) throws {
    _ = directory.directory("a")
    _ = directory.directory("a/b")
    let path = try directory.file("a/b/hook")
    #expect(problem(path) == nil)
    chmod(directory.path + "/a", mode)
    let error = try #require(throws: TrustError.self) { _ = try TrustedFile.open(path) }
    #expect(error.component == directory.path + "/a")
    #expect(error.problem == .writable(mode: S_IFDIR | mode))
    // A sticky directory is writable for everybody on purpose.
    #expect(error.remedy?.hasPrefix(mode & 0o1000 != 0 ? "use a directory" : "chmod go-w \(directory.path)/a") == true)
  }

  @Test(arguments: [(0o775, false), (0o757, false), (0o4755, true), (0o2755, true)] as [(UInt32, Bool)])
  func aWritableOrSetuidFileIsRefused(mode: UInt32, setID: Bool) throws {
    let path = try directory.file("hook", mode: mode)
    #expect(problem(path) == (setID ? .setID(mode: S_IFREG | mode) : .writable(mode: S_IFREG | mode)))
    #expect(problem(path, .executing) == problem(path))
  }

  @Test(.enabled(if: isRoot, "needs root")) func filesDirectoriesAndLinksOfOthersAreRefused() throws {
    _ = directory.directory("a")
    let path = try directory.file("a/hook")
    let link = directory.link("link", to: "a/hook")
    #expect(problem(link) == nil)
    lchown(link, 4242, 0)
    #expect(problem(link) == .owner(4242))
    #expect(problem(path) == nil)
    chown(path, 4242, 0)
    #expect(problem(path) == .owner(4242))
    chown(path, 0, 4242)
    #expect(problem(path) == nil, "the group matters only if it may write")
    chown(directory.path + "/a", 4242, 0)
    let error = try #require(throws: TrustError.self) { _ = try TrustedFile.open(path) }
    #expect(
      error.description
        == "\(path): \(directory.path)/a is owned by uid 4242, and not by root; remedy: chown root:root \(directory.path)/a"
    )
  }

  @Test func linksAreFollowedAndChecked() throws {
    _ = directory.directory("a")
    _ = directory.directory("b")
    let path = try directory.file("a/hook")
    let links = [
      directory.link("absolute", to: path), directory.link("relative", to: "a/hook"),
      directory.link("b/up", to: "../a/hook"),
      directory.link("chain", to: "relative"), directory.link("directory", to: "a") + "/hook",
      directory.link("odd", to: "b/.././/a/./hook"),
    ]
    for link in links { #expect(try TrustedFile.open(link).path == path, "\(link)") }
    #expect(problem(directory.link("loop", to: "loop")) == .tooManyLinks)
    #expect(problem(directory.link("dangling", to: "nothing")) == .notFound)
    // The directories through which a link leads are checked, too, although they are not in the final path.
    chmod(directory.path + "/b", 0o777)
    #expect(problem(directory.path + "/b/up") == .writable(mode: S_IFDIR | 0o777))
    #expect(problem(directory.path + "/odd") == .writable(mode: S_IFDIR | 0o777))
    let outside = "/tmp/journalhook-test-\(getpid())"
    close(creat(outside, 0o755))
    defer { unlink(outside) }
    #expect(problem(directory.link("outside", to: outside)) == .writable(mode: S_IFDIR | 0o1777))
  }

  @Test func changesAreDetected() throws {
    let path = try directory.file("hook", "one")
    let file = try TrustedFile.open(path)
    var isUnchanged = file.isUnchanged
    #expect(isUnchanged)
    usleep(20_000)
    _ = try directory.file("hook", "two")
    isUnchanged = file.isUnchanged
    #expect(!isUnchanged)
    let other = try TrustedFile.open(path)
    #expect(other.identity != file.identity)
    usleep(20_000)
    rename(try directory.file("new", "two"), path)
    isUnchanged = other.isUnchanged
    #expect(!isUnchanged)
  }

  @Test func theOpenedFileIsTheOneThatIsRead() throws {
    let path = try directory.file("hook", "good")
    let file = try TrustedFile.open(path)
    rename(try directory.file("evil", "evil"), path)
    #expect(String(decoding: try file.readAll(limit: 10), as: UTF8.self) == "good")
  }

  @Test func interpretersAreReadAsTheKernelDoes() throws {
    let cases: [(String, String?)] = [
      ("#!/bin/sh\n", "/bin/sh"), ("#! \t/usr/bin/env python3\n", "/usr/bin/env"), ("#!/bin/sh", "/bin/sh"),
      ("# /bin/sh\n", nil), ("", nil), ("\u{7f}ELF", nil), ("#!\n", ""),
    ]
    for (text, expected) in cases {
      #expect(try TrustedFile.open(try directory.file("script", text)).interpreter() == expected, "\(text)")
    }
  }

  @Test func anInterpreterIsCheckedToo() throws {
    func problem(_ interpreter: String) throws -> TrustError.Problem? {
      let script = try TrustedFile.open(try directory.file("script", "#!\(interpreter)\n"))
      do {
        try script.checkInterpreter()
        return nil
      } catch { return error.problem }
    }
    #expect(try problem("/usr/bin/env") == nil)
    #expect(try problem("sh") == .notAbsolute)
    #expect(try problem("/no/such") == .notFound)
    #expect(try problem("/usr/bin/env\r") == .carriageReturn)
    #expect(try problem(try directory.file("plain", mode: 0o644)) == .notExecutable)
    #expect(try problem(try directory.file("open", mode: 0o777)) == .writable(mode: S_IFREG | 0o777))
    #expect(try problem(try directory.file("nested", "#!\(directory.path)/open\n")) == .writable(mode: S_IFREG | 0o777))
    #expect(try problem(try directory.file("self", "#!\(directory.path)/self\n")) == .tooManyLinks)
  }

  @Test func directoriesListAndOpenTheirFiles() throws {
    _ = directory.directory("hooks.d")
    _ = directory.directory("hooks.d/b.d")
    _ = try directory.file("hooks.d/b")
    _ = try directory.file("hooks.d/empty", "")
    _ = try directory.file("hooks.d/B")
    _ = try directory.file("a")
    _ = directory.link("hooks.d/null", to: "/dev/null")
    _ = directory.link("hooks.d/a", to: "../a")
    let hooks = try TrustedDirectory.open(directory.path + "/hooks.d")
    for _ in 0..<2 { #expect(try hooks.names() == ["B", "a", "b", "b.d", "empty", "null"]) }
    #expect(try hooks.openFile("b").path == directory.path + "/hooks.d/b")
    #expect(try hooks.openFile("a").path == directory.path + "/a")
    #expect(try hooks.openDirectory("b.d").names() == [])
    #expect(try hooks.names().filter { try hooks.isMask($0) } == ["empty", "null"])
    for name in ["", ".", "..", "../a", "none"] {
      let error = #expect(throws: TrustError.self) { _ = try hooks.openFile(name) }
      #expect(error?.problem == .notFound)
    }
    #expect(throws: TrustError.self) { _ = try TrustedDirectory.open(directory.path + "/a") }
  }

  /// A file that others may change must not mask other files.
  @Test(.enabled(if: isRoot, "needs root")) func masksThatOthersCanChangeAreIgnored() throws {
    _ = directory.directory("hooks.d")
    for (name, owner, mode) in [("own", 0, 0o644), ("others", 4242, 0o644), ("open", 0, 0o666)]
      as [(String, UInt32, UInt32)]
    {
      chown(try directory.file("hooks.d/\(name)", "", mode: mode), owner, 0)
      _ = directory.link("hooks.d/to-\(name)", to: name)
    }
    _ = directory.link("hooks.d/null", to: "/dev/null")
    _ = directory.link("hooks.d/zero", to: "/dev/zero")
    lchown(directory.link("hooks.d/others-null", to: "/dev/null"), 4242, 0)
    let hooks = try TrustedDirectory.open(directory.path + "/hooks.d")
    #expect(try hooks.names().filter { try hooks.isMask($0) } == ["null", "own", "to-own"])
  }
}
