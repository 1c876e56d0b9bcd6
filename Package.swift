// swift-tools-version: 6.3
import PackageDescription

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
    .target(name: "Systemd", dependencies: ["CSystemd"]),
    .target(name: "JournalHookCore", dependencies: ["Systemd"]),
    .target(name: "JournalHookDaemon", dependencies: ["JournalHookCore", "Systemd", "CSystemd", "CSQLite", "CSpawn"]),
    .executableTarget(
      name: "journalhook",
      dependencies: [
        "JournalHookDaemon", "JournalHookCore", "Systemd", "CArguments",
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
      ]),
    .testTarget(name: "SystemdTests", dependencies: ["Systemd", "CSystemd"]),
    .testTarget(
      name: "JournalHookCoreTests", dependencies: ["JournalHookCore", "Systemd"], exclude: ["Fixtures"]),
    .testTarget(
      name: "JournalHookDaemonTests", dependencies: ["JournalHookDaemon", "JournalHookCore", "Systemd", "CSQLite"]),
    .testTarget(name: "CommandTests"),
    .testTarget(name: "SystemTests"),
  ],
  swiftLanguageModes: [.v6]
)

// What contrib/fuzz links with libFuzzer. Not every toolchain has that, and nothing else needs it.
if Context.environment["JOURNALHOOK_FUZZ"] != nil {
  package.products.append(.library(name: "Fuzz", type: .static, targets: ["Fuzz"]))
  package.targets.append(
    .target(name: "Fuzz", dependencies: ["JournalHookCore", "Systemd"], path: "Fuzz", exclude: ["words.dict"]))
}

// The same strict rules for every Swift target: unsafe code is marked, imports say what they export, a warning is an error.
for target in package.targets where target.type != .system && !["CSpawn", "CArguments"].contains(target.name) {
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
  if target.type != .test { target.swiftSettings?.append(.strictMemorySafety()) }
}
