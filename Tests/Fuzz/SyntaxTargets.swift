internal import Hooks
internal import Lifecycle
internal import Systemd

func fuzzUnitFile(_ input: FuzzInput) {
  let bytes = input.bytes
  let file = UnitFile(parsing: bytes)
  let lines = UnitFile.lines(of: bytes).count
  for section in file.sections { expect((1...lines).contains(section.line), "a section on line \(section.line)") }
  for problem in file.problems { expect((1...lines).contains(problem.line), "a problem on line \(problem.line)") }
  for assignment in file.assignments {
    expect((1...lines).contains(assignment.line), "an assignment on line \(assignment.line)")
    expect(!assignment.key.isEmpty && !assignment.value.utf8.contains(0), "a key or value that cannot be")
    _ = try? Words.split(assignment.value)
    _ = try? Words.split(assignment.value, escapes: .kept)
    _ = try? CommandLine.split(assignment.value)
  }
  // What was read says the same when it is written and read again. (A backslash before white space continues no line, but
  // would without it.)
  var text = ""
  for assignment in file.assignments where !assignment.value.hasSuffix("\\") {
    text += "[\(assignment.section)]\n\(assignment.key)=\(assignment.value)\n"
  }
  let again = UnitFile(parsing: text)
  let expected = file.assignments.filter { !$0.value.hasSuffix("\\") }
  if again.problems.isEmpty, again.assignments.count == expected.count {
    for (one, other) in zip(expected, again.assignments) {
      expect(one.key == other.key && one.value == other.value, "\(one) is read again as \(other)")
    }
  }
}

func fuzzCursor(_ input: FuzzInput) {
  guard let cursor = JournalCursor(input.text) else { return }
  expect(cursor.boot.utf8.count == 32, "a boot of \(cursor.boot.utf8.count) bytes")
  expect(JournalCursor(cursor.description) == cursor, "the cursor is not read again as itself")
  expect(cursor.namesSameEntry(as: cursor), "a cursor of another entry than itself")
}

func fuzzTime(_ input: FuzzInput) {
  var input = input
  let now = Timestamp(microseconds: 1_700_000_000_000_000 &+ (input.number() >> 8))
  let text = input.text
  if let span = try? TimeSpan(parsing: text) {
    let printed = span.description
    let again = try? TimeSpan(parsing: printed)
    expect(again == span, "\(span.microseconds) is printed as \(printed)")
  }
  if let time = try? Timestamp(parsing: text, now: now) {
    let printed = time.iso8601UTC
    expect((try? Timestamp(parsing: printed, now: now)) == time, "\(time.microseconds) is printed as \(printed)")
    _ = time.shortPreciseLocal
    expect((try? Timestamp(parsing: time.rfc3339Local, now: now)) == time, "\(time.rfc3339Local) is another time")
  }
}
