import Testing

extension Follow {
  /// Where a follower that is started by hand may find itself.
  enum Place: CaseIterable, CustomTestStringConvertible {
    case service, terminal, withoutCgroups

    var mode: Mode { self == .service ? .service : .byHand }
    var testDescription: String {
      switch self {
      case .service: "as a service"
      case .terminal: "by hand in a terminal"
      case .withoutCgroups: "without a writable cgroup"
      }
    }
  }

  /// Starts it somewhere and waits until it follows.
  func start(in place: Place) throws {
    let command = "echo $$ >\"$FOLDER/pid\"; exec journalhook follow --hooks \"$HOOKS\" --state-dir \"$STATE\""
    switch place {
    case .service: return try start()
    case .terminal:
      // script(1) makes a terminal of its own.
      try launch("script -qfec '\(command)' /dev/null >\"$FOLDER/out\" 2>&1 </dev/null")
    case .withoutCgroups:
      let mount = "mount -o remount,bind,ro /sys/fs/cgroup || exit 1"
      try launch("unshare -m bash -c '\(mount); \(command)' >\"$FOLDER/out\" 2>&1 </dev/null")
    }
    try box.wait(
      until: #"""
        [[ -s $1/pid ]] && journalctl -q -o cat _PID="$(cat "$1/pid")" MESSAGE_ID=d1165d4871b840da8b7461e7fb4bef1b | grep -q .
        """#, directory)
  }

  private func launch(_ command: String) throws {
    let text = """
      export FOLDER=$1 HOOKS=$2 STATE=$3
      rm -f "$FOLDER"/{pid,status}
      (setsid bash -c '"$@"; echo $? >"$FOLDER/status"' bash bash -c "$4" >/dev/null 2>&1 &)
      """
    try box.sh(text, directory, hooks, state, command)
  }
}
