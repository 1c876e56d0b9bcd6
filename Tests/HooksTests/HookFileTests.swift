import Systemd
import TestSupport
import Testing

@testable import Hooks
@testable import Lifecycle

@Suite struct HookFileTests {
  static let good = "[Match]\nUnit=a\nEvent=stopped\n[Hook]\nExec=x\n"

  @Test func hasDefaults() throws {
    let hook = try #require(definition(Self.good))
    #expect(hook.timeout == .minutes(2))
    #expect(hook.grace == .seconds(5))
    #expect(hook.retryDelay == .seconds(1))
    #expect(hook.settle == .zero)
    #expect(hook.catchUp == .all)
    #expect(hook.rerunInterrupted && !hook.previousBoots && !hook.parallel && !hook.duringShutdown)
    #expect(hook.rateLimitInterval == .seconds(10) && hook.rateLimitBurst == 50 && hook.retryCount == 0)
    #expect(hook.match.namedUnits == ["a.service"])
  }

  @Test func readsEveryKey() throws {
    let result = load(
      Self.good + """
        Description=What it does
        Documentation=man:a(1) https://example.org
        TimeoutSec=1min 30s
        GraceSec=1
        RetryCount=3
        RetryDelaySec=500ms
        SettleSec=2s
        CatchUp=latest
        PreviousBoots=yes
        RerunInterrupted=off
        RateLimitIntervalSec=1h
        RateLimitBurst=7
        Parallel=true
        SuccessExitStatus=3 SIGTERM TEMPFAIL
        SuccessExitStatus=4
        ExecCondition=/bin/test -e /x
        ConditionPathExists=|!/a
        ConditionHost=web*
        ConditionUnitActive=b
        Environment=A=1 "B=two words" C=%n
        Environment=A=2
        WorkingDirectory=-/srv
        User=nobody
        Group=100
        UMask=0027
        Nice=-5
        OnHookFailure=alarm.hook
        DuringShutdown=1
        X-Mine=anything
        """)
    #expect(result.diagnostics.isEmpty)
    guard case .hook(let loaded, _) = result else { return }
    let hook = loaded.definition
    #expect(hook.description == "What it does")
    #expect(hook.documentation == ["man:a(1)", "https://example.org"])
    #expect(hook.timeout == .seconds(90) && hook.grace == .seconds(1) && hook.settle == .seconds(2))
    #expect(hook.retryCount == 3 && hook.retryDelay == .milliseconds(500))
    #expect(hook.catchUp == .latest && hook.previousBoots && !hook.rerunInterrupted && hook.parallel)
    #expect(hook.rateLimitInterval == .minutes(60) && hook.rateLimitBurst == 7)
    #expect(hook.successExitStatus.elements == [.status(3), .signal(15), .status(75), .status(4)])
    #expect(hook.execConditions.map(\.program) == ["/bin/test"])
    #expect(hook.conditions.map(\.kind) == [.pathExists, .host, .unitActive])
    #expect(hook.conditions[0].isTriggering && hook.conditions[0].isNegated)
    #expect(hook.conditions[2].parameter.source == "b.service")
    #expect(hook.environment.map(\.name) == ["B", "C", "A"])
    #expect(hook.environment.map { $0.value.expand(for: event()) } == ["two words", "maxscale.service", "2"])
    #expect(hook.workingDirectory?.path.source == "/srv" && hook.workingDirectory?.mayBeMissing == true)
    #expect(hook.user == "nobody" && hook.group == "100" && hook.umask == 0o27 && hook.nice == -5)
    #expect(hook.onHookFailure == "alarm" && hook.duringShutdown)
  }

