import Glibc

@testable import RunLedger

/// Opens states of a disk, and judges what is in them by what was committed until then.
struct PowerCutJudge {
  private let life: LedgerLife
  var platter: Platter
  var findings = PowerCuts.Findings()
  private let directory: RealDirectory
  /// What was found in states that were opened already.
  private var known: [Int: OpenedState] = [:]
  private let wasLoaded: Bool

  init(_ life: LedgerLife, _ platter: Platter) throws {
    self.life = life
    self.platter = platter
    wasLoaded = !platter.files.isEmpty
    directory = try RealDirectory()
  }

  /// The last mark that must not be lost: the ledger has promised it, or its transaction was synced; nil: none.
  private var firstAllowed: Int? {
    let promise = life.promises.filter { $0 <= platter.mark ?? -1 }.max()
    return [promise, platter.durableMark, wasLoaded ? 0 : nil].compactMap { $0 }.max()
  }

  /// The next mark: its transaction may be under way.
  private var lastAllowed: Int { min((platter.mark ?? -1) + 1, life.contents.count - 1) }

  mutating func judge(_ state: Platter.State) throws {
    findings.judged += 1
    switch try open(state) {
    case .refused(let error): note("follow does not start: \(error)")
    case .setAside(let damage): judge(damage)
    case .ledger(let content, let check):
      if check != "ok" { note("the ledger is damaged, and follow uses it: \(check)") }
      judge(content)
    }
  }

  private mutating func open(_ state: Platter.State) throws -> OpenedState {
    var hasher = Hasher()
    for (name, bytes) in state.sorted(by: { $0.key < $1.key }) {
      hasher.combine(name)
      bytes.withUnsafeBytes { hasher.combine(bytes: $0) }
    }
    let key = hasher.finalize()
    if let opened = known[key] { return opened }
    findings.opened += 1
    let opened = try directory.open(state, time: EventNumber.time(life.contents[lastAllowed].cursor ?? 0) + 500_000)
    known[key] = opened
    return opened
  }

  private mutating func judge(_ damage: LedgerDamage) {
    guard let firstAllowed else {
      findings.setAsideBeforePromise += 1
      return
    }
    note("the ledger is set aside, although all was synced that it needs: \(damage.reason)")
    let last = life.contents[firstAllowed].cursor ?? 0
    if damage.since > EventNumber.time(last) + 1 { note("events after the last cursor on the disk are not read again") }
  }

  private mutating func judge(_ content: LedgerContent) {
    if content.lost != nil { note("an event that the cursor has passed has no run") }
    if let firstAllowed {
      let durable = life.contents[firstAllowed]
      if (content.cursor ?? -1) < durable.cursor ?? -1 { note("the cursor is before one that was on the disk") }
      if !content.open.isDisjoint(with: durable.finished) { note("a run is open that was finished on the disk") }
    }
    if let found = ((firstAllowed ?? 0)...lastAllowed).last(where: { life.contents[$0] == content }) {
      findings.mostLost = max(findings.mostLost, lastAllowed - found)
    } else {
      note("the ledger is in no state that a transaction has left")
    }
  }

  private mutating func note(_ fault: String) { findings.faults[fault, default: 0] += 1 }
}
