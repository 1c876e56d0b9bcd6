import Testing

extension SystemTests {
  /// What others than root could change is refused, loudly, and never runs.
  @Suite(.box) struct TrustTests {
    /// How a hook comes to be unsafe: a shell's text, in the hooks' directory with a safe script `safe` and a safe `.hook` file
    /// `safe.hook` one level above. `$1` is the name of the hook to make.
    private static let refused: [(name: String, text: String, message: String)] = [
      ("script-of-another-user", "cp -a ../safe $1; chown nobody $1", "is owned by uid 65534"),
      ("script-for-a-group", "cp -a ../safe $1; chmod 0775 $1", "is writable by others"),
      ("script-for-everybody", "cp -a ../safe $1; chmod 0757 $1", "is writable by others"),
      ("script-setuid", "cp -a ../safe $1; chmod 4755 $1", "is setuid"),
      ("script-setgid", "cp -a ../safe $1; chmod 2755 $1", "is setuid"),
      ("file-of-another-user", "cp -a ../safe.hook $1.hook; chown nobody $1.hook", "is owned by uid 65534"),
      ("file-for-a-group", "cp -a ../safe.hook $1.hook; chmod 0664 $1.hook", "is writable by others"),
      ("link-to-unsafe-file", "cp -a ../safe ../$1; chmod 0777 ../$1; ln -s ../$1 $1", "is writable by others"),
      ("link-into-tmp", "cp -a ../safe /tmp/$1; ln -s /tmp/$1 $1", "/tmp is writable by others"),
      ("link-of-another-user", "ln -s ../safe $1; chown -h nobody $1", "is owned by uid 65534"),
      (
        "link-through-unsafe-directory", "mkdir -m 0777 ../$1; ln -s ../safe ../$1/link; ln -s ../$1/link $1",
        "is writable by others"
      ),
      ("fifo", "mkfifo -m 0755 $1", "is not a regular file"),
      ("device", "mknod -m 0600 $1 c 1 5", "is not a regular file"),
      ("socket-file", "mknod -m 0600 $1.hook p", "is not a regular file"),
      ("directory", "mkdir $1.hook", "it is a directory"),
      ("link-to-directory", "ln -s /etc $1", "it is a directory"),
      (
        "drop-in-of-another-user", "cp -a ../safe $1; mkdir $1.d; : >$1.d/a.conf; chown nobody $1.d/a.conf",
        "is owned by"
      ),
      (
        "drop-in-for-everybody", "cp -a ../safe $1; mkdir $1.d; : >$1.d/a.conf; chmod 0666 $1.d/a.conf",
        "is writable by"
      ),
      (
        "drop-in-directory-for-a-group", "cp -a ../safe $1; mkdir -m 0775 $1.d; : >$1.d/a.conf", "is writable by others"
      ),
      ("drop-in-directory-of-another-user", "cp -a ../safe $1; mkdir $1.d; chown nobody $1.d", "is owned by uid 65534"),
      (
        "drop-in-link", "cp -a ../safe $1; mkdir $1.d; : >/tmp/$1; chown nobody /tmp/$1; ln -s /tmp/$1 $1.d/a.conf",
        "/tmp is writable by others"
      ),
      (
        "program-for-everybody",
        "cp -a ../safe ../$1; chmod 0757 ../$1; sed s,/root/.*,$PWD/../$1, ../safe.hook >$1.hook",
        "Exec=: "
      ),
      ("program-setuid", "sed s,Exec=.*,Exec=/usr/bin/passwd, ../safe.hook >$1.hook", "is setuid"),
      (
        "program-by-name", "cp -a ../safe ./x-$1; chmod 0757 x-$1; sed s,Exec=.*,Exec=x-$1, ../safe.hook >$1.hook",
        "Exec=: "
      ),
      (
        "condition-program",
        "cp -a ../safe ../$1; chmod 0757 ../$1; (cat ../safe.hook; echo ExecCondition=$PWD/../$1) >$1.hook",
        "ExecCondition=: "
      ),
      (
        "interpreter", "cp /bin/sh ../$1; chmod 0777 ../$1; sed 1s,/bin/sh,$PWD/../$1, ../safe >$1; chmod 0755 $1",
        "is writable by others"
      ),
      ("mask-of-others", ": >/tmp/$1; chown nobody /tmp/$1; ln -s /tmp/$1 $1", "/tmp is writable by others"),
    ]

