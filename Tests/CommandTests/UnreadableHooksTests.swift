import Glibc
import Testing

/// Hooks that cannot be read at the start, for want of descriptors: no event may pass them by.
@Suite struct UnreadableHooksTests {
  /// Four events, and a hook that answers each with a line in `log`.
  private let directory = MachinesTests.Directory(in: getenv("XDG_RUNTIME_DIR").map { String(cString: $0) } ?? "/run")

  init() {
    directory.add("a", 0..<2, at: 1_700_000_000_000_000, to: "a")
    let made = shell(
      #"""
      cd '\#(directory.path)' && mkdir hooks state && printf '#!/bin/sh\n# [Match]\n# Unit=*\n# Event=*\n# Host=*\n# [Hook]\n# PreviousBoots=yes
      echo x >>%s/log\n' "$PWD" >hooks/x && chmod 755 hooks/x && touch log
      """#)
    #expect(made.status == 0, "\(made.output)")
  }

  private func command(_ name: String, descriptors: Int? = nil) -> String {
    let limit = descriptors.map { "prlimit --nofile=\($0):\($0) " } ?? ""
    return "\(limit)'\(binary)' \(name) --file '\(directory.path)/a.journal' --hooks '\(directory.path)/hooks' "
      + "--state-dir '\(directory.path)/state' --since @0"
  }

  private var log: [Substring] { shell("cat '\(directory.path)/log'").output.split(separator: "\n") }

  @Test func replayFailsWithTheReason() {
    var reasons = 0
    // How many there are already, inherited from the tests' own process, nobody knows.
    for descriptors in 6...100 {
      let replay = command("replay", descriptors: descriptors)
      let (output, status) = shell("rm -rf '\(directory.path)/state'; timeout 5 \(replay)")
      #expect(status != 0 || output.contains("4 succeeded"), "\(descriptors): \(output)")
      if status == 1, output.contains("The hooks cannot be read now"), output.contains("Too many open files") {
        reasons += 1
      }
      // Where only the runs want descriptors, they are tried again for ever.
      if status == 0 || output.isEmpty || output.contains("Cannot begin") { break }
    }
    #expect(reasons > 0)
    #expect(shell("cd '\(directory.path)' && rm -rf state && : >log && \(command("replay"))").status == 0)
    #expect(log.count == 4)
  }

  @Test func followWaitsForThem() {
    // Each number of descriptors is too small for something else: with one of these it is the hooks.
    let hasWaited = (6...100).contains { descriptors in
      let output = shell("timeout 3 \(command("follow", descriptors: descriptors)) </dev/null").output
      return output.split(separator: "\n").count { $0.contains("The hooks cannot be read now") } == 1
    }
    #expect(hasWaited)
    #expect(log == [])
    let path = directory.path
    let follow = command("follow").replacing(" --since @0", with: "")
    _ = shell(
      """
      \(follow) >'\(path)/out' 2>&1 </dev/null & pid=$!
      for i in $(seq 200); do [ $(wc -l <'\(path)/log') -ge 4 ] && break; sleep 0.05; done
      kill $pid; wait $pid; cat '\(path)/out'
      """)
    #expect(log.count == 4)
  }
}
