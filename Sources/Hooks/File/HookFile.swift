package import Systemd

/// What became of a file in a hook directory.
package enum HookLoadResult: Sendable, Hashable {
  /// A hook, with warnings if there are some.
  case hook(Hook, [Diagnostic])
  /// A file without a definition: no hook; if it can be executed, a program for `Exec=`.
  case program
  /// A file without a definition where one counts, but with one elsewhere: a mistake, unless it is some hook's program.
  case misplaced(Diagnostic)
  /// An empty file (or a link to /dev/null): hides the files of that name in the directories behind.
  case masked
  /// A definition that cannot be used.
  case broken([Diagnostic])

  /// What there is to say about the file.
  package var diagnostics: [Diagnostic] {
    switch self {
    case .hook(_, let diagnostics), .broken(let diagnostics): diagnostics
    case .misplaced(let diagnostic): [diagnostic]
    case .program, .masked: []
    }
  }
}

/// A drop-in of a hook.
package struct HookDropIn: Sendable, Hashable {
  package var path: String
  package var contents: [UInt8]

  package init(path: String, contents: [UInt8]) {
    self.path = path
    self.contents = contents
  }
}

/// Reads a hook from the contents of its file and of its drop-ins.
///
/// - Parameters:
///   - name: The hook's name: the file's without `.hook`.
///   - path: Where the file is; diagnostics name it.
///   - dropIns: In the order in which they are merged.
///   - defaultTimeout: `TimeoutSec=` of a hook that has none.
package func loadHook(
  name: String, path: String, kind: HookKind, contents: [UInt8], dropIns: [HookDropIn] = [],
  defaultTimeout: TimeSpan = Configuration().defaultTimeout
) -> HookLoadResult {
  guard !contents.isEmpty else { return .masked }
  var contents = contents
  var diagnostics: [Diagnostic] = []
  let isMarked = kind != .definitionFile && contents.starts(with: MisplacedDefinition.byteOrderMark)
  if isMarked {
    contents.removeFirst(MisplacedDefinition.byteOrderMark.count)
    if contents.starts(with: "#!".utf8) || LeadingComment.definition(in: contents) != nil {
      let message =
        "the file begins with a byte order mark (U+FEFF), so that the kernel does not find its #! line: save it "
        + "without, or: sed -i '1s/^\\xEF\\xBB\\xBF//' \(path)"
      return .broken([Diagnostic(file: path, line: 1, severity: .error, message: message)])
    }
  }
  let content: UnitFile
  switch kind {
  case .definitionFile:
    content = UnitFile(parsing: contents)
  case .executable, .plainFile:
    guard let lines = LeadingComment.definition(in: contents) else {
      // A text that is no script, and not executable, may well be about hooks.
      let isScript = kind == .executable || contents.starts(with: "#!".utf8) || isMarked
      if let found = firstSection(in: contents) {
        return .broken([Diagnostic(file: path, line: found.line, severity: .error, message: found.message)])
      }
      guard isScript, let found = MisplacedDefinition.find(in: contents) else { return .program }
      return .misplaced(Diagnostic(file: path, line: found.line, severity: .error, message: found.message))
    }
    content = UnitFile(lines: lines)
    if kind == .plainFile {
      let line = content.sections.first?.line ?? 1
      let message =
        "the file has a hook's definition, but is not executable (chmod +x); to switch a hook off, rename its file to "
        + "\(name).disabled, or where it lies in another directory: ln -s /dev/null /etc/journalhook/hooks.d/\(name)"
      return .broken([Diagnostic(file: path, line: line, severity: .error, message: message)])
    }
    for key in MisplacedDefinition(contents).strayKeys(besides: Set(lines.map(\.number))) {
      diagnostics.append(Diagnostic(file: path, line: key.line, severity: key.severity, message: key.message))
    }
  }

  var parser = HookParser(kind: kind, defaultTimeout: defaultTimeout)
  parser.add(content, file: path)
  for dropIn in dropIns { parser.add(UnitFile(parsing: dropIn.contents), file: dropIn.path) }
  parser.finish(content, file: path)
  diagnostics += parser.diagnostics
  if kind == .executable, !contents.starts(with: "#!".utf8) {
    let message = "the file has no #! line, such as #!/bin/sh, to say what runs it: no run could begin"
    diagnostics.append(Diagnostic(file: path, line: 1, severity: .error, message: message))
  }
  if diagnostics.contains(where: { $0.severity == .error }) { return .broken(diagnostics) }
  let hook = Hook(
    name: name, path: path, kind: kind, definition: parser.definition, dropIns: dropIns.map(\.path),
    assignments: parser.assignments)
  return .hook(hook, diagnostics)
}

/// The section or the key that a definition without `.hook` in its file's name begins with; nil if it is none.
private func firstSection(in contents: [UInt8]) -> (line: Int, message: String)? {
  var rest = contents[...]
  var number = 1
  while !rest.isEmpty {
    let line = rest.prefix { $0 != UInt8(ascii: "\n") }
    let text = line.drop { $0 == 0x20 || $0 == 0x09 || $0 == 0x0D }
    if let first = text.first, first != UInt8(ascii: "#"), first != UInt8(ascii: ";") {
      let isSection = HookParser.sections.contains { text.starts(with: "[\($0)]".utf8) }
      let isKey =
        !contents.starts(with: "#!".utf8) && ["Unit=", "Event=", "Exec="].contains { text.starts(with: $0.utf8) }
      let message = "a definition, but the file's name does not end with .hook: rename it"
      return isSection || isKey ? (number, message) : nil
    }
    rest = rest.dropFirst(line.count + 1)
    number += 1
  }
  return nil
}
