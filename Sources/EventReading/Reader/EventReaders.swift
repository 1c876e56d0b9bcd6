internal import Glibc
package import Lifecycle
package import Systemd

/// The readers of a selection: one for the journal of this machine, or one for each machine in a directory or in files.
///
/// Each has its own position. So nothing is lost when the entries of one machine arrive an hour after those of another.
package final class EventReaders {
  package let selection: JournalSelection
  let host: any ReadingHost
  package private(set) var all: [EventReader] = []
  private var files: MachineFiles
  /// Watches a directory or files that are followed; nil for the journal of this machine.
  private var watchJournal: (any JournalFiles)?
  private var hasScanned = false
  /// Whether there are no watches, so that new files have to be searched for.
  private var isUnwatched = false
  private var descriptor: CInt = -1
  /// Whether there were once fewer watches than expected, although more were available.
  private var hasMissedWatch = false
  /// The directories that are known to have a watch.
  private var watchedDirectories: Set<String> = []

  /// Opens the journal, with all readers at its start.
  package init(_ selection: JournalSelection, on host: any ReadingHost = SystemReadingHost()) throws(SystemError) {
    self.host = host
    self.selection = selection
    files = MachineFiles(selection.journal)
    if selection.isLocal {
      all = [try EventReader(MachineJournal(selection: selection, machine: try host.machine()), on: host)]
    } else {
      _ = try scan()
    }
  }

  /// The reader of the journal of this machine; nil if a directory or files are read.
  package var local: EventReader? { selection.isLocal ? all[0] : nil }

  /// The name in the ledger that shows whether this selection was followed before.
  package var name: String { selection.isLocal ? all[0].name : "files" }

  /// The id of the current boot of a machine; nil if it is not known.
  package func newestBoot(of machine: String) -> String? { all.first { $0.machine == machine }?.newestBoot() }

  /// Whether the unit of an event has had an event of the opposite direction since, as far as the journal was read.
  package func hasTurnedBack(since event: LifecycleEvent) -> Bool {
    guard let reader = all.first(where: { $0.machine == event.machine }) else { return false }
    return reader.tracker.hasTurnedBack(since: event, newestBoot: reader.newestBoot())
  }

  /// Whether an event waits for a time that may pass without another entry.
  package var isWaiting: Bool { all.contains(where: \.isWaiting) }

  // MARK: Following

  /// The descriptor that becomes readable when something has changed. From now on `process()` returns the changes.
  package func fileDescriptor() throws(SystemError) -> CInt {
    watchedDirectories = []
    let descriptor: CInt
    if selection.isLocal {
      descriptor = try all[0].fileDescriptor()
      watchJournal = nil
    } else {
      let opened = try host.open(selection.journal)
      descriptor = try opened.fileDescriptor()
      watchJournal = opened
    }
    hasScanned = false
    self.descriptor = descriptor
    return descriptor
  }

  /// Checks that all directories with files that are read have a watch.
  ///
  /// libsystemd reports no error if it gets no watch (sd-journal.c). So its watches are counted, and if one is missing a watch is
  /// requested here, whose error gives the reason. To be called after `fileDescriptor()`, and again when there may be new
  /// directories.
  ///
  /// - Throws: an error whose `isAboutWatching` is true, if a directory has no watch.
  package func checkWatches() throws(SystemError) {
    guard host.hasJournalDirectories else { return }
    let directories = JournalDirectories.of(selection.journal, files: all.flatMap(\.source.paths))
    if !isUnwatched, directories == watchedDirectories { return }
    if !JournalDirectories.areWatched(directories, by: descriptor) {
      try JournalDirectories.probe(directories)
      if !hasMissedWatch {
        // Only for a moment there was none. This is an error only once, in case that libsystemd does not watch what is expected.
        hasMissedWatch = true
        throw SystemError("watch the journal", code: ENOSPC)
      }
    }
    isUnwatched = false
    watchedDirectories = directories
  }

  /// From now on `process()` searches for new files itself. For the journal of this machine only `reopen()` does.
  package func setUnwatched() { isUnwatched = true }

  /// Whether the descriptor reports every change.
  package var isReliable: Bool { watchJournal?.isReliable ?? all[0].isReliable }

  /// The result of `process()`.
  package struct Change {
    /// The readers of new machines, at the start of their entries.
    package var new: [EventReader] = []
    /// Whether there may be more to read, in files that have come or gone.
    package var isChanged = false
    /// Whether entries were appended. They may have come after everything was read, and nothing else reports them.
    package var isAppended = false
  }

  /// Opens new files and closes removed ones. To be called when everything was read.
  package func process() throws(SystemError) -> Change {
    var result = Change()
    if isUnwatched, !selection.isLocal {
      result.new = try scan()
      result.isChanged = !result.new.isEmpty
    } else if let change = try watchJournal?.process() {
      result.isAppended = change == .appended
      // Before the first call, changes were not yet watched.
      if change != .none || !hasScanned { result.new = try scan() }
      result.isChanged = !result.new.isEmpty
      hasScanned = true
    }
    for reader in all {
      switch try reader.process() {
      case .invalidated: result.isChanged = true
      case .appended: result.isAppended = true
      case .none: break
      }
    }
    return result
  }

  /// Opens the journal again after an error.
  ///
  /// - Returns: the readers that no longer found the entry that they had read last.
  package func reopen() throws(SystemError) -> [(reader: EventReader, place: LostPlace)] {
    if !selection.isLocal { _ = try scan() }
    var lost: [(reader: EventReader, place: LostPlace)] = []
    for reader in all {
      if let place = try reader.reopen(reader.source) { lost.append((reader, place)) }
    }
    return lost
  }

  /// Searches for files of new machines, and for new files of known ones.
  private func scan() throws(SystemError) -> [EventReader] {
    var new: [EventReader] = []
    for (machine, files) in try files.scan().sorted(by: { $0.key < $1.key }) {
      var selection = selection
      selection.journal = .files(files.paths.map(Journal.glob(naming:)))
      let source = MachineJournal(selection: selection, machine: machine, isMixed: files.isMixed)
      if let reader = all.first(where: { $0.machine == machine }) {
        if reader.source != source { _ = try reader.reopen(source) }
      } else {
        new.append(try EventReader(source, on: host))
      }
    }
    all += new
    return new
  }
}
