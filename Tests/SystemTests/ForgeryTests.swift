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

    /// A thousand entries by an unprivileged user through each way into the journal, in turn all kinds that matter.
    private static let floods = [
      (
        "sd_journal_send",
        """
        nobody bash -c 'while read -r id; do
          logger --journald <<END
        MESSAGE_ID=$id
        MESSAGE=Stopped.
        UNIT=work@victim.service
        USER_UNIT=work@victim.service
        _PID=1
        _UID=0
        JOB_TYPE=stop
        JOB_RESULT=done
        JOB_ID=9
        INVOCATION_ID=00000000000000000000000000000001
        UNIT_RESULT=exit-code
        SYSLOG_IDENTIFIER=systemd
        END
        done' <"$1/ids"
        """
      ),
      (
        "logger",
        """
        nobody logger -t systemd --id=1 -f "$1/texts"
        nobody logger -t 'systemd[1]' -p daemon.info -f "$1/texts"
        nobody logger -u /run/systemd/journal/dev-log -t systemd -f "$1/texts"
        """
      ),
      ("a service's output", "nobody systemd-cat -t systemd cat \"$1/texts\""),
      (
        "a raw socket",
        #"""
        nobody perl -e '
          use Socket;
          my $s; socket($s, AF_UNIX, SOCK_DGRAM, 0) and connect($s, pack_sockaddr_un("/run/systemd/journal/socket")) or die $!;
          while (my $id = <STDIN>) {
            chomp $id;
            my %fields = (MESSAGE_ID => $id, MESSAGE => "Stopped.", UNIT => "work\@victim.service", _PID => 1, _UID => 0, _GID => 0,
              _COMM => "systemd", _EXE => "/usr/lib/systemd/systemd", _TRANSPORT => "journal", _SYSTEMD_CGROUP => "/init.scope",
              _SYSTEMD_UNIT => "init.scope", OBJECT_PID => 1, JOB_TYPE => "stop", JOB_RESULT => "done", JOB_ID => 9,
              INVOCATION_ID => "1" x 32, UNIT_RESULT => "exit-code", "__CURSOR" => "x", "__REALTIME_TIMESTAMP" => 1);
            my $text = join("", map { "$_=$fields{$_}\n" } keys %fields);
            # Values with their length before them, and one that claims more than there is.
            $text .= "_PID\n" . pack("Q<", 1) . "1\n" . "UNIT\n" . pack("Q<", 19) . "work\@victim.service\n";
            $text .= "_PID\n" . pack("Q<", 99) . "1\n" if $. % 10 == 0;
            send($s, $text, 0) // die $!;
          }' <"$1/ids"
        """#
      ),
      (
        "journald's stream socket",
        #"""
        nobody perl -e '
          use Socket;
          my $s; socket($s, AF_UNIX, SOCK_STREAM, 0) and connect($s, pack_sockaddr_un("/run/systemd/journal/stdout")) or die $!;
          print {$s} "systemd\ninit.scope\n6\n1\n0\n0\n0\n"; print {$s} $_ while <STDIN>; close $s' <"$1/texts"
        """#
      ),
    ]

    @Test func `a thousand forged entries by every way into the journal start nothing`() throws {
      try Follow.use { follow in
        let box = follow.box
        try follow.recorder("50-any", match: "Unit=work@victim.service\nEvent=*")
        try box.sh("systemctl start work@victim")
        try follow.start()
        try box.sh(
          #"""
          chmod 0755 "$1" /root
          for i in $(seq 1000); do
            ids=(7d4958e882da4a758f6c1cdc7b36dcc5 39f53479d3a045ac8e11786248231fbf be02cf6855d2428ba40df7e9d022f03d
              de5b426a63be47a7b6ac3eaac82e2f6f 9d1aaa27d60140bd96365438aad20286 7ad2d189f7e94e70a38c781354912448
              d9b373ed55a64feb8242e02dbe79a49c 98e322203f7a4ed290d09fe03c09fe15 5eb03494b6584870a536b337290809b3
              0e4284a0caca4bfc81c0bb6786972673 fe6faa94e7774663a0da52717891d8ef d34d037fff1847e6ae669a370e694725)
            echo "${ids[i % 12]}" >&3
            texts=('Stopped work@victim.service.' 'work@victim.service: Deactivated successfully.' 'Started work@victim.service.'
              "work@victim.service: Failed with result 'exit-code'." 'work@victim.service: Start request repeated too quickly.')
            echo "${texts[i % 5]}"
          done >"$1/texts" 3>"$1/ids"
          """#, follow.directory)
        let since = try box.now()
        for (way, text) in Self.floods {
          let before = try box.sh("journalctl --sync; journalctl -q -o cat _UID=65534 | wc -l").text.trimmed
          try box.sh(Self.stopped + "\n" + text, follow.directory)
          let after = try box.sh("journalctl --sync; journalctl -q -o cat _UID=65534 | wc -l").text.trimmed
          let count = (Int(after) ?? 0) - (Int(before) ?? 0)
          print("\(way): \(count) entries")
          #expect(count >= 900, "\(way): \(count) entries")
        }
        try follow.settle()
        #expect(try follow.runs().isEmpty)
        #expect(try follow.logged().isEmpty)
        #expect(try box.sh(#"journalhook events --since "@$1" | grep -v fence || true"#, since).lines.isEmpty)
        try box.sh("systemctl stop work@victim")
        try follow.settle()
        #expect(try follow.logged().contains("50-any work@victim.service stopped"))
      }
    }

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
              follow.directory + "/other",
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