  /// Lines that are added to a valid file of five lines, and the diagnostics that they cause.
  static let additions: [(String, String)] = [
    ("Exec=y", "f:6: error: Exec=: the command is set already; to replace it, write an empty Exec= first"),
    ("Exec=\nExec=y", ""),
    ("Exec=", "f:6: error: [Hook] has no Exec=: this line resets it, and no later line sets it"),
    ("Timeout=5s", "f:6: warning: unknown key Timeout=, ignored; did you mean TimeoutSec=?"),
    ("timeoutsec=5s", "f:6: warning: unknown key timeoutsec=, ignored; did you mean TimeoutSec=?"),
    (
      "ConditionPathExist=/x",
      "f:6: error: unknown condition ConditionPathExist=; did you mean ConditionPathExists=?"
    ),
    ("ConditionVirtualization=no", "f:6: error: unknown condition ConditionVirtualization="),
    (
      "ConditonPathExists=/x", "f:6: error: unknown condition ConditonPathExists=; did you mean ConditionPathExists=?"
    ),
    ("ExecConditon=/x", "f:6: error: unknown condition ExecConditon=; did you mean ExecCondition=?"),
    ("Wibble=1", "f:6: warning: unknown key Wibble=, ignored"),
    ("Unit=b", "f:6: warning: unknown key Unit=, ignored; it belongs in [Match]"),
    ("X-Wibble=1\n[X-Other]\nA=1", ""),
    ("[Macht]\nA=1", "f:6: warning: unknown section [Macht], ignored; did you mean Match?"),
    ("[Install]\nWantedBy=x", "f:6: warning: unknown section [Install], ignored"),
    ("TimeoutSec=soon", "f:6: error: TimeoutSec=: 'soon' is not a time span (like '30s', '5min 20s' or 'infinity')"),
    ("SettleSec=infinity", "f:6: error: SettleSec=: 'infinity' is not allowed here"),
    ("Parallel=maybe", "f:6: error: Parallel=: 'maybe' is neither yes nor no"),
    ("CatchUp=some", "f:6: error: CatchUp=: 'some' is not one of all, latest, none"),
    ("RetryCount=-1", "f:6: error: RetryCount=: '-1' is not a number"),
    ("UMask=99", "f:6: error: UMask=: '99' is not an octal file mode up to 0777"),
    ("Nice=20", "f:6: error: Nice=: '20' is not a nice level from -20 to 19"),
    ("WorkingDirectory=x", "f:6: error: WorkingDirectory=: 'x' is neither an absolute path nor ~"),
    ("Environment=A", "f:6: error: Environment=: 'A' does not have the form NAME=VALUE"),
    ("Environment=1A=x", "f:6: error: Environment=: '1A' is not the name of a variable"),
    ("ConditionPathExists=x", "f:6: error: ConditionPathExists=: 'x' is not an absolute path"),
    (
      "SuccessExitStatus=256",
      "f:6: error: SuccessExitStatus=: '256' is neither an exit status from 0 to 255 nor a signal"
    ),
    ("Parallel", "f:6: error: 'Parallel' has no '='"),
    ("Exec=\nExec=-x", "f:7: error: Exec=: the prefix '-' of '-x' is not supported: write the program alone"),
    ("Exec=\nExec=a/x", "f:7: error: Exec=: 'a/x' is neither an absolute path nor a bare name"),
    (
      "Exec=\nExec=x %z",
      "f:7: error: Exec=: there is no specifier %z (only %n %N %p %i %I %e %r %H); a percent sign itself is written %%"
    ),
    (
      "Exec=\nExec=x 5%",
      "f:7: error: Exec=: '5%' ends with a single %; a percent sign itself is written %%"
    ),
    (
      "Exec=\nExec=x $UNIT",
      "f:7: warning: $UNIT is passed as it is: variables are not expanded, specifiers (%n, %e) are"
    ),
    ("Exec=\nExec=sh -c 'echo $UNIT'", ""),
    (
      "Exec=\nExec=a && b",
      "f:7: warning: '&&' is passed to the command as it is: there is no shell (use a script, or /bin/sh -c)"
    ),
    ("Exec=\nExec=sh -c 'a && b; c > /dev/null'", ""),
    (
      "[Match]\nUnit=maxscal?",
      "f:7: warning: maxscal? matches no unit, as unit names end with a suffix: write maxscal?.service, for example"
    ),
    ("[Match]\nUnit=max* *@?.mount", ""),
    ("[Match]\nEvent=stop", "f:7: error: Event=: there is no event 'stop'; did you mean stopped?"),
    ("[Match]\nEvent=start", "f:7: error: Event=: there is no event 'start'; did you mean started?"),
    (
      "[Match]\nEvent=stopped,failed",
      "f:7: error: Event=: there is no event 'stopped,failed'; separate several values by spaces"
    ),
    ("[Match]\nEvent=stoped", "f:7: error: Event=: there is no event 'stoped'; did you mean stopped?"),
    ("[Match]\nUnit=a/b", "f:7: error: Unit=: 'a/b' is not the name of a unit"),
    ("[Match]\nUnit=", "f:7: error: [Match] has no Unit=: this line resets it, and no later line sets it"),
    ("[Match]\nUnit=\nUnit=b", ""),
    ("[Match]\nEvent=", "f:7: error: [Match] has no Event=: this line resets it, and no later line sets it"),
    (
      "[Match]\nUnit=a.service, b.service",
      "f:7: error: Unit=: 'a.service,' is not the name of a unit; separate several values by spaces"
    ),
    (
      "[Match]\nUnit=*.path,b",
      "f:7: error: Unit=: '*.path,b' is not the name of a unit; separate several values by spaces"
    ),
    ("[Match]\nUnit=b[x,y]*.service", ""),
    ("[Match]\nHost=a, b", "f:7: error: Host=: 'a,' is not one value; separate several values by spaces"),
    (
      "[Match]\nUnit=/srv/my-data",
      "f:7: error: Unit=: '/srv/my-data' is a path, not the name of a unit; to get the name, run: "
        + "systemd-escape -p --suffix=mount /srv/my-data"
    ),
    (
      "[Match]\nUnit=!/dev/sda",
      "f:7: error: Unit=: '/dev/sda' is a path, not the name of a unit; to get the name, run: "
        + "systemd-escape -p --suffix=device /dev/sda"
    ),
    ("[Match]\nUnit=srv/*", "f:7: error: Unit=: 'srv/*' is not the name of a unit"),
    ("[Match]\nUnit=! b", "f:7: error: Unit=: there is no value after '!'; write '!' directly before the value"),
    (
      "[Match]\nExitStatus=SIGTRM",
      "f:7: error: ExitStatus=: 'SIGTRM' is neither an exit status from 0 to 255 nor a signal; did you mean SIGTERM?"
    ),
    ("[Match]\nRestartJob=x", "f:7: error: RestartJob=: 'x' is neither yes nor no"),
    (
      "[Match]\nResult=signl",
      "f:7: warning: 'signl' is not a result of systemd that journalhook knows; did you mean signal?"
    ),
    ("[Match]\nResult=success", ""),
    ("[Match]\nunit=b", "f:7: error: unknown key unit= in [Match]; did you mean Unit=?"),
    ("[Match]\nRestart=no", "f:7: error: unknown key Restart= in [Match]; did you mean RestartJob=?"),
    ("[Match]\nAuto=no", "f:7: error: unknown key Auto= in [Match]; did you mean AutoRestart=?"),
    ("[Match]\nX-Restart=no", ""),
    (
      "[Match]\nWibble=no",
      "f:7: error: unknown key Wibble= in [Match]; its keys are Unit=, Event=, Result=, ExitStatus=, RestartJob=, "
        + "AutoRestart=, Host="
    ),
    ("[Match]\nTimeoutSec=5", "f:7: error: unknown key TimeoutSec= in [Match]; it belongs in [Hook]"),
    (
      "[Match]\nConditionHost=a", "f:7: error: unknown key ConditionHost= in [Match]; it belongs in [Hook]"
    ),
    ("[Match]\nUnit=b@", "f:7: warning: b@.service is a template and never runs itself; its instances are b@*.service"),
  ]

