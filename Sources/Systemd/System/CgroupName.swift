/// The name of a process's cgroup in the cgroup2 hierarchy: the line `0::` of /proc/PID/cgroup, which may come after lines of
/// v1 hierarchies.
///
/// - Parameter process: the process id, or `self`.
package func cgroupName(of process: String) -> String? {
  readText("/proc/\(process)/cgroup")?.split(separator: "\n").first { $0.hasPrefix("0::") }.map {
    String($0.dropFirst(3))
  }
}
