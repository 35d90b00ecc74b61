// swift-tools-version: 6.1
import PackageDescription

/// Every Swift target is built with the same rules: Swift 6, no warning tolerated.
let rules: [SwiftSetting] = [
  .swiftLanguageMode(.v6),
  .unsafeFlags(["-warnings-as-errors"]),
]

/// Every function of every library is looked up when the program starts: a first call inside the
/// freeze window must not read a library from a file system that is frozen.
let boundAtStart = LinkerSetting.unsafeFlags(["-Xlinker", "-z", "-Xlinker", "now"])

let systemPackage = Target.Dependency.product(name: "SystemPackage", package: "swift-system")
let arguments = Target.Dependency.product(name: "ArgumentParser", package: "swift-argument-parser")

/// For those above the engine. Whatever a target imports has to stand in its list, also what it would
/// get through another: it is not built anew otherwise when that changes.
let engineAndBelow: [Target.Dependency] = [
  "StillModel", "StillSystem", "StillPostgres", "StillVolumes", "StillArchive",
  "StillTransfer", "StillEngine",
]

/// The layers, lowest first. A target may import only what stands in its list: the arrows point
/// one way, and the compiler keeps them so.
let package = Package(
  name: "pgstill",
  products: [
    .executable(name: "pgstill", targets: ["pgstill"]),
    // For the demo, the tests and the curious: is the freeze really of one instant?
    .executable(name: "freeze-trial", targets: ["freeze-trial"]),
  ],
  dependencies: [
    .package(url: "https://github.com/apple/swift-argument-parser", exact: "1.8.2"),
    .package(url: "https://github.com/apple/swift-system", exact: "1.8.1"),
  ],
  targets: [
    // C libraries of the system, as they are.
    .systemLibrary(name: "CLibPQ", pkgConfig: "libpq", providers: [.apt(["libpq-dev"])]),
    .systemLibrary(name: "CLVM2", providers: [.apt(["liblvm2-dev"])]),
    .systemLibrary(name: "CDeviceMapper", providers: [.apt(["libdevmapper-dev"])]),
    .systemLibrary(name: "CLZ4", pkgConfig: "liblz4", providers: [.apt(["liblz4-dev"])]),
    .systemLibrary(name: "CZstd", pkgConfig: "libzstd", providers: [.apt(["libzstd-dev"])]),
    .systemLibrary(name: "CDeflate", providers: [.apt(["libdeflate-dev"])]),
    .systemLibrary(name: "CZlib", pkgConfig: "zlib", providers: [.apt(["zlib1g-dev"])]),
    .systemLibrary(name: "CCrypto", pkgConfig: "libcrypto", providers: [.apt(["libssl-dev"])]),
    .systemLibrary(name: "CACL", providers: [.apt(["libacl1-dev"])]),
    // C of our own: what Swift cannot call (fork, variadics, macros), and the freeze window, which
    // may not allocate.
    .target(name: "CStill"),
    .target(name: "CFreeze"),

    .target(name: "StillModel", dependencies: [systemPackage], swiftSettings: rules),
    .target(
      name: "StillSystem", dependencies: ["StillModel", "CStill", "CACL"], swiftSettings: rules),
    .target(
      name: "StillPostgres", dependencies: ["StillModel", "StillSystem", "CLibPQ"],
      swiftSettings: rules),
    .target(
      name: "StillVolumes",
      dependencies: [
        "StillModel", "StillSystem", "CLVM2", "CDeviceMapper", "CFreeze",
      ],
      swiftSettings: rules),
    .target(
      name: "StillArchive",
      dependencies: [
        "StillModel", "StillSystem", "CZstd", "CLZ4", "CDeflate", "CZlib", "CCrypto", "CStill",
      ],
      swiftSettings: rules),
    .target(
      name: "StillTransfer", dependencies: ["StillModel", "StillSystem"], swiftSettings: rules),
    .target(
      name: "StillEngine",
      dependencies: [
        "StillModel", "StillSystem", "StillPostgres", "StillVolumes", "StillArchive",
        "StillTransfer",
      ],
      swiftSettings: rules),
    // What was found out, as a page to look at: values in, text out.
    .target(name: "StillPages", dependencies: ["StillModel"], swiftSettings: rules),
    .target(
      name: "StillCommands", dependencies: engineAndBelow + ["StillPages", arguments],
      swiftSettings: rules),
    .executableTarget(
      name: "pgstill", dependencies: ["StillSystem", "StillCommands"], swiftSettings: rules,
      linkerSettings: [boundAtStart]),
    .executableTarget(
      name: "freeze-trial",
      dependencies: ["StillModel", "StillSystem", "StillVolumes", arguments],
      path: "Sources/FreezeTrial", swiftSettings: rules, linkerSettings: [boundAtStart]),
    .target(name: "StillTestSupport", dependencies: engineAndBelow, swiftSettings: rules),

    // What needs device-mapper; scripts/test runs these in the lab.
    .testTarget(
      name: "StillLabTests",
      dependencies: engineAndBelow + ["CFreeze", "StillTestSupport", "pgstill", "freeze-trial"],
      swiftSettings: rules),
    .testTarget(
      name: "StillModelTests", dependencies: engineAndBelow + ["StillTestSupport"],
      swiftSettings: rules),
    .testTarget(
      name: "StillPostgresTests", dependencies: engineAndBelow + ["StillTestSupport"],
      swiftSettings: rules),
    .testTarget(
      name: "StillArchiveTests", dependencies: engineAndBelow + ["StillTestSupport"],
      swiftSettings: rules),
    .testTarget(
      name: "StillSystemTests", dependencies: engineAndBelow + ["StillTestSupport"],
      swiftSettings: rules),
    .testTarget(
      name: "StillVolumesTests", dependencies: engineAndBelow + ["StillTestSupport"],
      swiftSettings: rules),
    .testTarget(
      name: "StillTransferTests", dependencies: engineAndBelow + ["StillTestSupport"],
      swiftSettings: rules),
    .testTarget(
      name: "StillEngineTests", dependencies: engineAndBelow + ["StillTestSupport"],
      swiftSettings: rules),
    // These look at the pages in a browser.
    .testTarget(
      name: "StillPagesTests", dependencies: engineAndBelow + ["StillPages", "StillTestSupport"],
      swiftSettings: rules),
    // These run the program itself.
    .testTarget(
      name: "StillCommandsTests",
      dependencies: engineAndBelow + ["StillCommands", "StillTestSupport", "pgstill"],
      swiftSettings: rules),
  ]
)
