import Foundation
import StillModel
import StillSystem
import SystemPackage

/// A folder for one test, removed when the test lets go of it.
final class TemporaryFolder {
  let path: String

  init() throws {
    path =
      FileManager.default.temporaryDirectory
      .appending(path: "pgstill-test-\(UUID().uuidString)").path
    try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
  }

  deinit { try? FileManager.default.removeItem(atPath: path) }

  func open() throws -> OpenFolder { try OpenFolder.open(FilePath(path)) }

  /// Makes a folder below it and opens it.
  func folder(_ name: String) throws -> OpenFolder {
    let inner = path + "/" + name
    try FileManager.default.createDirectory(atPath: inner, withIntermediateDirectories: true)
    return try OpenFolder.open(FilePath(inner))
  }

  /// Makes a file with folders above it as needed.
  func write(_ content: [UInt8], to name: String) throws {
    let full = URL(filePath: path + "/" + name)
    try FileManager.default.createDirectory(
      at: full.deletingLastPathComponent(), withIntermediateDirectories: true)
    try Data(content).write(to: full)
  }

  func write(_ content: String, to name: String) throws {
    try write(Array(content.utf8), to: name)
  }

  func file(_ name: String, _ mode: OpenFile.Mode = .read) throws -> OpenFile {
    try OpenFile.open(FilePath(path + "/" + name), mode)
  }

  func read(_ name: String) throws -> [UInt8] {
    let file = try file(name)
    return try file.readAll(limit: 1 << 30)
  }
}

/// Bytes that do not compress to nothing and are the same every time.
func sampleBytes(_ count: Int, seed: UInt64 = 1) -> [UInt8] {
  var state = seed
  return [UInt8](unsafeUninitializedCapacity: count) { buffer, initialized in
    for index in 0..<count {
      state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      buffer[index] = UInt8(truncatingIfNeeded: state >> 60)
    }
    initialized = count
  }
}
