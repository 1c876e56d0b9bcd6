import Glibc

/// The signals by their names.
public enum Signal {
  private static let numbers: [(name: String, number: Int32)] = [
    ("HUP", SIGHUP), ("INT", SIGINT), ("QUIT", SIGQUIT), ("ILL", SIGILL), ("TRAP", SIGTRAP), ("ABRT", SIGABRT),
    ("BUS", SIGBUS), ("FPE", SIGFPE), ("KILL", SIGKILL), ("USR1", SIGUSR1), ("SEGV", SIGSEGV), ("USR2", SIGUSR2),
    ("PIPE", SIGPIPE), ("ALRM", SIGALRM), ("TERM", SIGTERM), ("STKFLT", SIGSTKFLT), ("CHLD", SIGCHLD),
    ("CONT", SIGCONT), ("STOP", SIGSTOP), ("TSTP", SIGTSTP), ("TTIN", SIGTTIN), ("TTOU", SIGTTOU), ("URG", SIGURG),
    ("XCPU", SIGXCPU), ("XFSZ", SIGXFSZ), ("VTALRM", SIGVTALRM), ("PROF", SIGPROF), ("WINCH", SIGWINCH), ("IO", SIGIO),
    ("PWR", SIGPWR), ("SYS", SIGSYS),
  ]

  /// Other names of the same signals.
  private static let aliases: [(name: String, number: Int32)] = [("IOT", SIGABRT), ("CLD", SIGCHLD), ("POLL", SIGIO)]

  /// The number of a signal by its name, with or without `SIG`: `TERM`, `SIGTERM`, `RTMIN+3`.
  public static func number(named name: String) -> Int32? {
    let name = name.hasPrefix("SIG") ? String(name.dropFirst(3)) : name
    if let known = (numbers + aliases).first(where: { $0.name == name }) { return known.number }
    let first: Int32 = 34
    let last: Int32 = 64
    if name == "RTMIN" { return first }
    if name == "RTMAX" { return last }
    if name.hasPrefix("RTMIN+"), let offset = Int32(name.dropFirst(6)), 0...(last - first) ~= offset {
      return first + offset
    }
    if name.hasPrefix("RTMAX-"), let offset = Int32(name.dropFirst(6)), 0...(last - first) ~= offset {
      return last - offset
    }
    return nil
  }

  /// The name of a signal without `SIG`.
  public static func name(of number: Int32) -> String? {
    if let known = numbers.first(where: { $0.number == number }) { return known.name }
    return 34...64 ~= number ? "RTMIN+\(number - 34)" : nil
  }

  /// The names of the signals without `SIG`; real-time signals are left out.
  public static var names: [String] { numbers.map(\.name) }
}
