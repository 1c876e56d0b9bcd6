import Testing

extension SystemTests {
  /// Whatever a hook's processes do, wherever journalhook runs: nothing of them survives, and nobody else is touched.
  @Suite(.box) struct TreeTests {
    /// An argument of sleep(1) by which the processes of hooks are found.
    private static let marker = "87654"

    /// What a hook does until its deadline; `SLEEP` is a process of it that would stay for ever.
    private static let stubborn: [(name: String, hook: String, body: String)] = [
      ("ignores-term", "", "trap '' TERM; while :; do SLEEP; done"),
      ("is-stopped", "", "SLEEP & kill -STOP $$; wait"),
      ("child-is-stopped", "", "SLEEP & kill -STOP $!; wait"),
      ("setsid-child", "", "setsid sh -c \"trap '' TERM; SLEEP; :\" & wait"),
      ("double-fork", "", "(setsid sh -c \"trap '' TERM; SLEEP & SLEEP; :\" </dev/null >/dev/null 2>&1 &) ; SLEEP"),
      ("double-fork-without-environment", "", "(setsid env -i /bin/sh -c \"trap '' TERM; /bin/SLEEP; :\" &) ; SLEEP"),
      ("fork-bomb", "", "for i in $(seq 500); do (trap '' TERM; SLEEP; :) & done; wait"),
      ("forks-on-term", "", "trap '(SLEEP &) ; (SLEEP &) ; (SLEEP &)' TERM; while :; do SLEEP & wait $!; done"),
      ("child-holds-output", "", "sh -c \"trap '' TERM; while :; do echo x; sleep 0.1; done\" & SLEEP"),
      ("of-another-user", "User=nobody", "(setsid sh -c \"trap '' TERM; SLEEP; :\" &) ; trap '' TERM; SLEEP; :"),
      ("closed-output", "", "exec >&- 2>&-; trap '' PIPE TERM; while :; do echo x; SLEEP; done"),
      ("broken-pipe", "", "trap '' PIPE TERM; (while :; do echo x; SLEEP; done) | :; SLEEP"),
    ]
    /// What a hook leaves behind when it ends by itself.
    private static let leaving: [(name: String, hook: String, body: String)] = [
      ("leaves-child", "", "SLEEP & exit 0"),
      (
        "leaves-stubborn-session", "", "(setsid sh -c \"trap '' TERM; SLEEP; :\" </dev/null >/dev/null 2>&1 &) ; exit 0"
      ),
      ("leaves-stopped", "", "SLEEP & kill -STOP $!; exit 0"),
      ("leaves-another-users", "User=nobody", "(setsid sh -c \"trap '' TERM; SLEEP; :\" &) ; exit 0"),
      ("leaves-output-open", "", "(setsid sh -c \"trap '' TERM HUP; SLEEP; :\" &) ; exit 0"),
    ]

    @Test(arguments: Follow.Place.allCases) func `nothing survives, and nobody else is touched`(place: Follow.Place)
      throws
    {
      try Follow.use(place.mode) { follow in
        let box = follow.box
        let sleep = "sleep \(Self.marker)"
        for hook in Self.stubborn + Self.leaving {
          let body = hook.body.replacing("SLEEP", with: sleep)
          try follow.hook(
            "50-\(hook.name)", match: "Unit=work@\(hook.name).service\nEvent=started",
            hook: "TimeoutSec=2s\nGraceSec=500ms\n\(hook.hook)", body: body)
        }
        // Others: root's and another user's, in a session of their own, and under the same names.
        try box.sh(
          #"""
          systemctl stop 'bystander*' 2>/dev/null; systemd-run -q --unit=bystander-root sleep 87655
          systemd-run -q --unit=bystander-nobody --uid=nobody sleep 87655
          (setsid sleep 87655 >/dev/null 2>&1 </dev/null &)
          """#)
        let bystanders = try box.sh("pgrep -f '[s]leep 87655' | sort").lines
        try follow.start(in: place)
        let all = (Self.stubborn + Self.leaving).map(\.name)
        try box.run(["systemctl", "start"] + all.map { "work@\($0)" }).check()
        try box.wait(
          60, until: #"[[ $(sqlite3 -cmd ".timeout 5000" "$1/journalhook.db" "SELECT count(*) FROM runs") -ge $2 ]]"#,
          follow.state, "\(all.count)")
        try follow.settle(60)
        try box.wait(10, until: #"! pgrep -f "[s]leep $1""#, Self.marker)
        try follow.wait(10, until: "(SELECT count(*) FROM attempts WHERE container IS NOT NULL) = 0")
        for (hooks, state) in [(Self.stubborn, "timed-out"), (Self.leaving, "succeeded")] {
          for hook in hooks {
            #expect(try follow.sql("SELECT state FROM runs WHERE hook = '50-\(hook.name)'") == [state], "\(hook.name)")
          }
        }
        let slowest = try follow.sql(
          "SELECT hook, (ended - started) / 1000 FROM runs ORDER BY ended - started DESC LIMIT 3")
        print("\(place.testDescription): slowest \(slowest)")
        #expect(try follow.sql("SELECT count(*) FROM runs WHERE ended - started > 8000000") == ["0"], "\(slowest)")
        #expect(try box.sh("pgrep -f '[s]leep 87655' | sort").lines == bystanders)
        #expect(try follow.isAlive)
        let told = try box.sh(
          #"journalctl -q -o cat _PID="$1" MESSAGE_ID=6c4808531e874a6188b61fc7bcee030c"#, follow.pid
        ).lines
        #expect(told.contains { $0.contains("cgroup") } == (place == .withoutCgroups), "\(told)")
        try box.wait(10, until: "! find /sys/fs/cgroup -type d -name 'journalhook-run-*' | grep -q .")
        try box.sh("pkill -f '[s]leep 87655'; systemctl stop 'work@*' 'bystander*'")
      }
    }
  }
}
