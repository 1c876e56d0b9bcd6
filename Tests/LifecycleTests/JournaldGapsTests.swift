import Systemd
import TestSupport
import Testing

@testable import Lifecycle

/// The gaps that journald's own messages show, as stories: what it says, where, and what is found.
@Suite struct JournaldGapsTests {
  /// The place of an entry. Its wall-clock time is 1000 s after its time in the boot.
  struct Place: Sendable {
    /// Seconds since the boot.
    var time: UInt64
    var boot: Character = "b"

    static func at(_ time: UInt64, boot: Character = "b") -> Place { Place(time: time, boot: boot) }

    var cursor: JournalCursor? {
      let monotonic = time * 1_000_000
      let realtime = monotonic + 1_000_000_000
      let boot = String(repeating: boot, count: 32)
      return JournalCursor(
        "s=1;i=1;b=\(boot);m=\(String(monotonic, radix: 16));t=\(String(realtime, radix: 16));x=1")
    }
  }

  enum Step: Sendable {
    /// journald says something at a place; the entry before it is at another one. What is found then.
    case message(JournaldMessage, Place, before: Place?, JournaldGaps.Finding? = nil)
    /// No more late entries are expected. What is found then.
    case endLate(Gap?)
    /// Whether entries may be missing right now, and whether some have come late.
    case open(Bool, isLate: Bool = false)
  }

  struct Story: Sendable, CustomTestStringConvertible {
    var name: String
    /// When the userspace that runs began, and when the last soft reboot was, in seconds since the boot.
    var userspace: UInt64 = 10
    var softReboot: UInt64 = 0
    var steps: [Step]
    var testDescription: String { name }

    init(_ name: String, userspace: UInt64 = 10, softReboot: UInt64 = 0, _ steps: [Step]) {
      self.name = name
      self.userspace = userspace
      self.softReboot = softReboot
      self.steps = steps
    }
  }

  private static func gap(_ kind: Gap.Kind, _ since: UInt64, _ until: UInt64, _ detail: String?) -> Gap {
    Gap(kind, since: (since + 1000) * 1_000_000, until: (until + 1000) * 1_000_000, detail: detail)
  }

  private static func restart(_ since: UInt64, _ until: UInt64) -> JournaldGaps.Finding {
    .gap(gap(.journaldAway, since, until, "It was started again."))
  }

  private func play(_ story: Story) throws {
    var boot = CurrentBoot(id: String(repeating: "b", count: 32), softReboot: story.softReboot * 1_000_000)
    boot.userspace = story.userspace * 1_000_000
    var gaps = JournaldGaps(boot: boot)
    for (index, step) in story.steps.enumerated() {
      let comment: Comment = "\(story.name), step \(index + 1)"
      switch step {
      case .message(let message, let place, let before, let finding):
        #expect(gaps.note(message, at: try #require(place.cursor), before: before?.cursor) == finding, comment)
      case .endLate(let gap): #expect(gaps.endLate() == gap, comment)
      case .open(let isOpen, let isLate):
        #expect(gaps.isOpen == isOpen, comment)
        #expect(gaps.isLate == isLate, comment)
      }
    }
  }

  // MARK: journald is away

