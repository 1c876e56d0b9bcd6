internal import SimulatedSystem
internal import Systemd

/// journald and its files, in memory: it delays what it is sent, loses it, rotates, vacuums, and moves its files.
final class SimulatedJournald {
  /// An entry that it has stored.
  struct Stored {
    var entry: JournalEntry
    let pid: String
    let transport: String
    let unit: String
    let machine: String
    let message: SentEntry

    /// The beginning of its cursor, `s=…`, and its number there.
    var sequence: String { String(entry.cursor.prefix { $0 != ";" }) }
    var number: Int {
      let part = entry.cursor.split(separator: ";").dropFirst().first ?? ""
      return Int(part.dropFirst(2), radix: 16) ?? 0
    }
  }

  private let clock: WorldClock
  private var chance: Chance
  /// The entries that were not vacuumed, in their order.
  private(set) var stored: [Stored] = []
  /// How many entries were vacuumed: entries keep their numbers, which count from 0.
  private(set) var first = 0
  private var sequence: UInt64 = 1
  private var number: UInt64 = 0
  /// Which file it writes to: a reader of another state has to look for files.
  private(set) var generation = 0
  /// Until when it does not read its socket, and since when the oldest message waits there.
  private var stalledUntil: UInt64 = 0
  /// The messages in its socket, by their numbers.
  private var waiting: [Int: SentEntry] = [:]
  /// Messages that it has lost.
  private(set) var lost: [SentEntry] = []
  /// Messages that it has stored much later: what they tell may be known by then.
  private(set) var late: [SentEntry] = []
  /// All messages, with the time that had passed.
  private var sent: [(message: SentEntry, passed: UInt64)] = []
  private var lastDelivery: UInt64 = 0
  /// The time of the newest entry, and its boot.
  private var lastStored: (monotonic: UInt64, boot: String) = (0, "")
  private var isNotifying = false
  /// Asks which entries `follow` may not have read.
  var unread: () -> (JournalEntry) -> Bool = { { _ in false } }
  /// Called when readers get to know that something has changed.
  var onChange: () -> Void = {}

  init(clock: WorldClock, seed: UInt64) {
    self.clock = clock
    chance = Chance(seed)
  }

  /// The number after that of the last entry.
  var end: Int { first + stored.count }

  func entry(_ number: Int) -> Stored { stored[number - first] }

  /// Takes a message that was sent to it: it is stored a moment later, in the order of sending.
  func send(_ message: SentEntry) {
    var delay = chance.time(upTo: 20_000)
    if clock.monotonic < stalledUntil {
      delay += stalledUntil - clock.monotonic
      late.append(message)
    }
    let time = max(lastDelivery, clock.monotonic + delay)
    lastDelivery = time
    waiting[message.number] = message
    sent.append((message, clock.passed))
    clock.after(time - clock.monotonic) { [unowned self] in
      if waiting.removeValue(forKey: message.number) != nil { store(message) }
    }
  }

  private func store(_ message: SentEntry) {
    number += 1
    // journald stamps entries one after the other (journald-server.c, server_dispatch_message_real).
    lastStored = (
      lastStored.boot == message.boot ? max(clock.monotonic, lastStored.monotonic + 1) : clock.monotonic, message.boot
    )
    let monotonic = lastStored.monotonic
    let realtime = clock.realtime + (monotonic - clock.monotonic)
    func value(_ name: String) -> String { message.fields.first { $0.name == name }?.text ?? "" }
    let entry = JournalEntry(
      fields: message.fields, cursor: cursor(message.boot, monotonic, realtime), realtime: realtime,
      monotonic: monotonic, boot: message.boot)
    stored.append(
      Stored(
        entry: entry, pid: value("_PID"), transport: value("_TRANSPORT"), unit: value("UNIT"),
        machine: value("_MACHINE_ID"), message: message))
    notify()
  }

  private func cursor(_ boot: String, _ monotonic: UInt64, _ realtime: UInt64) -> String {
    let sequence = String(sequence, radix: 16)
    let name = String(repeating: "0", count: 32 - sequence.count) + sequence
    return "s=\(name);i=\(String(number, radix: 16));b=\(boot);m=\(String(monotonic, radix: 16));"
      + "t=\(String(realtime, radix: 16));x=\(String(number &* 0x9e37_79b9_7f4a_7c15, radix: 16))"
  }

  /// inotify tells readers up to 250 ms later (journald's server.c, POST_CHANGE_TIMER_INTERVAL_USEC).
  private func notify() {
    guard !isNotifying else { return }
    isNotifying = true
    clock.after(chance.time(upTo: 250_000)) { [unowned self] in
      isNotifying = false
      onChange()
    }
  }

  /// All messages that were sent to it.
  var all: [SentEntry] { sent.map(\.message) }

  /// The messages that were sent after some time had passed.
  func sentSince(_ passed: UInt64) -> [SentEntry] { sent.filter { $0.passed >= passed }.map(\.message) }

  private func loseWaiting() {
    lost += waiting.values.sorted { $0.number < $1.number }
    waiting = [:]
  }

  // MARK: What may happen to it

  /// The power is cut: what it has written last may not be on the disk.
  func losePower() {
    let gone = min(stored.count, chance.once(in: 2) ? 0 : chance.below(20))
    lost += stored.suffix(gone).map(\.message)
    stored.removeLast(gone)
  }

  /// It does not read its socket for a time.
  func stall(for time: UInt64) { stalledUntil = clock.monotonic + time }

  /// It is killed: what it had not read is lost.
  func kill() {
    loseWaiting()
    rotate()
  }

  /// It begins a new file.
  func rotate() {
    generation += 1
    notify()
  }

  /// The oldest entries are deleted.
  func vacuum(keeping count: Int) {
    let gone = max(0, stored.count - count)
    let isUnread = unread()
    lost += stored[..<gone].filter { isUnread($0.entry) }.map(\.message)
    stored.removeFirst(gone)
    first += gone
    rotate()
  }

  /// The files are moved from /run to /var: all entries get other numbers.
  func flush() {
    sequence += 1
    let last = number
    for index in stored.indices {
      number = last + UInt64(index)
      let entry = stored[index].entry
      let moved = cursor(entry.boot, entry.monotonic, entry.realtime)
      // What identifies an entry stays: the hash is that of its first number.
      let hash = entry.cursor[(entry.cursor.lastIndex(of: ";") ?? entry.cursor.startIndex)...]
      let text = moved[..<(moved.lastIndex(of: ";") ?? moved.endIndex)] + hash
      stored[index].entry = JournalEntry(
        fields: entry.fields, cursor: String(text), realtime: entry.realtime, monotonic: entry.monotonic,
        boot: entry.boot)
    }
    number = last + UInt64(stored.count)
    rotate()
  }

  /// The machine boots: what it had not stored is lost.
  func boot() {
    loseWaiting()
    isNotifying = false
    stalledUntil = 0
    lastDelivery = 0
    generation += 1
  }
}
