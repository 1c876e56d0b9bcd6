import Testing

extension SystemTests {
  /// Whatever a unit is called, its name is data.
  @Suite(.box) struct NameTests {
    /// Instances, as somebody would write them; systemd-escape(1) makes names of them.
    private static let instances = [
      #"a "b" 'c'"#, "$(touch /pwned)", "`touch /pwned`", "; touch /pwned ;", "| touch /pwned &", "% %n %% %I %",
      "new\nline\ttab", "-rf --help", "* ? [a-z] ~", #"back\slash \x41 \n"#, "${HOME} $1 $JOURNALHOOK_UNIT",
      "<>()!#{}=",
      "\u{1b}]0;title\u{7}", "ümläut \u{202e}", "\u{ff}", String(repeating: "x", count: 242),
    ]

    /// Writes its arguments, one behind the other, each ended by a NUL.
    private static let dump = "#!/bin/sh\nprintf '%s\\0' \"$@\" >\"$JOURNALHOOK_STATE_DIRECTORY/$JOURNALHOOK_RUN_ID\"\n"

    @Test func `no value is ever interpreted`() throws {
      try Follow.use { follow in
        let box = follow.box
        try follow.file("dump", Self.dump, mode: "0755")
        try follow.file(
          "50-dump.hook",
          """
          [Match]
          Unit=work@*.service *.mount
          Event=started stopped
          [Hook]
          Environment=WHOLE=%n "INSTANCE=x %I y"
          Exec=dump %n %N %p %i %I %e %r %H %% "a %I b" 'c%Id' end
          """)
        try follow.hook(
          "60-variables", match: "Unit=work@*.service *.mount\nEvent=started stopped",
          body:
            #"cd "$JOURNALHOOK_STATE_DIRECTORY" && cat >"$JOURNALHOOK_RUN_ID.json" && tr '\0' '\n' </proc/$$/environ >"$JOURNALHOOK_RUN_ID.env""#
        )
        try follow.file(
          "70-shipped.hook",
          "[Match]\nUnit=work@*.service\nEvent=started\n[Hook]\nExec=notify --to journal --to \"exec:/bin/true %I\"\n")
        try follow.file(
          "71-shipped.hook", "[Match]\nUnit=work@*.service\nEvent=started\n[Hook]\nExec=start-dependent %I\n")
        try box.sh("ln -s /usr/lib/journalhook/hooks.d/* $1/", follow.hooks)
        try follow.start()
        for instance in Self.instances {
          try box.sh(
            #"unit=$(systemd-escape --template=work@.service -- "$1"); systemctl start "$unit" && systemctl stop "$unit""#,
            instance)
        }
        // Mounts are named after their directories, by whoever mounts them. (systemd itself expands the variable in one of them.)
        for instance in Self.instances.dropLast() {
          try box.sh(
            #"mkdir -p -- "/mnt/$1" && systemd-mount -q -t tmpfs tmpfs "/mnt/$1" && umount -- "/mnt/$1" || true"#,
            instance)
        }
        try follow.settle(60)
        #expect(
          try box.run(["bash", "-c", "ls -d /pwned* /root/pwned* \"$1\"/pwned* 2>/dev/null", "bash", follow.directory])
            .text == "")
        #expect(
          try follow.sql("SELECT count(*) FROM runs WHERE hook IN ('50-dump', '60-variables') AND state <> 'succeeded'")
            == ["0"])

        // What was given is what systemd makes of the names itself.
        let compared = try box.sh(
          #"""
          cd "$1"
          sqlite3 -separator ' ' journalhook.db "SELECT id, unit, event FROM runs WHERE hook = '50-dump'" | while read -r id unit event; do
            mapfile -d '' -t words <"hooks/50-dump/$id"
            stem=${unit%.*} prefix=$stem instance=''
            case $stem in *@*) prefix=${stem%%@*} instance=${stem#*@} ;; esac
            plain=''
            [ -z "$instance" ] || plain=$(systemd-escape --unescape -- "$instance" && echo .) && plain=${plain%$'\n'.}
            expected=("$unit" "$stem" "$prefix" "$instance" "$plain" "$event" "${words[6]}" "$(hostname)" % "a $plain b" "c${plain}d" end)
            [ "${#words[@]}" = 12 ] || echo "$unit: ${#words[@]} words"
            for i in "${!expected[@]}"; do
              [ "${words[i]}" = "${expected[i]}" ] || printf '%s: word %s is %q and not %q\n' "$unit" "$i" "${words[i]}" "${expected[i]}"
            done
            echo compared
          done
          for file in hooks/60-variables/*.env; do
            unit=$(sqlite3 :memory: "SELECT e ->> 'unit' FROM (SELECT readfile('${file%.env}.json') || '' AS e)")
            grep -qxF "JOURNALHOOK_UNIT=$unit" "$file" || echo "$file: not $unit"
            [ "$(wc -l <"${file%.env}.json")" = 1 ] || echo "$file: more than one line"
            echo compared
          done
          """#, follow.state
        ).lines
        let wrong = compared.filter { $0 != "compared" }
        #expect(wrong.isEmpty, "\(wrong)")
        let count = (Self.instances.count * 2 - 1) * 2
        #expect(compared.count - wrong.count >= count * 2 - 8, "\(compared.count)")
        // A terminal is shown no control characters.
        let shown = try box.sh("journalhook events -b -o cat").text
        #expect(!shown.unicodeScalars.contains { $0.value < 0x20 && $0 != "\n" })
      }
    }
  }
}
