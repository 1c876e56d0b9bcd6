import Testing

extension SystemTests {
  /// What is wrong is told clearly, and harms nothing else.
  @Suite(.box) struct BadInputTests {
    /// A file in the hook directory, and what is said of it.
    private static let files: [(name: String, mode: String, text: String, line: Int, message: String, state: String)] =
      [
        (
          "10-unknown-key.hook", "0644",
          "[Match]\nUnit=work@bad.service\nEvent=started\n[Hook]\nTimeoutSecs=3\nExec=/bin/true\n", 5,
          "TimeoutSec", "active"
        ),
        (
          "20-no-exec.hook", "0644", "[Match]\nUnit=work@bad.service\nEvent=started\n[Hook]\nTimeoutSec=3\n", 4,
          "Exec=", "broken"
        ),
        (
          "21-no-program.hook", "0644",
          "[Match]\nUnit=work@bad.service\nEvent=started\n[Hook]\nExec=/nonexistent/program\n", 5,
          "/nonexistent/program", "broken"
        ),
        (
          "22-unknown-program.hook", "0644",
          "[Match]\nUnit=work@bad.service\nEvent=started\n[Hook]\nExec=no-such-program\n", 5,
          "no-such-program", "broken"
        ),
        (
          "23-not-executable.hook", "0644",
          "[Match]\nUnit=work@bad.service\nEvent=started\n[Hook]\nExec=/etc/hostname\n", 5,
          "execut", "broken"
        ),
        (
          "24-script", "0644", "#!/bin/sh\n# [Match]\n# Unit=work@bad.service\n# Event=started\n", 2, "execut", "broken"
        ),
        ("25-no-event.hook", "0644", "[Match]\nUnit=work@bad.service\n[Hook]\nExec=/bin/true\n", 1, "Event=", "broken"),
        (
          "26-bad-time.hook", "0644",
          "[Match]\nUnit=work@bad.service\nEvent=started\n[Hook]\nExec=/bin/true\nTimeoutSec=soon\n", 6, "soon",
          "broken"
        ),
        (
          "27-no-interpreter", "0755", "#!/no/such/sh\n# [Match]\n# Unit=work@bad.service\n# Event=started\n", 1, "/no",
          "broken"
        ),
        (
          "30-unknown-match.hook", "0644",
          "[Match]\nUnit=work@bad.service\nEvent=started\nRestart=no\n[Hook]\nExec=/bin/true\n", 4, "RestartJob=",
          "broken"
        ),
        (
          "31-condition.hook", "0644",
          "[Match]\nUnit=work@bad.service\nEvent=started\n[Hook]\nExec=/bin/true\nConditionPathExist=/x\n", 6,
          "ConditionPathExists=", "broken"
        ),
        (
          "32-late", "0755", "#!/bin/sh\nset -e\n# [Match]\n# Unit=work@bad.service\n# Event=started\n", 3,
          "leading comment", "broken"
        ),
        (
          "33-marked", "0755", "\u{FEFF}#!/bin/sh\n# [Match]\n# Unit=work@bad.service\n# Event=started\n", 1,
          "byte order mark", "broken"
        ),
        (
          "28-writable", "0757", "#!/bin/sh\n# [Match]\n# Unit=work@bad.service\n# Event=started\n", 1, "writ",
          "refused"
        ),
      ]

    private func arrange(_ follow: Follow) throws {
      for file in Self.files { try follow.file(file.name, file.text, mode: file.mode) }
      try follow.recorder("50-good", match: "Unit=work@bad.service\nEvent=started")
    }

