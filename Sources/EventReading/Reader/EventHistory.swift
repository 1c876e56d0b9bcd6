package import Lifecycle
internal import Systemd

/// The past events of a time span, in the order of time or in reverse.
///
/// The meaning of an entry depends on the earlier entries of the unit in the same boot, and on nothing before that boot. So to find
/// the last events it reads whole boots, the newest first, until it has enough events.
package struct EventHistory {
  /// The choice of one boot, as with `journalctl --boot=`.
  package enum BootChoice: Sendable, Equatable {
    /// 0 is the newest boot, -1 the one before it; 1 is the oldest, 2 the one after it.
    case offset(Int)
    /// The boot with this id, or the boot at an offset from it.
    case id(String, offset: Int)
  }

  /// The journal does not have the boot that was chosen.
  package struct NoSuchBoot: Error, CustomStringConvertible {
    package let description =
      "The journal does not have this boot. journalctl --list-boots shows the boots that it has."
  }

  /// The start of the time span, in microseconds since 1970.
  package var since: UInt64 = 0
  /// The end of the time span, in microseconds since 1970.
  package var until: UInt64 = .max
  /// The boot to read; nil for all boots.
  package var boot: BootChoice?
  /// Whether an `EventTail` continues afterwards. Events that still wait for their last message are then left to it.
  package var isFollowed = false
  /// Whether to show an event.
  package var accepts: (LifecycleEvent) -> Bool = { _ in true }

  private let readers: EventReaders

  package init(_ readers: EventReaders) { self.readers = readers }

  /// Shows the events, the oldest first. Afterwards the readers are at the end of the journal.
  package func forward(_ show: (LifecycleEvent) -> Void) throws {
    let sources = try boot == nil ? readers.all.map(stream) : bootSources()
    try merge(sources, isBefore: <) {
      show($0)
      return true
    }
  }

  /// Shows the events, the newest first, until `show` returns false. Afterwards the readers are at the end of the journal.
  package func backward(_ show: (LifecycleEvent) -> Bool) throws {
    let sources = try bootSources().map { source in { try source().map { $0.reversed() } } as Source }
    try merge(sources, isBefore: >, show)
  }

  /// The last `count` events, the oldest first.
  package func last(_ count: Int) throws -> [LifecycleEvent] {
    var found: [LifecycleEvent] = []
    try backward { event in
      if found.count < count { found.append(event) }
      return found.count < count
    }
    return found.reversed()
  }

  private func isWanted(_ event: LifecycleEvent) -> Bool {
    event.realtime >= since && event.realtime <= until && accepts(event)
  }

  // MARK: One machine

  /// Returns the next events of one machine; nil at the end.
  private typealias Source = () throws -> [LifecycleEvent]?

  /// The events of the span, in the order in which they are read.
  private func stream(_ reader: EventReader) throws -> Source {
    if since > 0 { try reader.seek(realtime: since) }
    var isAtEnd = false
    var order = EventOrder()
    return {
      if isAtEnd { return nil }
      // Few at a time: they are then still in the caches of the processor and of malloc(3) when they are shown.
      var batch = try reader.read(limit: 16, until: until)
      isAtEnd = batch.isAtEnd
      if isAtEnd { batch.events += rest(of: reader) }
      return order.take(batch.events, waitingSince: isAtEnd ? nil : reader.tracker.waitingSince)
    }
  }

  /// The events of each machine, boot by boot, the newest boot first; or only those of the chosen boot.
  private func bootSources() throws -> [Source] {
    let boots = try readers.all.map { try BootList($0.source, on: $0.host) }
    guard let choice = boot else { return zip(readers.all, boots).map(boots(of:in:)) }
    let chosen = try boots.map { try $0.boot(choice) }
    if chosen.allSatisfy({ $0 == nil }) { throw NoSuchBoot() }
    return zip(readers.all, chosen).map { reader, boot in
      var boot = boot
      return {
        defer { boot = nil }
        return try boot.map { try events(of: $0, reader) }
      }
    }
  }

  private func boots(of reader: EventReader, in boots: BootList) -> Source {
    var isAtBegin = false
    return {
      while !isAtBegin, let boot = try boots.next() {
        isAtBegin = boot.realtime <= since
        if boot.realtime <= until { return try events(of: boot, reader) }
      }
      return nil
    }
  }

  private func events(of boot: BootList.Boot, _ reader: EventReader) throws -> [LifecycleEvent] {
    // The newest boot is read by the reader itself, so that it can follow from there on.
    let reader = boot.isNewest ? reader : try EventReader(reader.source, on: reader.host)
    try reader.seek(boot)
    var events: [LifecycleEvent] = []
    var order = EventOrder()
    while true {
      var batch = try reader.read(limit: 1024, until: until)
      if batch.isAtEnd { batch.events += rest(of: reader) }
      // Events that were still open at the end of this boot come with the first entry of the next boot.
      let isComplete = batch.isAtEnd || reader.boot != boot.id
      events += order.take(
        batch.events.filter { $0.boot == boot.id }, waitingSince: isComplete ? nil : reader.tracker.waitingSince)
      if isComplete { return events }
    }
  }

  // MARK: All machines

  private func merge(
    _ sources: [Source], isBefore: (UInt64, UInt64) -> Bool, _ show: (LifecycleEvent) -> Bool
  ) throws {
    if sources.count == 1 {
      // They are already in order: no copies are needed.
      while let events = try sources[0]() {
        for event in events where isWanted(event) {
          if !show(event) { return }
        }
      }
      return
    }
    var open = sources.map { (source: $0, events: ArraySlice<LifecycleEvent>()) }
    while true {
      var first: (index: Int, time: UInt64)?
      for index in open.indices {
        while open[index].events.isEmpty, let more = try open[index].source() { open[index].events = more[...] }
        guard let time = open[index].events.first?.realtime else { continue }
        if let first, !isBefore(time, first.time) { continue }
        first = (index, time)
      }
      guard let first, let event = open[first.index].events.popFirst() else { return }
      if isWanted(event), !show(event) { return }
    }
  }

  /// The events that still wait for their last message at the end of the journal. When they are followed, only the overdue ones.
  private func rest(of reader: EventReader) -> [LifecycleEvent] {
    if isFollowed, readers.selection.isLocal { return reader.flush(until: readers.host.clocks.monotonic).events }
    // The monotonic clock of another machine is not known here.
    if isFollowed, let last = reader.cursor, last.realtime + LifecycleTracker.patience > readers.host.clocks.realtime {
      return []
    }
    return reader.flush(until: nil).events
  }
}
