internal import Hooks
internal import Lifecycle
internal import RunLedger
internal import Runs
package import Systemd

/// The ids of journalhook's own messages in the journal, to find them with `journalctl MESSAGE_ID=…`.
///
/// contrib/journalhook.catalog explains each of them.
package enum MessageID: String, Sendable, CaseIterable {
  /// An attempt of a run starts.
  case runStarted = "2fb84b17d0e6496c9e8bfa8cfb6d16e8"
  /// A run has succeeded.
  case runSucceeded = "6bdf131afedd43f686de27f54c6ce083"
  /// A run has failed, timed out or could not be started.
  case runFailed = "b32fbb01bd234572a6ce49bba36eb84d"
  /// A run was interrupted by the end of journalhook, and will be run again.
  case runInterrupted = "4f50b9d0e2c64b6ab212b5a4ecc6f5a3"
  /// A run will not be done, because it is stale, superseded, skipped, …
  case runDropped = "32b95a8e5bff40adb2fc0bf9a3462d37"
  /// Runs of a hook are not done because of its rate limit or of CatchUp=latest. They are reported together.
  case runsDropped = "07224eee33c84173ba670bbeccd8d05e"
  /// A run has printed more than is written to the journal.
  case outputCut = "53fe70c0a29943ae8c36d3220ae9082e"
  /// A hook file cannot be used.
  case hookProblem = "18f400ff688b4de7b29fb86fd31ac7d1"
  /// A hook was loaded, has changed or was removed.
  case hookLoaded = "e7a1c4b03d5f4c1b9a6e2f80d94b7c35"
  /// Following starts.
  case following = "d1165d4871b840da8b7461e7fb4bef1b"
  /// Entries of the journal may have been missed.
  case gap = "bb76af92a6714a0a9a17e8847ede1ef5"
  /// The ledger is damaged, or a damaged one was set aside.
  case ledgerDamaged = "d645d5efb190427fa43a589734a11ab6"
  /// Hooks form a cycle, and are suspended.
  case cycle = "b280b237816f429da6d20ff9affc93ab"
  /// Something that journalhook needs does not work.
  case trouble = "6c4808531e874a6188b61fc7bcee030c"
}

