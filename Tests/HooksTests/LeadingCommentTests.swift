import Systemd
import TestSupport
import Testing

@testable import Hooks
@testable import Lifecycle

@Suite struct LeadingCommentTests {
  /// The units that the definition names and its description, or `-` if there is no definition.
  private func read(_ text: String) -> String {
    switch load(text, kind: .executable) {
    case .hook(let hook, let warnings):
      (hook.definition.match.namedUnits + [hook.definition.description ?? ""] + warnings.map(\.description))
        .joined(separator: " ")
    case .program: "-"
    case .misplaced(let diagnostic): "misplaced \(diagnostic)"
    case .masked: "masked"
    case .broken(let diagnostics): diagnostics.map(\.description).joined(separator: "\n")
    }
  }

  static let good = "# [Match]\n# Unit=a\n# Event=stopped\n# [Hook]\n# Description=D\n"

  static let scripts: [(String, String)] = [
    ("#!/bin/sh\n\(good)exit 0\n", "a.service D"),
    (good, "f:1: error: the file has no #! line that names an interpreter, such as #!/bin/sh: it cannot be executed"),
    ("#!/bin/sh\r\n#[Match]\r\n#Unit=a\r\n#Event=*\r\nx", "a.service "),
    ("#!/bin/sh\n\n# Prose: x=1 [Hook]\n#\n\n\(good)", "a.service D"),
    ("#!/bin/sh\n# -*- python -*-\n\(good)", "a.service D"),
    ("#!/bin/sh\n\(good)\n# [Hook]\n# Description=E\n", "a.service E"),
    ("#!/bin/sh\n\(good)\n# A remark.\n#   Description=E\nx", "a.service D"),
    (
      "#!/bin/sh\n\(good)\n# Description=E\nx",
      "a.service D f:8: warning: Description= stands after the end of the definition, where it has no effect"
    ),
    (
      "#!/bin/sh\n\(good)\n# RestartJob=no\nx",
      "f:8: error: RestartJob= stands after the end of the definition, where it has no effect"
    ),
    (
      "#!/bin/sh\n# Result=signal\n\(good)exit 0\n",
      "f:2: error: Result= stands before the first [Section], where it has no effect"
    ),
    (
      "#!/bin/sh\n# GraceSec=1\n\(good)exit 0\n",
      "a.service D f:2: warning: GraceSec= stands before the first [Section], where it has no effect"
    ),
    ("#!/bin/sh\n\(good)#\n# Description=E\nx", "a.service E"),
    ("#!/bin/sh\n\(good)#\n# A remark.\n# # Description=E\nx", "a.service D"),
    ("#!/bin/sh\n\(good)# ; Description=E\n# # x\n#   Description=F\nx", "a.service F"),
    ("#!/bin/sh\n\(good)# shellcheck disable=SC2086\nx", "a.service D"),
    ("#!/bin/sh\n\(good)x\n# [Hook]\n# Description=E\n", "a.service D"),
    ("#!/bin/sh\n# [Match]\n# Unit=a \\\n#   b\n# Event=*\n", "a.service b.service "),
    ("#!/usr/bin/env node\n// [Match]\n// Unit=a\n// Event=*\n", "a.service "),
    ("#!/usr/bin/lua\n-- [Match]\n-- Unit=a\n-- Event=*\n", "a.service "),
    ("#!/usr/bin/guile\n;; [Match]\n;; Unit=a\n;; Event=*\n", "a.service "),
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
      "f:7: error: 'A remark.' has no '=' (text belongs before the first section, or after an empty line)"
    ),
    (
      "#!/bin/sh\n\(good)# Exec=x\n",
      "f:7: error: Exec=: this executable is itself the program of the hook; only a .hook file has Exec="
    ),
    ("#!/bin/sh\n# [Hook]\n", "f:2: error: [Match] has no Unit=\nf:2: error: [Match] has no Event="),
  ]

  @Test(arguments: scripts)
  func finds(_ text: String, _ expected: String) {
    #expect(read(text) == expected)
  }

  private static let rule = "a definition is read only in the leading comment"

  /// Files with a definition in a place where it is not read, and the diagnostics about them.
  static let misplaced: [(String, String)] = [
    (
      "#!/bin/sh\nexit 0\n\(good)",
      "misplaced f:3: error: \(rule), and this is after the first line of code (line 2): move it before that line"
    ),
    (
      "#!/bin/sh\nset -e\n\n  # [Match]\n  # Event=*\n",
      "misplaced f:4: error: \(rule), and this is after the first line of code (line 2): move it before that line"
    ),
    (
      "\u{FEFF}#!/bin/sh\n\(good)",
      "f:1: error: the file begins with a byte order mark (U+FEFF), so that the kernel does not find its #! line: save it "
        + "without the mark, or run: sed -i '1s/^\\xEF\\xBB\\xBF//' f"
    ),
    (
      "\u{FEFF}#!/bin/sh\nexit 0",
      "f:1: error: the file begins with a byte order mark (U+FEFF), so that the kernel does not find its #! line: save it "
        + "without the mark, or run: sed -i '1s/^\\xEF\\xBB\\xBF//' f"
    ),
    (
      "#!/bin/sh\n## [Match]\n## Unit=a\n## Event=*\n",
      "misplaced f:2: error: '## [Match]' does not begin a definition: each line of one begins with '#', '//', '--' or ';'"
    ),
    (
      "#!/usr/bin/node\n/* [Match]\n * Unit=a\n */\n",
      "misplaced f:2: error: '/* [Match]' does not begin a definition: each line of one begins with '#', '//', '--' or ';'"
    ),
    (
      "#!/bin/sh\n# Unit=a\n# Event=*\nx\n",
      "misplaced f:2: error: Unit= without a section: the line '# [Match]' is missing above it"
    ),
    (
      "#!/bin/sh\n# [Macht]\n# Unit=a\n# Event=*\nx\n",
      "misplaced f:3: error: Unit= without a section: the line '# [Match]' is missing above it"
    ),
    (
      "#!/usr/bin/python3\n\"\"\"\n[Match]\nUnit=a\nEvent=*\n\"\"\"\n",
      "misplaced f:3: error: \(rule), and this is not a comment: begin each of its lines with '# '"
    ),
    (
      "#!/usr/bin/python3\n\"\"\"[Match]\nUnit=a\nEvent=*\n\"\"\"\n",
      "misplaced f:2: error: \(rule), and this is not a comment: begin each of its lines with '# '"
    ),
    (
      "#!/bin/sh\n: <<'END'\n[Match]\nUnit=a\nEvent=*\nEND\n",
      "misplaced f:3: error: \(rule), and this is after the first line of code (line 2): move it before that line"
    ),
    (
      "#!/usr/bin/php\n<?php\n# [Match]\n# Unit=a\n# Event=*\n",
      "misplaced f:3: error: \(rule), and PHP prints the text before '<?php': write a NAME.hook file with Exec= instead"
    ),
    // The help text of a program, and prose.
    ("#!/bin/sh\ncat <<END\n  [Match]\n  Unit=a\n  Event=*\nEND\n", "-"),
    ("#!/bin/sh\nx\n# [Match]\n", "-"),
    ("#!/bin/sh\n# The Unit=a of it.\nUnit=a\n", "-"),
    ("\u{7f}ELF\0\0\n[Match]\nUnit=a\n", "-"),
  ]

  @Test(arguments: misplaced)
  func reportsMisplacedDefinitions(_ text: String, _ expected: String) {
    #expect(read(text) == expected)
    // A file that is not executable is regarded as a script only if it begins as one.
    let plain = load(text.replacing("#!", with: ""), kind: .plainFile)
    if !text.hasPrefix("\u{FEFF}") { #expect(plain == .program) }
  }

  @Test func reportsUTF16() {
    let text: [UInt8] = [0xFF, 0xFE] + "#!/bin/sh\n# [Match]\n".utf8.flatMap { [$0, 0 as UInt8] }
    let result = loadHook(name: "h", path: "f", kind: .executable, contents: text)
    #expect(
      result.diagnostics.map(\.description) == [
        "f:1: error: the text is UTF-16, which no interpreter reads: save it as UTF-8"
      ])
  }

  @Test func refusesADefinitionThatCannotBeExecuted() {
    #expect(
      load("#!/bin/sh\n" + Self.good, kind: .plainFile).diagnostics.map(\.description) == [
        "f:2: error: the file has a hook's definition, but is not executable (chmod +x); to disable the hook, rename the "
          + "file to h.disabled or, if it is in another directory, run: ln -s /dev/null /etc/journalhook/hooks.d/h"
      ])
    #expect(load("text", kind: .plainFile) == .program)
  }

  @Test func takesDropIns() throws {
    let hook = try #require(definition("#!x\n" + Self.good, kind: .executable, dropIns: ["[Match]\nUnit=b"]))
    #expect(hook.match.namedUnits == ["a.service", "b.service"])
    #expect(
      load("#!x\n" + Self.good, kind: .executable, dropIns: ["[Hook]\nExec=x"]).diagnostics.first?.description
        .hasPrefix(
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