  @Test(arguments: additions)
  func diagnoses(_ lines: String, _ expected: String) {
    let result = load(Self.good + lines)
    #expect(result.diagnostics.map(\.description).joined(separator: "\n") == expected)
    if case .hook = result { #expect(!expected.contains("error:")) } else { #expect(expected.contains("error:")) }
  }

  @Test func reportsAllMissingKeys() {
    #expect(
      load("# nothing\n").diagnostics.map(\.description) == [
        "f:1: error: [Match] has no Unit=", "f:1: error: [Match] has no Event=", "f:1: error: [Hook] has no Exec=",
      ])
    #expect(
      load("Unit=a\n[Match]").diagnostics.first?.description == "f:1: error: Unit= stands before the first [Section]")
  }

  @Test func mergesDropIns() throws {
    let hook = try #require(
      definition(
        Self.good + "TimeoutSec=5",
        dropIns: ["[Match]\nUnit=b\n[Hook]\nTimeoutSec=9", "[Hook]\nExec=\nExec=y z\nTimeoutSec="]))
    #expect(hook.match.namedUnits == ["a.service", "b.service"])
    #expect(hook.timeout == .minutes(2))
    #expect(hook.exec?.words.map(\.source) == ["y", "z"])
    for (section, key) in [("Match", "Unit"), ("Match", "Event"), ("Hook", "Exec")] {
      #expect(
        load(Self.good, dropIns: ["[Hook]\nNice=1", "[\(section)]\n\n\(key)="]).diagnostics.map(\.description) == [
          "d1:3: error: [\(section)] has no \(key)=: this line resets it, and no later line sets it"
        ])
    }
    let broken = load(Self.good, dropIns: ["[Hook]\n", "\n[Match]\nEvent=x\n"])
    #expect(broken.diagnostics.map(\.line) == [3])
    #expect(
      broken.diagnostics[0].description.hasPrefix(
        "d1:3: error: Event=: there is no event 'x'; the events are starting, "))
    if case .hook(let hook, _) = load(Self.good, dropIns: ["", ""]) { #expect(hook.dropIns == ["d0", "d1"]) }
  }

  @Test func reportsDefinitionsInFilesWithTheWrongName() {
    let script = "#!/bin/sh\n# [Match]\n# Unit=a\n# Event=stopped\n"
    func problems(_ text: String, _ kind: HookKind) -> [String] {
      load(text, kind: kind).diagnostics.map(\.description)
    }
    #expect(problems(script, .executable).isEmpty)
    for kind in [HookKind.plainFile, .executable] {
      #expect(
        problems("\n; more\n" + Self.good, kind) == [
          "f:3: error: the file is a definition, but its name does not end with .hook: rename it"
        ])
      #expect(
        problems("Unit=a\nEvent=stopped\nExec=x\n", kind) == [
          "f:1: error: the file is a definition, but its name does not end with .hook: rename it"
        ])
      for program in ["#!/bin/sh\n[ -e /x ]\n", "[ -e /x ]\n", "\u{7F}ELF\n", "notes\n[Match]\n", "# [Matching]\n"] {
        #expect(load(program, kind: kind) == .program)
      }
    }
    let plain = script.dropFirst(10)
    #expect(problems(String(plain), .executable).first?.hasPrefix("f:1: error: the file has no #! line") == true)
  }

  @Test func knowsWhereAKeyWasSet() throws {
    guard case .hook(let hook, _) = load(Self.good + "User=a\n", dropIns: ["[Hook]\n\nUser=b\n", "[Match]\nUnit=c\n"])
    else { throw CancellationError() }
    #expect(hook.place(of: "User") == ("d0", 3))
    #expect(hook.place(of: "User", containing: "a") == ("f", 6))
    #expect(hook.place(of: "Unit", containing: "c") == ("d1", 2))
    #expect(hook.place(of: "Group") == ("f", 1))
  }

  @Test func readsATimeoutOf0AsInfinity() {
    #expect(definition(Self.good + "TimeoutSec=0")?.timeout == .infinity)
  }

  @Test func masks() {
    #expect(load("") == .masked)
    #expect(load("", kind: .executable) == .masked)
  }

  @Test(arguments: [
    (".x", true), ("x~", true), ("x.swp", true), ("x.bak", true), ("x.rpmnew", true), ("x.rpmsave", true),
    ("x.rpmorig", true), ("x.hook.disabled", true), ("x.dpkg-old", true), ("x.dpkg-dist", true), ("README.md", true),
    ("x.conf", true),
    (".hook", true), ("", true), ("x", false), ("x.hook", false), ("x.sh", false), ("x.hook~", true), ("dpkg-x", false),
    ("x.dpkg-new.sh", false), ("10-stop.py", false),
  ])
  func ignoresFiles(_ name: String, _ expected: Bool) {
    #expect(HookFileNames.isIgnored(name) == expected)
  }

  @Test func namesHooks() {
    #expect(HookFileNames.hookName(ofFile: "x.hook") == "x")
    #expect(HookFileNames.hookName(ofFile: "x.sh") == "x.sh")
    #expect(HookFileNames.dropInDirectory(ofHook: "x") == "x.d")
  }
}
