// swift-tools-version: 6.3
import PackageDescription

/// All that the daemon wires together.
let daemonRooms: [Target.Dependency] = [
  "EventReading", "HookFiles", "RunLedger", "Processes", "Runs", "Hooks", "Lifecycle", "TrustedFiles", "Systemd",
]

let package = Package(
  name: "journalhook",
  products: [
    .executable(name: "journalhook", targets: ["journalhook"]),
    .library(name: "Systemd", targets: ["Systemd"]),
  ],
  dependencies: [
    .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.0")
  ],
  targets: [
    .systemLibrary(name: "CSystemd", pkgConfig: "libsystemd", providers: [.apt(["libsystemd-dev"])]),
    .systemLibrary(name: "CSQLite", pkgConfig: "sqlite3", providers: [.apt(["libsqlite3-dev"])]),
    .target(name: "CSpawn"),
    .target(name: "CArguments"),
    // The rooms. Each knows only those that it names here; ARCHITECTURE.md says why.
    .target(name: "Systemd", dependencies: ["CSystemd"]),
    .target(name: "Lifecycle", dependencies: ["Systemd"]),
    .target(name: "Hooks", dependencies: ["Lifecycle", "Systemd"]),
    .target(name: "Runs", dependencies: ["Hooks", "Lifecycle", "Systemd"]),
    .target(name: "TrustedFiles", dependencies: ["Systemd"]),
    .target(name: "Processes", dependencies: ["TrustedFiles", "Systemd", "CSpawn", "CSystemd"]),
    .target(name: "RunLedger", dependencies: ["Runs", "Hooks", "Lifecycle", "TrustedFiles", "Systemd", "CSQLite"]),
    .target(name: "EventReading", dependencies: ["Lifecycle", "Systemd", "CSystemd"]),
    .target(name: "HookFiles", dependencies: ["Hooks", "Lifecycle", "TrustedFiles", "Systemd", "CSystemd"]),
    .target(name: "JournalHookDaemon", dependencies: daemonRooms),
    .executableTarget(
      name: "journalhook",
      dependencies: daemonRooms + [
        "JournalHookDaemon", "CArguments", .product(name: "ArgumentParser", package: "swift-argument-parser"),
      ]),
    // A disk in memory for SQLite, and the histories that are played on it.
    .target(name: "CSimulatedDisk", dependencies: ["CSQLite"], path: "Tests/CSimulatedDisk"),
    .target(name: "TestSupport", dependencies: ["Lifecycle", "Systemd"], path: "Tests/TestSupport"),
    .testTarget(name: "SystemdTests", dependencies: ["Systemd", "CSystemd", "TestSupport"]),
    .testTarget(
      name: "LifecycleTests", dependencies: ["Lifecycle", "Systemd", "SimulatedSystem", "TestSupport"],
      exclude: ["Fixtures"]),
    .testTarget(name: "HooksTests", dependencies: ["Hooks", "Lifecycle", "Systemd", "TestSupport"]),
    .testTarget(name: "RunsTests", dependencies: ["Runs", "Hooks", "Lifecycle", "Systemd", "TestSupport"]),
    .testTarget(name: "TrustedFilesTests", dependencies: ["TrustedFiles", "Systemd", "TestSupport"]),
    .testTarget(name: "ProcessesTests", dependencies: ["Processes", "TrustedFiles", "Systemd", "TestSupport"]),
    .testTarget(
      name: "RunLedgerTests",
      dependencies: ["RunLedger", "Runs", "Hooks", "Lifecycle", "Systemd", "CSQLite", "TestSupport"]),
    .testTarget(name: "EventReadingTests", dependencies: ["EventReading", "Lifecycle", "Systemd", "TestSupport"]),
    .testTarget(name: "HookFilesTests", dependencies: ["HookFiles", "Hooks", "Systemd", "TestSupport"]),
    .testTarget(name: "JournalHookDaemonTests", dependencies: daemonRooms + ["JournalHookDaemon", "TestSupport"]),
    .testTarget(
      name: "SimulationTests",
      dependencies: [
        "RunLedger", "Runs", "Hooks", "Lifecycle", "Systemd", "CSQLite", "CSimulatedDisk", "SimulatedSystem",
        "Simulation", "TestSupport",
      ]),
    .target(name: "SimulatedSystem", dependencies: ["Systemd"], path: "Tests/SimulatedSystem"),
    .target(
      name: "Simulation", dependencies: daemonRooms + ["JournalHookDaemon", "SimulatedSystem", "CSimulatedDisk"],
      path: "Tests/Simulation"),
    .executableTarget(name: "simulate", dependencies: ["Simulation"], path: "Tests/Simulate"),
    .testTarget(name: "CommandTests"),
    .testTarget(name: "SystemTests"),
  ],
  swiftLanguageModes: [.v6]
)

// What contrib/fuzz links with libFuzzer. Not every toolchain has that, and nothing else needs it.
if Context.environment["JOURNALHOOK_FUZZ"] != nil {
  package.products.append(.library(name: "Fuzz", type: .static, targets: ["Fuzz"]))
  package.targets.append(
    .target(name: "Fuzz", dependencies: ["Hooks", "Lifecycle", "Systemd"], path: "Tests/Fuzz", exclude: ["words.dict"]))
}

let cTargets = ["CSpawn", "CArguments", "CSimulatedDisk"]
// The same strict rules for every Swift target: unsafe code is marked, imports say what they export, a warning is an error.
for target in package.targets where target.type != .system && !cTargets.contains(target.name) {
  target.swiftSettings = [
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .enableUpcomingFeature("NonisolatedNonsendingByDefault"),
    .enableUpcomingFeature("InferIsolatedConformances"),
    .enableUpcomingFeature("ImmutableWeakCaptures"),
    .treatAllWarnings(as: .error),
  ]
  // Tests call C freely; the macros of Swift Testing are not written for strict memory safety.
  if target.type != .test, !["TestSupport", "Simulation", "SimulatedSystem", "simulate"].contains(target.name) {
    target.swiftSettings?.append(.strictMemorySafety())
  }
}