    @Test func `broken hooks are told by file and line, and harm no other`() throws {
      try Follow.use { follow in
        let box = follow.box
        try arrange(follow)
        // A name that would steer a terminal.
        try box.sh(#"printf '[Match]\n' >"$1"/$'33-\e[31m.hook'"#, follow.hooks)
        try follow.start()
        // And once more while it runs.
        try follow.file("29-late.hook", "[Match]\nUnit=work@bad.service\nEvent=started\nExec=/bin/true\n")
        try box.wait(
          until: #"journalctl -q -o cat _PID="$1" MESSAGE_ID=18f400ff688b4de7b29fb86fd31ac7d1 | grep -q 29-late.hook:"#,
          follow.pid)
        let told = try box.sh(
          #"journalctl -q -o cat _PID="$1" MESSAGE_ID=18f400ff688b4de7b29fb86fd31ac7d1"#, follow.pid
        ).lines
        for file in Self.files {
          let prefix = "\(follow.hooks)/\(file.name):\(file.line): "
          let lines = told.filter { $0.hasPrefix("\(follow.hooks)/\(file.name):") }
          #expect(lines.count == 1, "\(file.name): \(lines)")
          #expect(lines.contains { $0.hasPrefix(prefix) && $0.contains(file.message) }, "\(file.name): \(lines)")
        }
        #expect(told.contains { $0.hasPrefix("\(follow.hooks)/33-\\x1b[31m.hook:1: error: ") }, "\(told)")
        #expect(told.allSatisfy { !$0.contains("\u{1B}") })
        try box.sh("systemctl start work@bad")
        try follow.settle()
        #expect(try follow.isAlive)
        #expect(
          try follow.runs() == [
            Run(hook: "10-unknown-key", unit: "work@bad.service", event: "started"),
            Run(hook: "50-good", unit: "work@bad.service", event: "started"),
          ])
        try box.sh("systemctl stop work@bad")
      }
    }

    @Test func `check tells all of it, and list shows it`() throws {
      try Follow.use { follow in
        let box = follow.box
        try arrange(follow)
        let check = try box.run(["journalhook", "check", "--hooks", follow.hooks])
        #expect(check.status == 1)
        for file in Self.files {
          #expect(
            check.lines.contains {
              $0.hasPrefix("\(follow.hooks)/\(file.name):\(file.line): ") && $0.contains(file.message)
            },
            "\(file.name): \(check)")
          let alone = try box.run(["journalhook", "check", "\(follow.hooks)/\(file.name)"])
          #expect(alone.status == (file.state == "active" ? 0 : 1), "\(alone)")
        }
        #expect(check.lines.filter { $0.contains("50-good") }.isEmpty)
        #expect(try box.run(["journalhook", "check", "\(follow.hooks)/50-good"]).status == 0)

        let list = try box.run(["journalhook", "list", "--hooks", follow.hooks, "--state-dir", follow.state])
        #expect(list.status == 0)
        for file in Self.files {
          let name = file.name.hasSuffix(".hook") ? String(file.name.dropLast(5)) : file.name
          let words = list.lines.first { $0.hasPrefix(name + " ") }?.split(separator: " ") ?? []
          #expect(words.count > 1 && words[1] == file.state, "\(file.name): \(list)")
        }
        // A unit that does not exist is only a warning.
        try box.sh(#"mkdir "$1/other""#, follow.directory)
        try box.put(
          "[Match]\nUnit=nonexistent.service\nEvent=started\n[Hook]\nExec=/bin/true\n",
          follow.directory + "/other/50-a.hook")
        let other = try box.run(["journalhook", "check", follow.directory + "/other"])
        #expect(other.status == 0)
        #expect(
          other.text.contains("50-a.hook:2: warning: Unit=: the service manager knows no unit nonexistent.service"))
      }
    }

    private static let match = "# [Match]\n# Unit=work@bad.service\n# Event=failed\n"
    private static let section = "[Match]\nUnit=work@bad.service\nEvent=failed\n[Hook]\n"

