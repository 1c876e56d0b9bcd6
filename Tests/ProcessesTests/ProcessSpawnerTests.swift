import Glibc
import Systemd
import TestSupport
import Testing

@testable import Processes
@testable import TrustedFiles

extension ProcessTests {
  @Suite struct Spawning {
    @Test func environmentAndArgumentsArriveAsTheyAre() throws {
      let text = try output(of: "printf '%s|' \"$@\"; /usr/bin/env") { request in
        request.arguments += ["a b", "$(id)", "", "é\n", "nul\0inside"]
        request.environment = [("A", "1 2"), ("EMPTY", ""), ("EQUALS", "=x=")]
      }
      #expect(text.hasPrefix("a b|$(id)||é\n|nulinside|"))
      for line in ["A=1 2", "EMPTY=", "EQUALS==x="] { #expect(text.contains(line + "\n")) }
      #expect(!text.contains("HOME="))
    }

    @Test func theExitStatusIsThatOfTheProgram() throws {
      #expect(try shell("exit 7").wait() == .exit(7))
      #expect(try shell("kill -9 $$").wait() == .signal(SIGKILL))
    }

    @Test func aScriptIsExecutedByItsDescriptor() throws {
      let directory = try TemporaryDirectory()
      let path = try directory.file("script", "#!/bin/sh\nrm \"$1\"\necho \"$0 $1\"; ls /proc/self/fd\n")
      let script = try TrustedFile.open(path)
      let text = try output(of: "") { request in
        request.executable = script.descriptor.rawValue
        request.arguments = ["script", path]
      }
      // The list has 0 to 2, the script's descriptor (3, and 10, to which dash moves it), and the one of ls itself.
      #expect(text.hasPrefix("/dev/fd/3 \(path)\n0\n1\n2\n3\n"))
    }

    @Test func aScriptRunsFromACopyThatNobodyCanChange() throws {
      let directory = try TemporaryDirectory()
      let text = "#!/bin/sh\necho begin\nread x\necho end\n(echo no >/dev/fd/3) 2>/dev/null || echo sealed\n"
      let path = try directory.file("script", text)
      let script = try TrustedFile.open(path)
      let copy = OwnedDescriptor(try #require(try SealedCopy.make(of: script)))
      let (input, output) = (try Pipe(), try Pipe())
      let process = try spawn(
        SpawnRequest(
          executable: copy.rawValue, arguments: ["script"], standardInput: input.reader, standardOutput: output.writer,
          standardError: output.writer))
      _ = try directory.file("script", "#!/bin/sh\n" + String(repeating: "echo overwritten\n", count: 20))
      _ = write(input.writer, "\n", 1)
      #expect(process.wait() == .exit(0))
      #expect(output.readToEnd() == "begin\nend\nsealed\n")
      #expect(throws: SpawnError(step: .execute, code: ETXTBSY)) { _ = try SealedCopy.make(of: script) }
    }

    @Test func aFileThatIsBeingWrittenIsNotRun() throws {
      let directory = try TemporaryDirectory()
      let path = try directory.file("script", "#!/bin/sh\n")
      let writer = open(path, O_WRONLY | O_APPEND)
      let script = try TrustedFile.open(path)
      #expect(throws: SpawnError(step: .execute, code: ETXTBSY)) { _ = try SealedCopy.make(of: script) }
      close(writer)
      close(try #require(try SealedCopy.make(of: script)))
      #expect(try SealedCopy.make(of: TrustedFile.open("/bin/sh")) == nil, "a program cannot be written while it runs")
    }

    @Test(.enabled(if: isRoot, "needs root"), arguments: [0o755, 0o711, 0o700, 0o744])
    func theModeOfTheFileAppliesToItsCopy(_ mode: mode_t) throws {
      let directory = try TemporaryDirectory()
      let script = try TrustedFile.open(try directory.file("script", "#!/bin/sh\nexit 7\n", mode: mode))
      let copy = OwnedDescriptor(try #require(try SealedCopy.make(of: script)))
      let result = Result {
        try shell("") { request in
          request.executable = copy.rawValue
          request.original = script.descriptor.rawValue
          request.identity = .init(user: 65534, group: 65534, supplementaryGroups: [])
        }.wait()
      }
      if mode & 1 == 1 {
        #expect(try result.get() == .exit(7))
      } else {
        #expect(throws: SpawnError(step: .execute, code: EACCES)) { _ = try result.get() }
      }
    }

    @Test func aProgramInheritsNoOtherDescriptors() throws {
      // A descriptor that is not marked close-on-exec, as a careless library might open it.
      let stray = dup(0)
      defer { close(stray) }
      let ls = try OwnedDescriptor.open("/bin/ls", O_RDONLY)
      let text = try output(of: "") { request in
        request.executable = ls.rawValue
        request.arguments = ["ls", "/proc/self/fd"]
      }
      #expect(text == "0\n1\n2\n3\n")  // 3 is the directory that ls lists.
    }

    @Test func descriptorsMayOverlap() throws {
      // Each of the descriptors 0, 1 and 2 becomes another one of them.
      let saved = (0..<3).map { fcntl($0, F_DUPFD_CLOEXEC, 100) }
      let (input, output, errors) = (try Pipe(), try Pipe(), try Pipe())
      let shell = try OwnedDescriptor.open("/bin/sh", O_RDONLY)
      _ = write(input.writer, "in", 2)
      input.closeWriter()
      dup2(input.reader, 2)
      dup2(output.writer, 0)
      dup2(errors.writer, 1)
      let result = Result {
        let process = try spawn(
          SpawnRequest(
            executable: shell.rawValue, arguments: ["sh", "-c", "read x; echo \"out $x\"; echo err >&2"],
            standardInput: 2, standardOutput: 0, standardError: 1))
        _ = process.wait()
      }
      for number in Int32(0)..<3 {
        dup2(saved[Int(number)], number)
        close(saved[Int(number)])
      }
      try result.get()
      #expect(output.readToEnd() == "out in\n")
      #expect(errors.readToEnd() == "err\n")
    }

    @Test func settingsTakeEffect() throws {
      let temporary = try TemporaryDirectory()
      let directory = try OwnedDescriptor.open(temporary.path, O_RDONLY | O_DIRECTORY)
      let text = try output(of: "pwd; umask; nice; ulimit -Sn; cut -d' ' -f6 /proc/$$/stat; echo $$") { request in
        request.workingDirectory = directory.rawValue
        request.umask = 0o027
        request.nice = 5
        request.descriptorLimit = 99
      }
      let lines = text.split(separator: "\n")
      #expect(lines.prefix(4) == [Substring(temporary.path), "0027", "5", "99"])
      #expect(lines[4] == lines[5], "it leads a session of its own")
    }

    @Test func signalsAreResetToTheirDefaults() throws {
      let previous = signal(SIGPIPE, SIG_IGN)
      defer { signal(SIGPIPE, previous) }
      let lines = try output(of: "while read -r line; do echo \"$line\"; done </proc/$$/status").split(separator: "\n")
      let masks = lines.filter { $0.hasPrefix("SigBlk:") || $0.hasPrefix("SigIgn:") }
      #expect(masks.count == 2)
      for mask in masks { #expect(mask.hasSuffix("0000000000000000")) }
    }

    @Test(.enabled(if: isRoot, "needs root")) func idsAreSet() throws {
      let text = try output(of: "id -u; id -g; id -G; grep -E 'CapEff|NoNewPrivs' /proc/self/status") { request in
        request.identity = .init(user: 65534, group: 65533, supplementaryGroups: [65533, 4242])
        request.noNewPrivileges = true
      }
      #expect(text == "65534\n65533\n65533 4242\nCapEff:\t0000000000000000\nNoNewPrivs:\t1\n")
    }

    @Test func errorsNameTheStep() throws {
      let directory = try TemporaryDirectory()
      let null = try OwnedDescriptor.open("/dev/null", O_RDWR)
      func error(_ path: String? = nil, _ change: (inout SpawnRequest) throws -> Void = { _ in }) throws -> SpawnError {
        let file = try OwnedDescriptor.open(path ?? "/bin/sh", O_RDONLY)
        return try #require(throws: SpawnError.self) {
          _ = try shell("") { request in
            request.executable = file.rawValue
            try change(&request)
          }
        }
      }
      #expect(try error { $0.cgroup = Int32.max } == SpawnError(step: .cgroup, code: EBADF))
      #expect(try error { $0.standardOutput = 4000 } == SpawnError(step: .descriptors, code: EBADF))
      #expect(try error { $0.workingDirectory = null.rawValue } == SpawnError(step: .workingDirectory, code: ENOTDIR))
      let plain = try directory.file("plain", mode: 0o644)
      #expect(try error(plain) == SpawnError(step: .execute, code: EACCES))
      let orphan = try directory.file("orphan", "#!/no/such/interpreter\n")
      #expect(try error(orphan) == SpawnError(step: .execute, code: ENOENT))
      let text = try directory.file("text", "echo hello\n")
      #expect(try error(text) == SpawnError(step: .execute, code: ENOEXEC))
      #expect(
        try error { $0.environment = [("A", String(repeating: "x", count: 200_000))] }
          == SpawnError(step: .execute, code: E2BIG))
      let message = try error(orphan).description
      #expect(message.hasPrefix("cannot execute it: No such file or directory; the interpreter"))
      if isRoot {
        let tooMany = SpawnRequest.Identity(user: 1, group: 1, supplementaryGroups: Array(0...70000))
        #expect(try error { $0.identity = tooMany } == SpawnError(step: .groups, code: EINVAL))
      }
    }

    @Test func manySpawnsLeaveNoDescriptors() throws {
      _ = try shell("").wait()
      let before = openDescriptors()
      let clock = ContinuousClock()
      var times: [Duration] = []
      for index in 0..<500 {
        let start = clock.now
        let process = try shell("")
        times.append(clock.now - start)
        #expect(process.wait() == .exit(0))
        if index.isMultiple(of: 5) {
          #expect(throws: SpawnError.self) { _ = try shell("") { $0.standardInput = 4000 } }
        }
      }
      // Other tests open descriptors at the same time.
      #expect(openDescriptors() - before < 100)
      print("a spawn takes \(times.sorted()[250])")
    }
  }
}
