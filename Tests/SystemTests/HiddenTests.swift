import Testing

extension SystemTests {
  /// Units whose `LogLevelMax=` hides what the manager says of them: the bus tells, while journalhook follows.
  @Suite(.box) struct HiddenTests {
    /// What is done to the unit, and what is told of it.
    private static let cases: [(unit: String, text: String, done: String, told: String)] = [
      ("false", "Type=oneshot\nExecStart=/bin/false\nLogLevelMax=crit", "start", "starting failed"),
      (
        "unready", "Type=notify\nExecStart=/bin/false\nLogLevelMax=crit", "start start",
        "starting failed starting failed"
      ),
      (
        "unpossible", "ExecStartPre=/bin/mkdir /run/unpossible\nExecStart=/bin/sleep infinity\nLogLevelMax=crit",
        "start restart", "started stopped starting stopped failed"
      ),
      (
        "loop",
        "Type=notify\nNotifyAccess=all\nRestart=on-failure\nRestartSec=100ms\nLogLevelMax=crit\n"
          + "ExecStart=/bin/sh -c 'mkdir /run/loop && exit 1; systemd-notify --ready; exec sleep infinity'",
        "start-no-block", "starting failed restarting started"
      ),
      ("plain", "ExecStart=/bin/sleep infinity", "start stop", "started stopped"),
      ("again", "ExecStart=/bin/sleep infinity", "start stop start stop", "started stopped started stopped"),
      ("restart", "ExecStart=/bin/sleep infinity", "start restart", "started stopped started restarted"),
      ("killed", "ExecStart=/bin/sleep infinity", "start kill", "started stopped failed"),
      ("once", "Type=oneshot\nExecStart=/bin/true", "start start", "starting finished starting finished"),
      ("remain", "Type=oneshot\nRemainAfterExit=yes\nExecStart=/bin/true", "start stop", "started stopped"),
      ("early", "ExecStartPre=/bin/sleep 30\nExecStart=/bin/true", "start-no-block stop", "failed"),
      (
        "auto",
        "Restart=on-success\nRestartSec=100ms\nExecStart=/bin/sh -c 'mkdir /run/auto && exit; exec sleep infinity'",
        "start", "started stopped restarting started restarted"
      ),
    ]

    @Test func `their events come by the bus, each once`() throws {
      try Follow.use { follow in
        let box = follow.box
        for (unit, text, _, _) in Self.cases {
          let head = "[Unit]\nStartLimitIntervalSec=0\n[Service]\nLogLevelMax=warning\n"
          try box.unit("hidden-\(unit).service", head + text + "\n")
        }
        try box.sh("systemctl daemon-reload")
        try follow.recorder("50-hidden", match: "Unit=hidden-*.service\nEvent=*", hook: "RateLimitBurst=0")
        try follow.start()
        for (unit, _, done, _) in Self.cases {
          try box.sh(
            #"""
            unit=hidden-$1.service
            for verb in $2; do
              case $verb in
                kill) systemctl kill -s KILL "$unit" ;;
                start-no-block) systemctl start --no-block "$unit"; until pgrep -f 'sleep 30|sleep infinity' >/dev/null; do sleep 0.02; done ;;
                *) systemctl "$verb" "$unit" || true ;;
              esac
            done
            """#, unit, done)
        }
        // What only the bus has told becomes an event after a second.
        try box.wait(
          until: #"[[ $(grep -c '^50-hidden hidden-auto' "$1") == 5 ]]"#, follow.log)
        try box.sh("sleep 1.2")
        try follow.settle()
        let lines = try follow.logged().map { $0.split(separator: " ").map(String.init) }
        for (unit, _, _, told) in Self.cases {
          let events = lines.filter { $0.count == 3 && $0[1] == "hidden-\(unit).service" }.map { $0[2] }
          #expect(events.joined(separator: " ") == told, "\(unit)")
        }
      }
    }

    @Test func `what journald tells late, as it was held up, adds nothing`() throws {
      try Follow.use { follow in
        let box = follow.box
        try follow.recorder(
          "50-late", match: "Unit=work@late*.service\nEvent=started stopped finished failed", hook: "RateLimitBurst=0")
        try follow.start()
        try box.sh(
          #"""
          systemctl start work@late2
          pid=$(systemctl show -P MainPID systemd-journald)
          trap 'kill -CONT "$pid"' EXIT
          kill -STOP "$pid"
          systemctl start work@late1; systemctl stop work@late1
          for i in 1 2 3; do systemctl restart work@late2; done
          sleep 1.6
          """#)
        try follow.settle()
        try box.sh("systemctl stop work@late2")
        try follow.settle()
        let lines = try follow.logged().map { $0.split(separator: " ").map(String.init) }
        func events(_ unit: String) -> [String] { lines.filter { $0.count == 3 && $0[1] == unit }.map { $0[2] } }
        #expect(events("work@late1.service") == ["started", "stopped"])
        #expect(
          events("work@late2.service") == ["started"] + (0..<3).flatMap { _ in ["stopped", "started"] } + ["stopped"])
      }
    }
  }
}
