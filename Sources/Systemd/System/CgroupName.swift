/// The cgroup2 name of a process. Lines of v1 hierarchies may come first.
package func cgroupName(of process: String) -> String? {
  readText("/proc/\(process)/cgroup")?.split(separator: "\n").first { $0.hasPrefix("0::") }.map {
    String($0.dropFirst(3))
  }
}
