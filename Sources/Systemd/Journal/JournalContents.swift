internal import CSystemd
internal import Glibc

/// The current entry of a reader, and the values of fields.
extension Journal {
  /// The current entry's cursor.
  public func cursor() throws(SystemError) -> String {
    var text: UnsafeMutablePointer<CChar>?
    try SystemError.check(unsafe sd_journal_get_cursor(handle, &text), "get the journal's cursor")
    guard let text = unsafe text else { throw SystemError("get the journal's cursor", code: ENOMEM) }
    defer { unsafe free(text) }
    return unsafe String(cString: text)
  }

  /// The boot of the current entry: 32 hexadecimal digits.
  public func boot() throws(SystemError) -> String {
    var monotonic: UInt64 = 0
    var boot = sd_id128_t()
    try SystemError.check(unsafe sd_journal_get_monotonic_usec(handle, &monotonic, &boot), "get an entry's boot")
    return boot.hexadecimal
  }

  /// All values of a field in all files, regardless of matches and position. The corresponding C functions are
  /// `sd_journal_query_unique` and `sd_journal_enumerate_available_unique`.
  public func values(of field: String) throws(SystemError) -> [String] {
    try SystemError.check(unsafe sd_journal_query_unique(handle, field), "look for the values of", path: field)
    var values: [String] = []
    while true {
      var data: UnsafeRawPointer?
      var length = 0
      let found = try SystemError.check(
        unsafe sd_journal_enumerate_available_unique(handle, &data, &length), "look for the values of", path: field)
      guard found > 0, let data = unsafe data else { return values }
      let bytes = unsafe UnsafeRawBufferPointer(start: data, count: length).dropFirst(field.utf8.count + 1)
      values.append(unsafe String(decoding: bytes, as: UTF8.self))
    }
  }

  /// The time at which journald received the current entry, in microseconds since 1970.
  public func realtime() throws(SystemError) -> UInt64 {
    var time: UInt64 = 0
    try SystemError.check(unsafe sd_journal_get_realtime_usec(handle, &time), "get an entry's time")
    return time
  }

  /// Copies the current entry with the wanted fields, or all fields if `wanted` is nil.
  public func entry(keeping wanted: FieldSet? = nil) throws(SystemError) -> JournalEntry {
    var entry = JournalEntry()
    try read(into: &entry, keeping: wanted)
    return entry
  }

  /// Copies the current entry into an earlier one, whose memory is used again.
  public func read(into entry: inout JournalEntry, keeping wanted: FieldSet? = nil) throws(SystemError) {
    entry.removeFields()
    var boot = sd_id128_t()
    try SystemError.check(
      unsafe sd_journal_get_monotonic_usec(handle, &entry.monotonic, &boot), "get an entry's boot")
    entry.setBoot(boot)
    unsafe sd_journal_restart_data(handle)
    while true {
      var data: UnsafeRawPointer?
      var length = 0
      let found = try SystemError.check(
        unsafe sd_journal_enumerate_available_data(handle, &data, &length), "read an entry's fields")
      guard found > 0, let data = unsafe data else { break }
      guard let equals = unsafe memchr(data, CInt(UInt8(ascii: "=")), length) else { continue }
      let name = unsafe UnsafeRawBufferPointer(start: data, count: UnsafeRawPointer(equals) - data)
      let hash = unsafe FieldSet.hash(name)
      if let wanted, !wanted.contains(hash) { continue }
      unsafe entry.append(UnsafeRawBufferPointer(start: data, count: length), name: name.count, hash: hash)
    }
    entry.cursor = try cursor()
    entry.realtime = try realtime()
  }
}
