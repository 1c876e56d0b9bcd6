internal import Systemd

/// The unit that this process belongs to, by its cgroup (cgroups(7)); nil if it is not in the cgroup of a service or scope.
func ownUnit() -> String? {
  // Lines of cgroup version 1 may come first.
  guard let text = readText("/proc/self/cgroup"),
    let line = text.split(separator: "\n").first(where: { $0.hasPrefix("0::") })
  else { return nil }
  return line.split(separator: "/").last { $0.hasSuffix(".service") || $0.hasSuffix(".scope") }.map(String.init)
}
