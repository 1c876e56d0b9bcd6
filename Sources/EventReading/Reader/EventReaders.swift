internal import Glibc
package import Lifecycle
package import Systemd

/// The readers of a selection: one for this machine's journal, or one for each machine in a directory or in files.
///
/// Each has a position of its own, so that nothing is lost of a machine whose entries arrive an hour after those of another.
package final class EventReaders {
  package let selection: JournalSelection
  let clocks: any Clocks
  package private(set) var all: [EventReader] = []
  private var files: MachineFiles
  /// Of a directory or files that are followed: tells when something has changed there.
  private var scout: Journal?
  private var hasLooked = false
  /// Whether nothing tells of new files, so that they have to be looked for.
  private var isBlind = false
  private var descriptor: CInt = -1
  /// Whether there were fewer watches than expected once, though there is no want of them.
  private var hasDoubted = false
  /// The directories for which it is known that the kernel tells of changes in them.
  private var watchedDirectories: Set<String> = []

  /// Opens the journal, with all readers at its beginning.
  package init(_ selection: JournalSelection, clocks: any Clocks = SystemClocks()) throws(SystemError) {
    self.clocks = clocks
    self.selection = selection
    files = MachineFiles(selection.journal)
    if selection.isLocal {
      all = [try EventReader(MachineJournal(selection: selection, machine: try Id128.machine()), clocks: clocks)]
    } else {
      _ = try takeNote()
    }
  }

  /// The reader of this machine's journal; nil where journals of other machines, or files, are read.
  package var local: EventReader? { selection.isLocal ? all[0] : nil }

  /// By what the ledger knows whether it was ever followed.
  package var name: String { selection.isLocal ? all[0].name : "files" }

  /// The boot that a machine is in.
  package func newestBoot(of machine: String) -> String? { all.first { $0.machine == machine }?.newestBoot() }

  /// Whether the event's unit has taken the opposite turn since, as far as was read.
  package func hasTurnedBack(since event: LifecycleEvent) -> Bool {
    guard let reader = all.first(where: { $0.machine == event.machine }) else { return false }
    return reader.tracker.hasTurnedBack(since: event, newestBoot: reader.newestBoot())
  }

  /// Whether an event waits for a time that may pass without another entry.
  package var isWaiting: Bool { all.contains(where: \.isWaiting) }

  // MARK: Following

  /// The descriptor that becomes readable when something has changed. From now on changes are told by `process()`.
  package func fileDescriptor() throws(SystemError) -> CInt {
    watchedDirectories = []
    let descriptor: CInt
    if selection.isLocal {
      descriptor = try all[0].fileDescriptor()
      scout = nil
    } else {
      let opened = try Journal(selection.journal)
      descriptor = try opened.fileDescriptor()
      scout = consume opened
    }
    hasLooked = false
    self.descriptor = descriptor
    return descriptor
  }

  /// Makes sure that the kernel tells of changes in all directories with files that are read.
  ///
  /// libsystemd says nothing if it gets no watch (sd-journal.c), so its watches are counted; a watch that is asked for in its stead
  /// tells why there is none. To be called behind `fileDescriptor()`, and again when there may be new directories.
  package func checkWatches() throws(SystemError) {
    let directories = JournalDirectories.of(selection.journal, files: all.flatMap(\.source.paths))
    if !isBlind, directories == watchedDirectories { return }
    if !JournalDirectories.areWatched(directories, by: descriptor) {
      try JournalDirectories.probe(directories)
      if !hasDoubted {
        // There was none for a moment. Should libsystemd not watch what it is expected to, it is not doubted for ever.
        hasDoubted = true
        throw SystemError("watch the journal", code: ENOSPC)
      }
    }
    isBlind = false
    watchedDirectories = directories
  }

  /// From now on changes are not told, and `process()` looks for them itself; with a local journal only `reopen()` does.
  package func becomeBlind() { isBlind = true }

  /// Whether the descriptor tells every change.
  package var isReliable: Bool { scout?.isReliable ?? all[0].isReliable }

  /// What `process()` has found.
  package struct Change {
    /// The readers of machines that are new, at the beginning of their entries.
    package var new: [EventReader] = []
    /// Whether there may be more to read.
    package var isChanged = false
  }

  /// Takes note of new and removed files; to be called when everything was read.
  package func process() throws(SystemError) -> Change {
    var result = Change()
    if isBlind, !selection.isLocal {
      result.new = try takeNote()
      result.isChanged = !result.new.isEmpty
    } else if let change = try scout?.process() {
      // What was there before the first look may have changed since it was found.
      if change != .none || !hasLooked { result.new = try takeNote() }
      result.isChanged = !result.new.isEmpty
      hasLooked = true
    }
    for reader in all where try reader.process() { result.isChanged = true }
    return result
  }

  /// Opens everything anew where reading has failed, and tells which readers no longer found their place.
  package func reopen() throws(SystemError) -> [(reader: EventReader, place: LostPlace)] {
    if !selection.isLocal { _ = try takeNote() }
    var lost: [(reader: EventReader, place: LostPlace)] = []
    for reader in all {
      if let place = try reader.reopen(reader.source) { lost.append((reader, place)) }
    }
    return lost
  }

  private func takeNote() throws(SystemError) -> [EventReader] {
    var new: [EventReader] = []
    for (machine, files) in try files.scan().sorted(by: { $0.key < $1.key }) {
      var selection = selection
      selection.journal = .files(files.paths.map(Journal.glob(naming:)))
      let source = MachineJournal(selection: selection, machine: machine, isMixed: files.isMixed)
      if let reader = all.first(where: { $0.machine == machine }) {
        if reader.source != source { _ = try reader.reopen(source) }
      } else {
        new.append(try EventReader(source, clocks: clocks))
      }
    }
    all += new
    return new
  }
}
