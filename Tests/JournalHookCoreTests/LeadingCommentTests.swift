import Testing

@testable import JournalHookCore

@Suite struct LeadingCommentTests {
  /// The units that the definition names and its description, or `-` if there is no definition.
  private func read(_ text: String) -> String {
    switch load(text, kind: .executable) {
    case .hook(let hook, let warnings):
      (hook.definition.match.namedUnits + [hook.definition.description ?? ""] + warnings.map(\.description))
        .joined(separator: " ")
    case .program: "-"
    case .masked: "masked"
    case .broken(let diagnostics): diagnostics.map(\.description).joined(separator: "\n")
    }
  }

  static let good = "# [Match]\n# Unit=a\n# Event=stopped\n# [Hook]\n# Description=D\n"

  static let scripts: [(String, String)] = [
    ("#!/bin/sh\n\(good)exit 0\n", "a.service D"),
    (good, "a.service D f:1: warning: the file has no #! line, such as #!/bin/sh, to say what runs it"),
    ("#!/bin/sh\r\n#[Match]\r\n#Unit=a\r\n#Event=*\r\nx", "a.service "),
    ("#!/bin/sh\n\n# Prose: x=1 [Hook]\n#\n\n\(good)", "a.service D"),
    ("#!/bin/sh\n# -*- python -*-\n\(good)", "a.service D"),
    ("#!/bin/sh\n\(good)\n# [Hook]\n# Description=E\n", "a.service E"),
    ("#!/bin/sh\n\(good)\n# A remark.\n# Description=E\nx", "a.service D"),
    ("#!/bin/sh\n\(good)\n# Description=E\nx", "a.service D"),
    ("#!/bin/sh\n\(good)#\n# Description=E\nx", "a.service E"),
    ("#!/bin/sh\n\(good)#\n# A remark.\n# Description=E\nx", "a.service D"),
    ("#!/bin/sh\n\(good)# ; Description=E\n# # x\n#   Description=F\nx", "a.service F"),
    ("#!/bin/sh\n\(good)# shellcheck disable=SC2086\nx", "a.service D"),
    ("#!/bin/sh\n\(good)x\n# [Hook]\n# Description=E\n", "a.service D"),
    ("#!/bin/sh\n# [Match]\n# Unit=a \\\n#   b\n# Event=*\n", "a.service b.service "),
    ("#!/usr/bin/env node\n// [Match]\n// Unit=a\n// Event=*\n", "a.service "),
    ("#!/usr/bin/lua\n-- [Match]\n-- Unit=a\n-- Event=*\n", "a.service "),
    ("#!/usr/bin/guile\n;; [Match]\n;; Unit=a\n;; Event=*\n", "a.service "),
    ("#!/bin/sh\nexit 0\n\(good)", "-"),
    ("#!/bin/sh\n# A program.\nexit 0\n", "-"),
    ("#!/bin/sh\n# See [Match] in the manual.\nexit 0\n", "-"),
    ("\u{7f}ELF\0\0", "-"),
    ("#!/bin/sh", "-"),
    ("\n\n\n", "-"),
    (
      "#!/bin/sh\n# [match]\n# Unit=a\n",
      "f:2: warning: unknown section [match], ignored; did you mean Match?\nf:2: error: [Match] has no Unit=\nf:2: error: [Match] has no Event="
    ),
    (
      "#!/bin/sh\n\(good)# A remark.\n",
      "f:7: error: 'A remark.' has no '=' (text belongs before the first section, or behind an empty line)"
    ),
    (
      "#!/bin/sh\n\(good)# Exec=x\n",
      "f:7: error: Exec=: the hook is this executable itself; only a .hook file has an Exec="
    ),
    ("#!/bin/sh\n# [Hook]\n", "f:2: error: [Match] has no Unit=\nf:2: error: [Match] has no Event="),
  ]

  @Test(arguments: scripts)
  func finds(_ text: String, _ expected: String) {
    #expect(read(text) == expected)
  }

  @Test func refusesADefinitionThatCannotBeExecuted() {
    #expect(
      load("#!/bin/sh\n" + Self.good, kind: .plainFile).diagnostics.map(\.description) == [
        "f:2: error: the file has a hook's definition, but is not executable (chmod +x)"
      ])
    #expect(load("text", kind: .plainFile) == .program)
  }

  @Test func takesDropIns() throws {
    let hook = try #require(definition(Self.good, kind: .executable, dropIns: ["[Match]\nUnit=b"]))
    #expect(hook.match.namedUnits == ["a.service", "b.service"])
    #expect(
      load(Self.good, kind: .executable, dropIns: ["[Hook]\nExec=x"]).diagnostics.first?.description.hasPrefix(
        "d0:2: error: Exec=") == true)
  }

  @Test func looksOnlyAtTheBeginning() {
    let large = Array("#!/bin/sh\necho\n".utf8) + [UInt8](repeating: 0x0a, count: 20_000_000)
    let elapsed = ContinuousClock().measure {
      #expect(loadHook(name: "h", path: "f", kind: .executable, contents: large) == .program)
    }
    #expect(elapsed < .seconds(1))
  }
}
