package import Lifecycle
internal import Systemd

/// The events of the past that a person asks for, in the order of time or the reverse.
///
/// What a unit's entry means depends on those before it, back to the boot; nothing reaches beyond that. So the last events are
/// found by reading boots from the newest on, until there are enough.
package struct EventHistory {
  /// Which boot is meant: `journalctl --boot=`.
  package enum BootChoice: Sendable, Equatable {
    /// 0 is the newest, -1 the one before; 1 the oldest, 2 the one after.
    case offset(Int)
    /// The boot of this id, or one so many before or after it.
    case id(String, offset: Int)
  }

  /// The journal does not have the boot.
  package struct NoSuchBoot: Error, CustomStringConvertible {
    package let description = "The journal has no such boot; journalctl --list-boots shows those that it has."
  }

  /// The span, in microseconds since 1970.
  package var since: UInt64 = 0
  package var until: UInt64 = .max
  package var boot: BootChoice?
  /// What waits for its last message is left to be told by whoever follows.
  package var isFollowed = false
  /// Whether a person wants to see an event.
  package var accepts: (LifecycleEvent) -> Bool = { _ in true }

  private let readers: EventReaders

  package init(_ readers: EventReaders) { self.readers = readers }

  /// Gives the events, the oldest first. The readers are at the journal's end then.
  package func forward(_ show: (LifecycleEvent) -> Void) throws {
    let sources = try boot == nil ? readers.all.map(stream) : bootSources()
    try merge(sources, isBefore: <) {
      show($0)
      return true
    }
  }

  /// Gives the events, the newest first, until `show` says that it is enough. The readers are at the journal's end then.
  package func backward(_ show: (LifecycleEvent) -> Bool) throws {
    let sources = try bootSources().map { source in { try source().map { $0.reversed() } } as Source }
    try merge(sources, isBefore: >, show)
  }

  /// The last so many events, the oldest first.
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

  /// Gives the next of one machine's events; nil at the end.
  private typealias Source = () throws -> [LifecycleEvent]?

  /// All events of the span as they are read.
  private func stream(_ reader: EventReader) throws -> Source {
    if since > 0 { try reader.seek(realtime: since) }
    var isAtEnd = false
    var order = EventOrder()
    return {
      if isAtEnd { return nil }
      // Few at a time: what was just read is still at hand, for the processor and for malloc(3), when it is shown.
      var batch = try reader.read(limit: 16, until: until)
      isAtEnd = batch.isAtEnd
      if isAtEnd { batch.events += rest(of: reader) }
      return order.take(batch.events, waitingSince: isAtEnd ? nil : reader.tracker.waitingSince)
    }
  }

  /// The events of each machine, boot by boot, from the newest on; or those of the boot that was chosen.
  private func bootSources() throws -> [Source] {
    let boots = try readers.all.map { try BootList($0.source) }
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
    // From the newest boot on the reader itself goes on to follow.
    let reader = boot.isNewest ? reader : try EventReader(reader.source, clocks: readers.clocks)
    try reader.seek(boot)
    var events: [LifecycleEvent] = []
    var order = EventOrder()
    while true {
      var batch = try reader.read(limit: 1024, until: until)
      if batch.isAtEnd { batch.events += rest(of: reader) }
      // The next boot's first entry tells what the end of this one has left open.
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
      // In order already: nothing need be moved.
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

  /// What waits for a last message at the end: who follows goes on waiting, but not for what is overdue.
  private func rest(of reader: EventReader) -> [LifecycleEvent] {
    if isFollowed, readers.selection.isLocal { return reader.flush(until: readers.clocks.monotonic).events }
    // Another machine's time since its boot is not known here.
    if isFollowed, let last = reader.cursor, last.realtime + LifecycleTracker.patience > readers.clocks.realtime {
      return []
    }
    return reader.flush(until: nil).events
  }
}
