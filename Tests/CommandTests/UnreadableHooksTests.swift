import Glibc
import Testing

/// Hooks that cannot be read at the start, because there are too few descriptors: no event may be missed.
@Suite struct UnreadableHooksTests {
  /// Four events, and a hook that writes a line to `log` for each.
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
    // The number of descriptors that are inherited from the test process is not known.
    for descriptors in 6...100 {
      let replay = command("replay", descriptors: descriptors)
      let (output, status) = shell("rm -rf '\(directory.path)/state'; timeout 5 \(replay)")
      #expect(status != 0 || output.contains("4 succeeded"), "\(descriptors): \(output)")
      if status == 1, output.contains("The hooks cannot be read now"), output.contains("Too many open files") {
        reasons += 1
      }
      // If only the runs need more descriptors, they are tried again endlessly.
      if status == 0 || output.isEmpty || output.contains("Cannot begin") { break }
    }
    #expect(reasons > 0)
    #expect(shell("cd '\(directory.path)' && rm -rf state && : >log && \(command("replay"))").status == 0)
    #expect(log.count == 4)
  }

  @Test func followWaitsForThem() {
    // Each number of descriptors is too small for something. With one of these numbers the hooks cannot be read.
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