  static let restarts = [
    Story(
      "journald was stopped and started: from its end on",
      [
        .open(false), .message(.stopped, .at(100), before: .at(99)), .open(true),
        .message(.started, .at(130), before: .at(100), restart(100, 130)), .open(false),
      ]),
    Story(
      "it was stopped and started twice: two gaps",
      [
        .message(.stopped, .at(100), before: .at(99)),
        .message(.started, .at(130), before: .at(100), restart(100, 130)),
        .message(.stopped, .at(200), before: .at(199)),
        .message(.started, .at(205), before: .at(200), restart(200, 205)),
      ]),
    Story(
      "it was killed, and has not said that it stops: from the last entry on",
      [.message(.started, .at(130), before: .at(99), restart(99, 130)), .open(false)]),
    Story(
      "the entry that was read before is not known: nothing can be said",
      [.message(.started, .at(130), before: nil), .open(false)]),
    Story(
      "it is started when the system boots: no entry was before it",
      [.message(.started, .at(3), before: nil), .open(false)]),
    Story(
      "the initial RAM disk had a journald of its own: its entries are before the userspace that runs",
      [
        .message(.stopped, .at(8), before: .at(7)), .message(.started, .at(11), before: .at(8)), .open(false),
      ]),
    Story(
      "an entry from the first moment of the userspace is one of it",
      [.message(.started, .at(130), before: .at(10), restart(10, 130))]),
    Story(
      "when the userspace began is not known: nothing can be said", userspace: 0,
      [.message(.stopped, .at(100), before: .at(99)), .message(.started, .at(130), before: .at(100)), .open(false)]),
    Story(
      "the entry before is of another boot: it is started at boot",
      [.message(.started, .at(12), before: .at(5000, boot: "a")), .open(false)]),
    Story(
      "what happened in another boot is not looked at",
      [
        .message(.stopped, .at(100, boot: "a"), before: .at(99, boot: "a")), .open(false),
        .message(.started, .at(130, boot: "a"), before: .at(100, boot: "a")),
        .message(.suppressed(5), .at(131, boot: "a"), before: .at(130, boot: "a")),
        .message(.missedKernelMessages, .at(132, boot: "a"), before: .at(131, boot: "a")),
        .message(.late(1_000_000), .at(133, boot: "a"), before: .at(132, boot: "a")), .open(false), .endLate(nil),
      ]),
    Story(
      "a soft reboot is a boot: what was before it is not looked at", userspace: 500, softReboot: 500,
      [
        .message(.stopped, .at(499), before: .at(498)), .open(false),
        .message(.started, .at(501), before: .at(499)), .open(false),
        .message(.started, .at(600), before: .at(550), restart(550, 600)),
      ]),
  ]

  @Test(arguments: restarts) func aRestartOfJournaldIsAGap(_ story: Story) throws { try play(story) }

  // MARK: Late entries

  static let late = [
    Story(
      "one late entry: from when it was sent until it was taken",
      [
        .message(.late(4_000_000), .at(104), before: .at(99)), .open(true, isLate: true),
        .endLate(gap(.journaldAway, 100, 104, "It took them later.")), .open(false), .endLate(nil),
      ]),
    Story(
      "late entries come together, and are one gap",
      [
        .message(.late(4_000_000), .at(104), before: .at(99)), .message(.late(6_000_000), .at(105), before: .at(104)),
        .message(.late(2_000_000), .at(106), before: .at(105)),
        .endLate(gap(.journaldAway, 99, 106, "It took them later.")),
      ]),
    Story(
      "those that come after the end are another gap",
      [
        .message(.late(4_000_000), .at(104), before: .at(99)),
        .endLate(gap(.journaldAway, 100, 104, "It took them later.")),
        .message(.late(2_000_000), .at(202), before: .at(201)),
        .endLate(gap(.journaldAway, 200, 202, "It took them later.")),
      ]),
    Story("without late entries there is no gap", [.endLate(nil), .open(false)]),
    Story(
      "the end of the late entries does not end a stop",
      [
        .message(.late(4_000_000), .at(104), before: .at(99)), .message(.stopped, .at(105), before: .at(104)),
        .open(true, isLate: true), .endLate(gap(.journaldAway, 100, 104, "It took them later.")), .open(true),
        .message(.started, .at(110), before: .at(105), restart(105, 110)), .open(false),
      ]),
  ]

  @Test(arguments: late) func lateEntriesAreOneGap(_ story: Story) throws { try play(story) }

  // MARK: Dropped messages

  static let dropped = [
    Story(
      "journald says how many messages it has dropped",
      [
        .message(
          .suppressed(41), .at(130), before: .at(100),
          .gap(gap(.rateLimited, 100, 130, "41 messages were dropped."))), .open(false),
      ]),
    Story(
      "it does not say how many",
      [.message(.suppressed(nil), .at(130), before: .at(100), .gap(gap(.rateLimited, 100, 130, nil)))]),
    Story(
      "the entry before is not known: the gap is where journald says it",
      [
        .message(
          .suppressed(1), .at(130), before: nil, .gap(gap(.rateLimited, 130, 130, "1 messages were dropped.")))
      ]),
    Story(
      "kernel messages were overwritten: from when on is not known",
      [.message(.missedKernelMessages, .at(130), before: .at(100), .mayBeMissing), .open(false)]),
  ]

  @Test(arguments: dropped) func droppedMessagesAreAGap(_ story: Story) throws { try play(story) }
}
