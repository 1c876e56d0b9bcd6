package import Systemd

/// The result of reading a file in a hook directory.
package enum HookLoadResult: Sendable, Hashable {
  /// A hook, and any warnings about it.
  case hook(Hook, [Diagnostic])
  /// A file without a definition, which is not a hook. If it is executable, `Exec=` can name it.
  case program
  /// A file with a definition in a place where it is not read. This is a mistake, unless the file is the program of a hook.
  case misplaced(Diagnostic)
  /// An empty file, or a link to /dev/null: it hides the files of that name in directories of lower priority.
  case masked
  /// A definition that cannot be used.
  case broken([Diagnostic])

  /// The errors and warnings about the file.
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
  /// The path, for diagnostics.
  package var path: String
  /// The content of the file.
  package var contents: [UInt8]

  package init(path: String, contents: [UInt8]) {
    self.path = path
    self.contents = contents
  }
}

/// Reads a hook from the contents of its file and of its drop-ins.
///
/// - Parameters:
///   - name: The hook's name: the name of the file without `.hook`.
///   - path: The path of the file, for diagnostics.
///   - dropIns: The drop-ins in the order in which they are merged.
///   - defaultTimeout: The timeout of a hook without `TimeoutSec=`.
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
        + "without the mark, or run: sed -i '1s/^\\xEF\\xBB\\xBF//' \(path)"
      return .broken([Diagnostic(file: path, line: 1, severity: .error, message: message)])
    }
  }
  let content: UnitFile
  switch kind {
  case .definitionFile:
    content = UnitFile(parsing: contents)
  case .executable, .plainFile:
    guard let lines = LeadingComment.definition(in: contents) else {
      // A text that is neither executable nor a script may be documentation that shows a definition.
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
        "the file has a hook's definition, but is not executable (chmod +x); to disable the hook, rename the file to "
        + "\(name).disabled or, if it is in another directory, run: ln -s /dev/null /etc/journalhook/hooks.d/\(name)"
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
    let message = "the file has no #! line that names an interpreter, such as #!/bin/sh: it cannot be executed"
    diagnostics.append(Diagnostic(file: path, line: 1, severity: .error, message: message))
  }
  if diagnostics.contains(where: { $0.severity == .error }) { return .broken(diagnostics) }
  let hook = Hook(
    name: name, path: path, kind: kind, definition: parser.definition, dropIns: dropIns.map(\.path),
    assignments: parser.assignments)
  return .hook(hook, diagnostics)
}

/// Checks whether a file without `.hook` in its name is a definition: its first line is a section header or one of the usual keys.
///
/// - Returns: the number of that line, and a message about it; nil if the file is not a definition.
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
      let message = "the file is a definition, but its name does not end with .hook: rename it"
      return isSection || isKey ? (number, message) : nil
    }
    rest = rest.dropFirst(line.count + 1)
    number += 1
  }
  return nil
}
