import Testing

extension SystemTests {
  /// Only the service manager is believed.
  @Suite(.box) struct ForgeryTests {
    /// What systemd writes when it has stopped a unit, as somebody else would write it.
    private static let stopped = #"""
      forged() {
        printf '%s\n' MESSAGE_ID=9d1aaa27d60140bd96365438aad20286 "MESSAGE=Stopped work@victim.service." PRIORITY=6 \
          UNIT=work@victim.service JOB_TYPE=stop JOB_RESULT=done JOB_ID=9 INVOCATION_ID=00000000000000000000000000000001 \
          SYSLOG_IDENTIFIER=systemd CODE_FUNC=job_emit_done_message "$@"
      }
      success() {
        printf '%s\n' MESSAGE_ID=7ad2d189f7e94e70a38c781354912448 "MESSAGE=work@victim.service: Deactivated successfully." \
          UNIT=work@victim.service INVOCATION_ID=00000000000000000000000000000002 SYSLOG_IDENTIFIER=systemd "$@"
      }
      nobody() { setpriv --reuid=65534 --regid=65534 --clear-groups "$@"; }
      """#

    private static let kinds = [
      ("by a user, with the manager's fields", "forged _PID=1 _COMM=systemd _UID=0 | nobody logger --journald"),
      ("by root, who is not PID 1", "forged | logger --journald"),
      (
        "by root, with the manager's fields",
        "forged _PID=1 _UID=0 _COMM=systemd _TRANSPORT=journal _SYSTEMD_UNIT=init.scope | logger --journald"
      ),
      ("about another process", "forged OBJECT_PID=1 OBJECT_UID=0 | logger --journald"),
      ("the end of a process", "success | logger --journald; success _PID=1 | nobody logger --journald"),
      ("of two units", "forged UNIT=work@other.service | logger --journald"),
      (
        "as text, by syslog",
        "logger -t systemd --id=1 'Stopped work@victim.service.'; nobody logger -t 'systemd[1]' 'Stopped work@victim.service.'"
      ),
      (
        "as text, by a service's output",
        "systemd-run -q --wait -p SyslogIdentifier=systemd echo 'Stopped work@victim.service.'"
      ),
      (
        "by a service that calls itself systemd",
        "systemd-run -q --wait -p SyslogIdentifier=systemd -p 'LogExtraFields=MESSAGE_ID=9d1aaa27d60140bd96365438aad20286' "
          + "-p LogExtraFields=UNIT=work@victim.service -p LogExtraFields=JOB_RESULT=done echo 'Stopped work@victim.service.'"
      ),
      (
        "by a user, as a manager of users", "forged USER_UNIT=work@victim.service | nobody logger --journald"
      ),
    ]

    @Test func `forged entries start nothing`() throws {
      try Follow.use { follow in
        let box = follow.box
        try follow.recorder("50-victim", match: "Unit=work@victim.service\nEvent=*")
        try follow.recorder("50-text", match: "Unit=*\nEvent=stopped")
        try box.sh("systemctl start work@victim work@fence")
        try follow.start()
        let since = try box.now()
        for (kind, command) in Self.kinds {
          let output = try box.run(["bash", "-c", Self.stopped + "\n" + command])
          #expect(output.status == 0, "\(kind): \(output)")
        }
        // They are in the journal.
        try box.wait(
          until:
            #"(($(journalctl -q -o cat --since "@$1" UNIT=work@victim.service MESSAGE_ID=9d1aaa27d60140bd96365438aad20286 | wc -l) >= 5))"#,
          since)
        try box.sh("systemctl stop work@fence")
        try follow.settle()
        #expect(try follow.runs(where: "unit = 'work@victim.service'").isEmpty)
        #expect(try follow.runs(where: "unit = 'work@fence.service'").count == 1)
        #expect(try box.sh(#"journalhook events --since "@$1" -u work@victim"#, since).lines.isEmpty)
        #expect(
          try box.run(
            [
              "journalhook", "replay", "--since", "@\(since)", "--hooks", follow.hooks, "--state-dir",
              follow.folder + "/other",
            ]
          ).status == 0)
        #expect(try follow.logged().filter { $0.contains("victim") }.isEmpty)
        // A true one does.
        try box.sh("systemctl stop work@victim")
        try follow.settle()
        #expect(try follow.runs(where: "unit = 'work@victim.service'").map(\.event).contains("stopped"))
      }
    }
  }
}
