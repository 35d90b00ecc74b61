import Foundation
import Testing

/// Runs a program of the system, the other side of the formats under test.
enum Program {
  struct Failure: Error, CustomStringConvertible {
    var description: String
  }

  /// What it wrote to standard output; fails when its exit status is not 0.
  @discardableResult
  static func run(_ words: String..., in folder: String? = nil) throws -> [UInt8] {
    try run(words, in: folder)
  }

  @discardableResult
  static func run(_ words: [String], in folder: String? = nil) throws -> [UInt8] {
    let result = try status(of: words, in: folder)
    if result.status != 0 {
      throw Failure(description: "\(words) ended with \(result.status): \(result.words)")
    }
    return result.output
  }

  static func status(
    of words: [String], in folder: String? = nil
  ) throws -> (status: Int32, output: [UInt8], words: String) {
    let process = Process()
    process.executableURL = URL(filePath: "/usr/bin/env")
    process.arguments = ["LC_ALL=C"] + words
    if let folder { process.currentDirectoryURL = URL(filePath: folder) }
    let output = Pipe()
    // Into a file: two pipes read one after the other could fill up and wait for ever.
    let complaints = FileManager.default.temporaryDirectory
      .appending(path: "pgstill-test-\(UUID().uuidString)")
    _ = FileManager.default.createFile(atPath: complaints.path, contents: nil)
    defer { try? FileManager.default.removeItem(at: complaints) }
    process.standardOutput = output
    process.standardError = try FileHandle(forWritingTo: complaints)
    process.standardInput = FileHandle.nullDevice
    try process.run()
    let bytes = try output.fileHandleForReading.readToEnd() ?? Data()
    process.waitUntilExit()
    let words = try String(decoding: Data(contentsOf: complaints), as: UTF8.self)
    return (process.terminationStatus, Array(bytes), words)
  }

  static func isThere(_ path: String) -> Bool { FileManager.default.isExecutableFile(atPath: path) }
}
