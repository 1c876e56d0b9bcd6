import Systemd
import TestSupport

@testable import Lifecycle

/// Reads the Journal Export Format (systemd.io/JOURNAL_EXPORT_FORMATS), as `journalctl -o export` writes it.
func entries(ofExport bytes: [UInt8]) -> [JournalEntry] {
  var entries: [JournalEntry] = []
  var fields: [JournalEntry.Field] = []
  var rest = bytes[...]

  func finishEntry() {
    func number(_ name: String) -> UInt64 { fields.first { $0.name == name }.flatMap { UInt64($0.text) } ?? 0 }
    func text(_ name: String) -> String { fields.first { $0.name == name }?.text ?? "" }
    if !fields.isEmpty {
      entries.append(
        JournalEntry(
          fields: fields.filter { !$0.name.hasPrefix("__") }, cursor: text("__CURSOR"),
          realtime: number("__REALTIME_TIMESTAMP"), monotonic: number("__MONOTONIC_TIMESTAMP"), boot: text("_BOOT_ID")))
    }
    fields = []
  }

  while !rest.isEmpty {
    let end = rest.firstIndex(of: UInt8(ascii: "\n")) ?? rest.endIndex
    let line = rest[rest.startIndex..<end]
    rest = rest[min(end + 1, rest.endIndex)...]
    if line.isEmpty {
      finishEntry()
    } else if let equals = line.firstIndex(of: UInt8(ascii: "=")) {
      fields.append(
        .init(name: String(decoding: line[..<equals], as: UTF8.self), bytes: Array(line[(equals + 1)...])))
    } else {
      // A binary value: its length in 8 bytes, little endian, the bytes, a line end.
      let length = Int(rest.prefix(8).reversed().reduce(UInt64(0)) { $0 << 8 | UInt64($1) })
      rest = rest.dropFirst(8)
      fields.append(.init(name: String(decoding: line, as: UTF8.self), bytes: Array(rest.prefix(length))))
      rest = rest.dropFirst(length + 1)
    }
  }
  finishEntry()
  return entries
}
