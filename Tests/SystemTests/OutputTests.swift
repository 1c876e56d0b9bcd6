import Testing

extension SystemTests {
  /// What hooks print is in the journal, in a bounded share of it, and costs bounded memory.
  @Suite(.box) struct OutputTests {
    private static let cases: [(name: String, body: String)] = [
      ("gigabyte", "yes 'a line of a script that prints without end' | head -c 1073741824"),
      ("long-line", "head -c 100000000 /dev/zero | tr '\\0' a; echo; echo behind"),
      ("binary", "printf 'a\\0b\\n\\377\\376\\200invalid\\n\\0\\0\\n'; head -c 1000000 /dev/urandom"),
      ("after-its-end", "(sleep 0.2; echo late; sleep 600) & echo early"),
      ("unfinished", "printf 'no line end'"),
      ("closes", "exec >&- 2>&-; sleep 0.2"),
    ]

    /// Anonymous memory and the largest it has been, in KiB. Files that are mapped, such as the journal's, are not ours.
    private func memory(of follow: Follow) throws -> (now: Int, most: Int) {
      let numbers = try follow.box.sh(
        #"awk '/^(RssAnon|VmHWM|RssFile|VmRSS)/ { print $1, $2 }' "/proc/$1/status""#, follow.pid
      ).lines
      func value(_ name: String) -> Int {
        numbers.first { $0.hasPrefix(name) }.flatMap { Int($0.split(separator: " ")[1]) } ?? -1
      }
      return (value("VmRSS"), value("VmHWM"))
    }

    @Test func `a flood costs bounded memory and a bounded share of the journal`() throws {
      try Follow.use(.service) { follow in
        let box = follow.box
        for test in Self.cases {
          try follow.hook(
            "50-\(test.name)", match: "Unit=work@\(test.name).service\nEvent=started",
            hook: "TimeoutSec=60s\nGraceSec=300ms",
            body: test.body)
        }
        try follow.recorder("50-other", match: "Unit=work@other.service\nEvent=started")
        try follow.start()
        try follow.settle()
        for test in Self.cases {
          // Its own peak: what the kernel has noted so far is forgotten.
          let idle = try memory(of: follow).now
          try box.sh(#"echo 5 >"/proc/$1/clear_refs"; systemctl start "work@$2""#, follow.pid, test.name)
          if test.name == "gigabyte" {
            // Nobody else waits for it.
            try box.sh("systemctl start work@other")
            try box.wait(10, until: #"grep -q work@other "$1""#, follow.log)
          }
          try follow.settle(60)
          let most = try memory(of: follow).most
          let took = try follow.sql("SELECT state, (ended - started) / 1000 FROM runs WHERE hook = '50-\(test.name)'")
          print("\(test.name): \(took), memory \(idle) KiB, at most \(most) KiB")
          #expect(took.first?.hasPrefix("succeeded|") == true, "\(test.name): \(took)")
          #expect(most - idle < 5 * 1024, "\(test.name): \(idle) KiB, \(most) KiB")
        }
        try box.sh("journalctl --sync")
        func lines(_ name: String) throws -> [String] {
          try box.sh(#"journalctl -q -o cat JOURNALHOOK_HOOK="50-$1" | cut -c1-200"#, name).lines
        }
        // The flood is cut, and that is told: when it begins, and in the end how much.
        for (name, message) in [("gigabyte", " more lines, "), ("long-line", " more lines, ")] {
          let told = try lines(name)
          #expect(told.count <= 10_010, "\(name): \(told.count)")
          #expect(told.filter { $0.contains("further output is not kept") }.count == 1, "\(name)")
          #expect(told.filter { $0.contains(message) }.count == 1, "\(name)")
        }
        let bytes = try box.sh("journalctl -q -o json --output-fields=MESSAGE JOURNALHOOK_HOOK=50-long-line | wc -c")
          .text.trimmed
        #expect((Int(bytes) ?? .max) < 17 << 20, "\(bytes)")
        let binary = try box.sh("journalctl -q -o json JOURNALHOOK_HOOK=50-binary").text
        #expect(binary.contains("[97,0,98]") && binary.contains("[255,254,128,105,"))
        #expect(try lines("after-its-end").contains("early"))
        #expect(try lines("unfinished").contains("no line end"))
        #expect(try follow.isAlive)
      }
    }

    @Test func `a unit's journal shows cause and effect, and the catalog explains it`() throws {
      try Follow.use { follow in
        let box = follow.box
        try follow.hook(
          "50-tells", match: "Unit=work@view.service\nEvent=started", body: "echo told; echo '<4>warned' >&2")
        try follow.hook("60-fails", match: "Unit=work@view.service\nEvent=started", body: "exit 3")
        try follow.start()
        let since = try box.now()
        try box.sh("systemctl start work@view")
        try follow.settle()
        let view = try box.sh(#"journalctl --sync; journalctl -q -o cat --since "@$1" -u work@view"#, since).lines
        let expected = [
          "Started work@view.service.", "Hook 50-tells starts: work@view.service started", "told", "warned",
          "Hook 50-tells succeeded: work@view.service started", "Hook 60-fails starts: work@view.service started",
          "Hook 60-fails failed, status 3: work@view.service started",
        ]
        #expect(view.count == expected.count, "\(view)")
        for (line, start) in zip(view, expected) { #expect(line.hasPrefix(start), "\(view)") }
        print(view.joined(separator: "\n"))
        let explained = try box.sh(#"journalctl -q -x --since "@$1" -u work@view"#, since).text
        for text in [
          "Subject: Hook 50-tells starts", "Subject: Hook 50-tells has succeeded", "Subject: Hook 60-fails has failed",
          "Its state is \"failed\"", "Defined-By: journalhook",
        ] { #expect(explained.contains(text), "\(text)\n\(explained)") }
      }
    }
  }
}
