import Testing

extension SystemTests {
  /// Whatever a hook does, nothing of it survives its deadline, and nobody else waits for it.
  @Suite(.box) struct ContainmentTests {
    /// An argument of sleep(1) by which the processes of hooks are found.
    private let marker = "98765"

    @Test(arguments: Mode.allCases) func `nothing of a hook that will not end is left`(mode: Mode) throws {
      try Follow.use(mode) { follow in
        let box = follow.box
        try follow.hook(
          "50-stubborn", match: "Unit=work@stubborn.service\nEvent=started", hook: "TimeoutSec=1500ms\nGraceSec=1s",
          body: """
            trap '' TERM
            setsid sh -c 'trap "" TERM; while :; do sleep \(marker); done' &
            (setsid sh -c 'trap "" TERM; sleep \(marker) & sleep \(marker); :' </dev/null >/dev/null 2>&1 &)
            (setsid env -i /bin/sh -c 'trap "" TERM; /bin/sleep \(marker); :' &)
            echo ready >>\(follow.log)
            while :; do sleep \(marker); done
            """)
        try follow.recorder("50-other", match: "Unit=work@other.service\nEvent=started stopped")
        try follow.recorder("60-after", match: "Unit=work@stubborn.service\nEvent=started")
        try follow.start()
        try box.sh("systemctl start work@stubborn")
        try box.wait(until: #"grep -q ready "$1" && (($(pgrep -fc "sleep $2") >= 5))"#, follow.log, marker)
        // Another unit's hooks run meanwhile.
        try box.sh("systemctl start work@other; systemctl stop work@other")
        try follow.settle()
        try box.wait(until: #"! pgrep -f "[s]leep $1""#, marker)

        #expect(
          try follow.runs(where: "unit = 'work@stubborn.service'") == [
            Run(hook: "50-stubborn", unit: "work@stubborn.service", event: "started", state: "timed-out"),
            Run(hook: "60-after", unit: "work@stubborn.service", event: "started"),
          ])
        #expect(
          try follow.runs(where: "unit = 'work@other.service'").map(\.event) == ["started", "stopped"])
        // It had its time, and not much more.
        let took = try follow.sql("SELECT (ended - started) / 1000 FROM runs WHERE hook = '50-stubborn'").compactMap(
          Int.init)
        #expect(took.count == 1 && (2400...12000).contains(took[0]), "\(took) ms")
        #expect(
          try follow.sql(
            """
            SELECT count(*) FROM runs other JOIN runs stubborn ON stubborn.hook = '50-stubborn' WHERE other.hook = '50-other'
            AND other.ended < stubborn.ended AND other.started - other.event_time < 1000000
            """) == ["2"])
        // The next run of the same unit waited for the end of the one before.
        #expect(
          try follow.sql(
            """
            SELECT after.started >= stubborn.ended FROM runs after JOIN runs stubborn ON stubborn.hook = '50-stubborn'
            WHERE after.hook = '60-after'
            """) == ["1"])
        // No cgroup of a run is left, and the ledger knows of none.
        try follow.wait(until: "(SELECT count(*) FROM attempts WHERE container IS NOT NULL) = 0")
        try box.wait(until: "! find /sys/fs/cgroup -type d -name '*run-*-[0-9]*' | grep -q journalhook")
        #expect(try follow.isAlive)
      }
    }

    @Test func `what a hook leaves behind is ended, and what systemd runs for it stays`() throws {
      try Follow.use { follow in
        let box = follow.box
        try follow.hook(
          "50-leaves", match: "Unit=work@leaves.service\nEvent=started", hook: "GraceSec=500ms",
          body: """
            (setsid sh -c 'trap "" TERM; sleep \(marker); :' </dev/null >/dev/null 2>&1 &)
            systemd-run -q --unit=kept sleep 43210
            exit 3
            """)
        try follow.start()
        try box.sh("systemctl start work@leaves")
        try follow.wait(until: "(SELECT state FROM runs WHERE hook = '50-leaves') = 'failed'")
        try box.wait(until: #"! pgrep -f "[s]leep $1""#, marker)
        #expect(try follow.sql("SELECT exit_code, exit_status FROM runs WHERE hook = '50-leaves'") == ["exited|3"])
        #expect(try box.isActive("kept.service"))
        try box.sh("systemctl stop kept")
      }
    }
  }
}