/// Reports what journalhook does: in the journal, and also on a terminal.
package final class Reporter {
  /// Shows a line on the terminal; nil if there is none.
  private let show: ((String) -> Void)?
  /// Shows a problem of journalhook itself on standard error; nil if that is the journal, or if there is a terminal.
  private let warn: ((String) -> Void)?

  private let journal: JournalWriter?
  private var exitSource: EventSource?
  /// The messages of `sayOnce`.
  private var said: Set<String> = []
  /// The outputs to continue with when the journal takes messages again.
  private var pausedOutputs: [RunOutput] = []
  /// The outputs of runs that have ended, which are not read completely yet.
  private var endedOutputs: [RunOutput] = []

  /// How many outputs of ended runs are kept while the journal takes no messages. Each has a descriptor.
  private static let mostEndedOutputs = 64
  /// How long to wait for the journal at the end of the process, in microseconds.
  private static let flushTime: UInt64 = 200_000

  /// - Parameters:
  ///   - loop: the event loop, which sends the messages that the journal does not take at once.
  ///   - show: shows a line on the terminal. Without it, events and runs are reported in the journal only.
  ///   - warn: shows a line on standard error, if that is not the journal.
  package init(
    loop: EventLoop, journal: JournalWriter = JournalWriter(), show: ((String) -> Void)? = nil,
    warn: ((String) -> Void)? = nil
  ) {
    self.journal = journal
    // Others choose the names of units, the output of hooks and the content of files: control characters are escaped.
    self.show = show.map { show in { show($0.printable) } }
    self.warn = warn.map { warn in { warn($0.printable) } }
    journal.attach(to: loop)
    journal.onLoss = { [unowned self] count in
      say(
        "\(count) messages of journalhook and its hooks were lost, because journald did not take them.", .trouble,
        priority: .warning)
    }
    journal.onRoom = { [unowned self] in resumeOutputs() }
    exitSource = try? loop.scheduleAtExit { [unowned self] in flush() }
  }

  /// Makes a reporter that only shows what it reports: there is no journal.
  package init(show: @escaping (String) -> Void) {
    journal = nil
    self.show = show
    warn = nil
  }

  /// Whether lines are shown on a terminal.
  var hasTerminal: Bool { show != nil }

  /// Reports something about journalhook itself.
  package func say(_ message: String, _ id: MessageID, priority: JournalWriter.Priority) {
    journal?.send(
      message.printable, priority: priority,
      fields: [(name: "MESSAGE_ID", value: id.rawValue), (name: "SYSLOG_IDENTIFIER", value: "journalhook")])
    if let show { show(message) } else { warn?(message) }
  }

  /// Reports something that stays true as long as this process runs, and only once.
  func sayOnce(_ message: String, _ id: MessageID, priority: JournalWriter.Priority) {
    if said.insert(message).inserted { say(message, id, priority: priority) }
  }

  /// Shows a message on standard error that the journal has already.
  func showWarning(_ message: String) {
    if show == nil { warn?(message) }
  }

  /// Shows an event on the terminal. The journal has it already.
  func event(_ event: LifecycleEvent) {
    guard let show else { return }
    let result = event.result.map { " \($0)" } ?? ""
    let restart = event.restartJob == true ? " restart" : ""
    show(
      "\(Timestamp(microseconds: event.realtime).shortPreciseLocal) \(event.unit) \(event.kind.rawValue)\(result)\(restart)"
    )
  }

  /// Reports that an attempt starts.
  func started(_ run: Run) {
    let again = run.attempt > 1 ? ", attempt \(run.attempt)" : ""
    report(
      run, "Hook \(run.hook) starts: \(run.event.unit) \(run.event.kind.rawValue) (run \(run.id)\(again)).",
      .runStarted,
      .info)
  }

  /// Reports the outcome of an attempt, and what follows from it.
  ///
  /// - Parameter endsWithBoot: the system shuts down, and the hook has no `PreviousBoots=yes`: the run will not be continued.
  func ended(
    _ run: Run, _ outcome: RunMachine.Outcome, _ consequence: RunConsequence = .final, endsWithBoot: Bool = false
  ) {
    let subject = "Hook \(run.hook)"
    let number = run.id == 0 ? "" : " (run \(run.id))"
    let suffix = "\(run.event.unit) \(run.event.kind.rawValue)\(number)"
    let reason = outcome.reason.map { ": \($0)" } ?? ""
    let exit =
      switch outcome.exit {
      case .exited(let status): ", status \(status)"
      case .killed(let signal), .dumped(let signal): ", killed by signal \(signal)"
      case nil: ""
      }
    let next =
      switch consequence {
      case .final: ""
      case .rerun where endsWithBoot, .retry where endsWithBoot:
        "; the system shuts down, and it is not run again, because the hook does not say PreviousBoots=yes"
      case .rerun: "; it will be run again"
      case .retry(let delay, _): "; it will be tried again in \(TimeSpan(microseconds: delay))"
      case .mended(let planned): "; hook \(planned.hook) is run for this failure (OnHookFailure=)"
      case .unanswered(let reason): "; no hook is run for this failure: \(reason)"
      }
    let state = (name: "JOURNALHOOK_STATE", value: outcome.state.rawValue)
    switch outcome.state {
    case .succeeded: report(run, "\(subject) succeeded: \(suffix).", .runSucceeded, .info, [state])
    case .failed: report(run, "\(subject) failed\(exit)\(reason)\(next): \(suffix).", .runFailed, .error, [state])
    case .timedOut:
      let after = outcome.reason.map { " \($0)" } ?? ""
      report(run, "\(subject) timed out\(after) and was ended\(exit)\(next): \(suffix).", .runFailed, .error, [state])
    case .interrupted:
      report(run, "\(subject) was interrupted\(reason)\(next): \(suffix).", .runInterrupted, .warning, [state])
    default:
      report(
        run, "\(subject) is not run, \(outcome.state.rawValue)\(reason): \(suffix).", .runDropped, .notice, [state])
    }
  }

  /// Reports the runs that were dropped in a time span.
  func dropped(_ dropped: DroppedRuns) {
    let fields = [
      (name: "MESSAGE_ID", value: MessageID.runsDropped.rawValue), (name: "SYSLOG_IDENTIFIER", value: dropped.hook),
      (name: "JOURNALHOOK_HOOK", value: dropped.hook), (name: "JOURNALHOOK_STATE", value: dropped.state.rawValue),
    ]
    let units = dropped.namedUnits.map { (name: "OBJECT_SYSTEMD_UNIT", value: $0) }
    journal?.send(dropped.text, priority: .notice, fields: fields + units)
    show?(dropped.text)
  }

  /// Reports a run that was added to the ledger in a final state, and will never be done.
  func dropped(_ run: PlannedRun) {
    let outcome = RunMachine.Outcome(state: run.state, reason: run.reason)
    ended(Run(id: 0, hook: run.hook, event: run.event, mode: run.mode, attempt: 1), outcome)
  }

  /// Writes a line of output of a run to the journal. A prefix `<3>` gives its priority (sd-daemon(3)).
  ///
  /// - Parameter fields: the fields from `outputFields(of:)`, which are the same for all lines.
  func output(_ run: Run, _ line: [UInt8], _ fields: JournalFields) {
    var text = line[...]
    var priority = UInt8(ascii: "6")
    if text.count >= 3, text[0] == UInt8(ascii: "<"), text[2] == UInt8(ascii: ">"),
      (UInt8(ascii: "0")...UInt8(ascii: "7")).contains(text[1])
    {
      priority = text[1]
      text = text.dropFirst(3)
    }
    var entry = JournalFields()
    entry.append("MESSAGE", text)
    entry.append("PRIORITY", [priority])
    entry.append(fields)
    journal?.send(entry)
    show?("\(run.hook)[\(run.id)]: \(String(decoding: text, as: UTF8.self))")
  }

  /// Reports that a run has printed more than is written to the journal: once at the limit, and at the end with the rest.
  ///
  /// - Parameters:
  ///   - lines: the number of lines that were dropped; nil at the limit.
  ///   - bytes: the number of bytes that were dropped.
  func outputCut(_ run: Run, lines: Int? = nil, bytes: Int = 0) {
    let what =
      if let lines {
        "\(lines) more lines, \(bytes) bytes, are not in the journal"
      } else {
        "it has printed \(OutputBudget.lines) lines or \(OutputBudget.bytes >> 20) MiB; further output is not kept"
      }
    report(run, "Hook \(run.hook): \(what) (run \(run.id)).", .outputCut, .warning)
  }

  /// The fields of every line of output of a run.
  func outputFields(of run: Run) -> JournalFields { JournalFields(Reporter.fields(of: run)) }

  // MARK: Back-pressure

  /// Whether the journal takes no output for now. Then the output is resumed when it does again.
  func isBackedUp(for output: RunOutput) -> Bool {
    guard journal?.isBackedUp == true else { return false }
    if !pausedOutputs.contains(where: { $0 === output }) { pausedOutputs.append(output) }
    return true
  }

  /// Keeps the output of a run that has ended until it is read completely; returns false if there are too many of them.
  func keep(_ output: RunOutput) -> Bool {
    guard endedOutputs.count < Reporter.mostEndedOutputs else { return false }
    endedOutputs.append(output)
    return true
  }

  /// Removes an output that was read completely, or will not be.
  func forget(_ output: RunOutput) {
    pausedOutputs.removeAll { $0 === output }
    endedOutputs.removeAll { $0 === output }
  }

  private func resumeOutputs() {
    let outputs = pausedOutputs
    pausedOutputs = []
    outputs.forEach { $0.resume() }
  }

  /// Sends the remaining messages, as far as the journal takes them within `flushTime`.
  private func flush() {
    endedOutputs.forEach { $0.readRest() }
    journal?.flush(within: Reporter.flushTime)
  }

  private func report(
    _ run: Run, _ message: String, _ id: MessageID, _ priority: JournalWriter.Priority,
    _ extra: [(name: String, value: String)] = []
  ) {
    journal?.send(
      message.printable, priority: priority,
      fields: [(name: "MESSAGE_ID", value: id.rawValue)] + Reporter.fields(of: run) + extra)
    show?(message)
  }

  private static func fields(of run: Run) -> [(name: String, value: String)] {
    var fields = [
      (name: "SYSLOG_IDENTIFIER", value: run.hook.printable),
      (name: "JOURNALHOOK_RUN_ID", value: String(run.id)),
      (name: "JOURNALHOOK_HOOK", value: run.hook.printable),
      (name: "JOURNALHOOK_UNIT", value: run.event.unit),
      (name: "JOURNALHOOK_EVENT", value: run.event.kind.rawValue),
      (name: "JOURNALHOOK_ATTEMPT", value: String(run.attempt)),
      (name: "JOURNALHOOK_MODE", value: run.mode.rawValue),
      // With it `journalctl -u UNIT` shows this entry of root among those of the unit (logs-show.c of systemd).
      (name: "OBJECT_SYSTEMD_UNIT", value: run.event.unit),
    ]
    if let cursor = run.event.cursor { fields.append((name: "JOURNALHOOK_CURSOR", value: cursor)) }
    return fields
  }
}
