internal import CSpawn
internal import Glibc
package import HookFiles
package import Hooks
internal import Processes
internal import Systemd
internal import TrustedFiles

/// Checks whether the programs of hooks can be run, as far as that is possible without running them.
///
/// It examines only programs that were loaded, and so are trusted.
package struct ProgramCheck {
  /// Scripts of at least this size are not checked for syntax errors, in bytes.
  private static let limit = 1 << 20

  private var diagnostics: [Diagnostic] = []
  private var triedScripts: Set<String> = []

  /// The problems of the programs of hooks.
  package static func problems(of hooks: [LoadedHook]) -> [Diagnostic] {
    var check = ProgramCheck()
    for hook in hooks {
      for program in hook.programs { check.check(program.path, of: hook) }
    }
    return check.diagnostics
  }

  private mutating func check(_ path: String, of hook: LoadedHook) {
    guard let contents = read(path) else { return checkUser(of: hook, canExecute: path, in: path, byPath: false) }
    guard let shebang = Shebang(contents) else {
      // A file that is not text can be a binary for this machine, or of a format that is registered in binfmt_misc.
      if !contents.prefix(512).contains(0), !contents.starts(with: [0x7F] + "ELF".utf8) {
        report(hook, path, "it is a text file without a #! line, such as #!/bin/sh, that names its interpreter")
      }
      return checkUser(of: hook, canExecute: path, in: path, byPath: false)
    }
    checkUser(of: hook, canExecute: path, in: path, byPath: false)
    switch shebang.reader {
    case .path(let interpreter):
      checkUser(of: hook, canExecute: interpreter, in: path)
      checkSyntax(of: path, contents, by: interpreter)
    case .name(let name):
      let directories = searchPath(of: hook).split(separator: ":")
      let candidates = directories.map { "\($0)/\(name)" }
      guard let interpreter = candidates.first(where: { unsafe access($0, X_OK) == 0 }) else {
        return report(hook, path, "\(shebang.interpreter) finds no '\(name)' in PATH (\(searchPath(of: hook)))")
      }
      checkUser(of: hook, canExecute: interpreter, in: path)
      checkSyntax(of: path, contents, by: interpreter)
    case .unknown: checkUser(of: hook, canExecute: shebang.interpreter, in: path)
    }
  }

  /// The start of a program; nil if it cannot be read.
  private func read(_ path: String) -> [UInt8]? {
    guard let file = try? TrustedFile.open(path) else { return nil }
    return try? file.contents(limit: ProgramCheck.limit, isDefinition: false)
  }

  private func searchPath(of hook: LoadedHook) -> String {
    hook.definition.environment.last { $0.name == "PATH" }?.value.constant ?? ExecCommand.searchPath
  }

  // MARK: Users

  /// Checks whether the user of the hook may execute a program. A script itself does not have to be readable for that user.
  ///
  /// - Parameter byPath: whether the user also needs access to the directories on the way: the kernel opens an interpreter by
  ///   its path, but the program of a hook is executed by a descriptor.
  private mutating func checkUser(
    of hook: LoadedHook, canExecute path: String, in program: String, byPath: Bool = true
  ) {
    let definition = hook.definition
    guard geteuid() == 0, definition.user != nil || definition.group != nil,
      let account = try? Account.find(user: definition.user, group: definition.group), account.identity.user != 0,
      let test = try? TrustedFile.open("/usr/bin/test", for: .executing),
      let file = try? TrustedFile.open(path, for: .executing)
    else { return }
    let answer = BoundedCommand.run(
      test, ["test", "-x", byPath ? path : "/dev/fd/0"], as: account.identity, input: file.descriptor.rawValue,
      searchPath: ExecCommand.searchPath)
    guard answer?.status == 1 else { return }
    let key = definition.user == nil ? "Group" : "User"
    report(
      hook, program,
      "\(account.name) may not execute \(path)\(byPath ? ", or not enter a directory on the way to it" : "")",
      about: key)
  }

  // MARK: Syntax

  /// Lets a shell check the syntax of a script (`sh -n`), as the user `nobody`.
  private mutating func checkSyntax(of path: String, _ contents: [UInt8], by interpreter: String) {
    let script = "/dev/fd/0"
    guard let arguments = Shebang.syntaxCheck(by: interpreter, of: script), contents.count < ProgramCheck.limit,
      // A text with a NUL is not checked: data that follows the script, as in self-extracting archives, would look like an error.
      !contents.contains(0), triedScripts.insert(path).inserted,
      let shell = try? TrustedFile.open(interpreter, for: .executing),
      let result = read(contents, by: shell, arguments)
    else { return }
    guard let status = result.status else {
      return diagnostics.append(
        Diagnostic(
          file: path, line: 1, severity: .warning,
          message: "\(interpreter) -n did not end in time, so the syntax was not checked"))
    }
    guard let found = Shebang.syntaxError(in: result.output, of: script) else { return }
    // The shell that runs the script never reads what follows an `exit`.
    if let end = Shebang.end(of: contents, before: found.line),
      let shorter = read(Array(contents[..<end]), by: shell, arguments), shorter.status == 0
    {
      return
    }
    diagnostics.append(
      Diagnostic(
        file: path, line: found.line, severity: status == 0 ? .warning : .error,
        message: "\(interpreter) -n: \(found.message)"))
  }

  private func read(
    _ contents: [UInt8], by shell: borrowing TrustedFile, _ arguments: [String]
  ) -> BoundedCommand.Result? {
    guard let input = copy(of: contents) else { return nil }
    return BoundedCommand.run(
      shell, arguments, as: BoundedCommand.nobody, input: input.rawValue, searchPath: ExecCommand.searchPath)
  }

  /// A file in memory with this content, which every user can read.
  private func copy(of contents: [UInt8]) -> OwnedDescriptor? {
    let number = unsafe cspawn_memory_file("script")
    guard number >= 0 else { return nil }
    let file = OwnedDescriptor(number)
    guard unsafe write(number, contents, contents.count) == contents.count, lseek(number, 0, SEEK_SET) == 0 else {
      return nil
    }
    return file
  }

  // MARK: Reports

  /// Adds the error that no run of the hook can succeed, because of one of its programs.
  private mutating func report(_ hook: LoadedHook, _ program: String, _ reason: String, about key: String? = nil) {
    let subject = program == hook.hook.path || reason.contains(program) ? "" : "\(program): "
    let exec = hook.definition.execConditions.contains { $0.program == program } ? "ExecCondition" : "Exec"
    let place: (file: String, line: Int) =
      if let key {
        hook.hook.place(of: key)
      } else if program == hook.hook.path {
        (program, 1)
      } else {
        hook.hook.place(of: exec, containing: program.lastName)
      }
    diagnostics.append(
      Diagnostic(
        file: place.file, line: place.line, severity: .error, message: "no run can succeed: \(subject)\(reason)"))
  }
}

extension String {
  /// What follows the last slash.
  fileprivate var lastName: String { split(separator: "/").last.map(String.init) ?? self }
}