    /// A shell command that makes something in the hook directory, and the messages of `check` about it.
    private static let silent: [(make: String, said: [String])] = [
      (
        "ln -s /no/where 10-dangling.hook",
        ["10-dangling.hook:1: error: cannot be used: the link leads to /no, which does"]
      ),
      ("mkdir 99-none.d; echo >99-none.d/a.conf", ["99-none.d:1: warning: ignored: there is no hook '99-none'"]),
      (
        "mkdir 50-good.d; echo >50-good.d/a", ["50-good.d/a:1: warning: ignored: the name of a drop-in ends with .conf"]
      ),
      (
        "cp 50-good 10-x.sh; mkdir 10-x.d; echo >10-x.d/a.conf",
        ["10-x.d:1: warning: ignored: there is no hook '10-x'; did you mean 10-x.sh.d?"]
      ),
      ("mkdir examples; echo '[Match]' >examples/README", []),
      (
        "mkdir examples; cp 50-good examples",
        ["examples:1: warning: ignored: hooks in a directory below a hook directory are not read"]
      ),
      ("echo >stray.conf", ["stray.conf:1: warning: ignored: a drop-in belongs in the directory of its hook"]),
      (#"printf '%s' "$section" Exec=true >$'20-\e[31m.hook'"#, []),
      (
        #"printf '%s' "$section" $'Exec=true\nNice=\e[31m' >$'21-\e[31m.hook'"#,
        [#"21-\x1b[31m.hook:6: error: Nice=: '\x1b[31m' is not"#]
      ),
      (
        #"printf '%s' "$section" Exec=true >$'22-\xff.hook'"#,
        ["22-\u{FFFD}.hook:1: error: cannot be used: its name is not valid UTF-8"]
      ),
      (
        #"printf '#!/usr/bin/env nosuch\n%s' "$match" >30-env"#,
        ["30-env:1: error: no run can succeed: /usr/bin/env finds no 'nosuch' in PATH ("]
      ),
      (
        #"printf '%s' "$match" >31-none"#,
        [
          "31-none:1: error: the file has no #! line that names an interpreter, such as #!/bin/sh: it cannot be executed"
        ]
      ),
      (
        #"echo echo >/usr/local/bin/text; chmod a+x /usr/local/bin/text; printf '%s' "$section" Exec=text >32.hook"#,
        ["32.hook:5: error: no run can succeed: /usr/local/bin/text: it is a text file without a #! line"]
      ),
      (
        #"install -m 0700 /bin/true /root/own; printf '%s' "$section" $'Exec=/root/own\nUser=nobody' >33.hook"#,
        ["33.hook:6: error: no run can succeed: nobody may not execute /root/own"]
      ),
      (#"install /bin/true /root/all; printf '%s' "$section" $'Exec=/root/all\nUser=nobody' >34-all.hook"#, []),
      (
        #"install /bin/sh /root/sh; printf '#!/root/sh\n%s# [Hook]\n# User=nobody\n' "$match" >35-interpreter"#,
        ["35-interpreter:6: error: no run can succeed: nobody may not execute /root/sh, or not enter a directory on"]
      ),
      (#"printf '%s' "$section" $'Exec=true\nUser=nobody' >34.hook"#, []),
      (#"printf '#!/bin/sh\r\n%s' "$match" >35-crlf"#, ["35-crlf:1: error: cannot be used: "]),
      (
        #"printf '#!/bin/bash\n%sif true\n' "$match" >40-bash"#,
        ["40-bash:6: error: /bin/bash -n: syntax error: unexpected end of file"]
      ),
      (
        #"printf '#!/bin/sh\n%sif true; done\n' "$match" >41-sh"#,
        [#"41-sh:5: error: /bin/sh -n: Syntax error: "done" unexpected"#]
      ),
      (
        #"printf '#!/usr/bin/env bash\n%sshopt -s extglob\ncase x in !(a|b)) touch /tried ;; esac; echo $(touch /tried)\n' "$match" >42-good"#,
        []
      ),
      (#"printf '#!/bin/sh\n%sexit 0\nfoo (\n' "$match" >43-notes"#, []),
      (
        #"printf '%s' "$section" $'Exec=true\nOnHookFailure=50-goods' >50-a.hook"#,
        [
          "50-a.hook:6: warning: OnHookFailure=: no hook runs when this hook fails, as there is no hook '50-goods'; did you mean 50-good?"
        ]
      ),
      (
        #"cp /bin/true tool; printf '%s' "$section" $'Exec=tool\nOnHookFailure=tool' >51.hook"#,
        [
          "51.hook:6: warning: OnHookFailure=: no hook runs when this hook fails, as 'tool' is a program without a definition, not a hook"
        ]
      ),
      (
        #"printf '[Match]\nUnit=*.service\nEvent=failed\n[Hook]\nExec=systemctl start alert@%%n\n' >60.hook"#,
        ["60.hook:2: warning: Unit=: this hook starts alert@*.service, and their event 'failed' runs it again"]
      ),
      (
        #"printf '[Match]\nUnit=fenec FENCE dbus.timer\nEvent=failed\n[Hook]\nExec=true\n' >61.hook"#,
        [
          "61.hook:2: warning: Unit=: the service manager knows no unit fenec.service; did you mean fence.service?",
          "61.hook:2: warning: Unit=: the service manager knows no unit FENCE.service; did you mean fence.service?",
          "61.hook:2: warning: Unit=: the service manager knows no unit dbus.timer; did you mean dbus.service?",
        ]
      ),
    ]

    @Test func `check tells of what would be silent`() throws {
      try Follow.use { follow in
        let box = follow.box
        try follow.recorder("50-good", match: "Unit=work@bad.service\nEvent=started")
        let empty = try box.run(["journalhook", "check", "--hooks", follow.hooks])
        #expect(empty.text == "" && empty.errors == "2 hooks in \(follow.hooks): 0 errors, 0 warnings\n", "\(empty)")
        for (index, problem) in Self.silent.enumerated() {
          let directory = follow.hooks + "/../silent-\(index)"
          try box.sh(
            #"mkdir "$1"; cp "$2/50-good" "$1"; cd "$1"; match=$3 section=$4; eval "$5"; chmod a+x -- *; chmod a-x -- *.hook || true"#,
            directory,
            follow.hooks, Self.match, Self.section, problem.make)
          let check = try box.run(["journalhook", "check", "--hooks", directory])
          let lines = check.text.split(separator: "\n").map { $0.dropFirst(directory.count + 1) }
          #expect(lines.count == problem.said.count, "\(problem): \(check)")
          for (line, said) in zip(lines.sorted(), problem.said.sorted()) {
            #expect(line.hasPrefix(said), "\(problem): \(check)")
          }
          #expect(check.status == (check.text.contains(": error: ") ? 1 : 0))
        }
        #expect(try box.run(["test", "-e", "/tried"]).status == 1)
      }
    }

    @Test func `what cannot work ends at once, with a reason and a remedy`() throws {
      try Follow.use { follow in
        let box = follow.box
        let (hooks, state) = (follow.hooks, follow.state)
        func expect(
          _ status: Int32, _ words: [String], of command: [String], sourceLocation: SourceLocation = #_sourceLocation
        ) throws {
          let output = try box.run(["timeout", "20"] + command)
          #expect(output.status == status, "\(output)", sourceLocation: sourceLocation)
          for word in words { #expect(output.errors.contains(word), "\(output)", sourceLocation: sourceLocation) }
        }
        let follows = ["journalhook", "follow", "--hooks", hooks, "--state-dir"]
        for command in ["follow", "list", "check"] {
          try expect(1, ["/root/no/hooks", "No such file"], of: ["journalhook", command, "--hooks", "/root/no/hooks"])
        }
        try expect(1, ["/sys/journalhook", "--state-dir"], of: follows + ["/sys/journalhook"])
        try expect(1, ["/etc/hostname/state"], of: follows + ["/etc/hostname/state"])

        try follow.start()
        try expect(1, ["process \(follow.pid)", state], of: follows + [state])
        #expect(try follow.isAlive)

        let nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
        try expect(1, ["root", "systemd-journal"], of: nobody + ["journalhook", "events"])
        try box.sh("install -d -o nobody /var/lib/nobody")
        let noHooks = "/usr/lib/journalhook/hooks.d"
        try expect(
          1, ["root", "systemd-journal"],
          of: nobody + ["journalhook", "follow", "--hooks", noHooks, "--state-dir", "/var/lib/nobody"])
        try expect(
          1, ["root", "systemd-journal"],
          of: nobody + [
            "journalhook", "replay", "--since", "-1h", "--hooks", noHooks, "--state-dir", "/var/lib/nobody",
          ])
        // With the group it may.
        let reader = ["setpriv", "--reuid=65534", "--regid=65534", "--groups", "systemd-journal"]
        try expect(0, [], of: reader + ["journalhook", "events", "-n", "1"])

        for time in ["soon", "2026-13-01", "25:00", "-10 parsecs", ""] {
          try expect(64, ["--since"], of: follows + [state, "--since", time])
          try expect(64, ["--since"], of: ["journalhook", "replay", "--hooks", hooks, "--since", time])
          try expect(64, ["--since"], of: ["journalhook", "events", "--since", time])
        }
        try expect(64, ["--jobs"], of: follows + [state, "--jobs", "0"])
        try expect(64, ["--event"], of: ["journalhook", "events", "-e", "exploded"])
        try expect(64, ["--since"], of: ["journalhook", "replay", "--hooks", hooks])
        try expect(64, ["--hooks"], of: ["journalhook", "follow", "-D", "/var/log/journal", "--state-dir", state])
        try expect(64, [], of: ["journalhook", "dance"])

        // All the while it goes on.
        try follow.recorder("50-still", match: "Unit=work@still.service\nEvent=started")
        try box.sh("sleep 1; systemctl start work@still")
        try follow.settle()
        #expect(try follow.logged() == ["50-still work@still.service started"])
      }
    }
  }
}
