internal import Systemd

/// The unit that this process belongs to, by its cgroup (cgroups(7)); nil where systemd has not started it.
func ownUnit() -> String? {
  // Lines of version 1's hierarchies may come first.
  guard let text = readText("/proc/self/cgroup"),
    let line = text.split(separator: "\n").first(where: { $0.hasPrefix("0::") })
  else { return nil }
  return line.split(separator: "/").last { $0.hasSuffix(".service") || $0.hasSuffix(".scope") }.map(String.init)
}