    private func arrange(_ follow: Follow) throws {
      let match = "Unit=work@trust.service\nEvent=started"
      try follow.recorder("50-safe", match: match)
      try follow.box.sh(
        #"""
        cd "$1" && mv 50-safe ../safe
        printf '[Match]\nUnit=work@trust.service\nEvent=started\n[Hook]\nExec=%s\n' "$2/safe" >../safe.hook
        ln -s ../safe 10-control-link; cp -a ../safe 11-control; cp ../safe.hook 12-control-file.hook
        mkdir 11-control.d; printf '[Hook]\nTimeoutSec=30s\n' >11-control.d/a.conf
        """#, follow.hooks, follow.directory)
      for hook in Self.refused { try follow.box.sh("cd \"$2\"\n\(hook.text)", hook.name, follow.hooks) }
    }

    @Test func `unsafe hooks are refused in list, check and the journal, and never run`() throws {
      try Follow.use { follow in
        let box = follow.box
        try arrange(follow)
        try follow.start()
        try box.sh("systemctl start work@trust")
        try follow.settle()
        #expect(try follow.runs().map(\.hook) == ["10-control-link", "11-control", "12-control-file"])
        #expect(try follow.logged().count == 3)
        let list = try box.run(["journalhook", "list", "--hooks", follow.hooks, "--state-dir", follow.state])
        let check = try box.run(["journalhook", "check", "--hooks", follow.hooks])
        #expect(check.status == 1)
        let told = try box.sh(
          #"journalctl -q -o cat _PID="$1" MESSAGE_ID=18f400ff688b4de7b29fb86fd31ac7d1"#, follow.pid
        ).lines
        for hook in Self.refused {
          let words = list.lines.first { $0.hasPrefix(hook.name + " ") }?.split(separator: " ") ?? []
          #expect(words.count > 1 && words[1] == "refused", "\(hook.name): \(words)")
          for (place, lines) in [("check", check.lines), ("journal", told)] {
            let own = lines.filter {
              $0.hasPrefix("\(follow.hooks)/\(hook.name):") || $0.hasPrefix("\(follow.hooks)/\(hook.name).hook:")
            }
            #expect(own.count == 1 && own[0].contains(hook.message), "\(place), \(hook.name): \(own)")
          }
        }
        #expect(!check.text.contains("control"))
      }
    }

    @Test func `an unsafe directory above, at any time, refuses all that is below`() throws {
      try Follow.use { follow in
        let box = follow.box
        try follow.recorder("50-safe", match: "Unit=work@above.service\nEvent=started")
        try follow.start()
        let changes = [
          ("chmod 0775", "chmod 0755", follow.hooks), ("chown nobody", "chown root", follow.hooks),
          ("chmod 1777", "chmod 0755", follow.directory),
        ]
        for (unsafe, safe, directory) in changes {
          let before = try follow.logged().count
          try box.sh(#"$1 "$3"; sleep 0.5; systemctl restart work@above; sleep 0.3"#, unsafe, safe, directory)
          // The fence is below, too: it answers only when all is well again.
          #expect(try follow.logged().count == before, "\(unsafe) \(directory)")
          let list = try box.run(["journalhook", "list", "--hooks", follow.hooks, "--state-dir", follow.state])
          #expect((list.text + list.errors).contains("refused"), "\(unsafe) \(directory): \(list)")
          #expect(try box.run(["journalhook", "check", "--hooks", follow.hooks]).status == 1)
          try box.sh(#"$1 "$2"; sleep 0.5; systemctl restart work@above"#, safe, directory)
          try follow.settle()
          #expect(try follow.logged().count == before + 1, "\(safe) \(directory)")
        }
        #expect(try follow.isAlive)
      }
    }

    @Test func `a link that is exchanged ten thousand times never leads to an unsafe script`() throws {
      try Follow.use { follow in
        let box = follow.box
        try follow.recorder("safe", match: "Unit=work@swap*.service\nEvent=started stopped", hook: "RateLimitBurst=0")
        try box.sh(
          #"""
          cd "$1"; mv safe ../safe; sed "s/JOURNALHOOK_HOOK /&UNSAFE /" ../safe >../unsafe; chmod 0757 ../unsafe
          grep -q UNSAFE ../unsafe; ln -s ../safe 50-swap
          """#, follow.hooks)
        try follow.start()
        try box.sh(
          #"""
          cd "$1"
          perl -e 'my $n = 0; until ($n >= 10000 && -e ".stop") { for my $to ("../unsafe", "../safe") {
            symlink($to, ".new") && rename(".new", "50-swap") or die $!; $n++; select(undef, undef, undef, 0.0002) } }
            print $n' >../swaps & swapper=$!
          for i in $(seq 10); do systemctl restart work@swap{1..12}; done
          touch .stop
          wait $swapper
          """#, follow.hooks)
        try follow.settle(60)
        let lines = try follow.logged()
        #expect(lines.allSatisfy { !$0.contains("UNSAFE") }, "\(lines)")
        // It did answer, now and then: what is refused is told, what is safe runs.
        let states = try follow.sql("SELECT state, count(*) FROM runs WHERE hook = '50-swap' GROUP BY state")
        let swaps = try box.sh(#"cat "$1/swaps""#, follow.directory).text
        print("\(swaps) exchanges: \(lines.count) lines, \(states)")
        #expect(
          try follow.sql("SELECT count(*) FROM runs WHERE hook = '50-swap' AND state NOT IN ('succeeded', 'refused')")
            == ["0"])
        try box.sh("sleep 1; systemctl restart work@swap1")
        try follow.settle()
        #expect(try follow.logged().count > lines.count)
      }
    }
  }
}
