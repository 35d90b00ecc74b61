import StillModel
import StillSystem
import Synchronization
import SystemPackage

/// Writes a growing number to every volume in turn, each write on the disk before the next begins.
/// At any one instant the numbers on the volumes are therefore equal, or those before a point of the
/// row are greater by one; in whatever is not of one instant they are not.
final class CounterWriter: Sendable {
  private struct State {
    var isEnded = false
    var longestStall: Int64 = 0
    var writes: UInt64 = 0
    var failure: StillError?
  }

  static let fileName: FilePath = "freeze-trial-counter"
  private static let width = 12

  private let folders: [FilePath]
  private let state = Mutex(State())
  private let thread: Mutex<WorkerThread?> = Mutex(nil)

  init(_ folders: [FilePath]) throws {
    self.folders = folders
    let files = try folders.map {
      try OpenFile.open(
        $0.appending(CounterWriter.fileName.components), .update(permissions: 0o600))
    }
    for file in files { try file.writeDurably(CounterWriter.line(0), at: 0) }
    let thread = try WorkerThread { [self] in
      var number: UInt64 = 0
      do {
        while !state.withLock({ $0.isEnded }) {
          number += 1
          for file in files { try write(number, to: file) }
        }
      } catch {
        state.withLock { $0.failure = error as? StillError }
      }
    }
    self.thread.withLock { $0 = thread }
  }

  private func write(_ number: UInt64, to file: OpenFile) throws {
    let before = Clock.monotonic()
    try file.writeDurably(CounterWriter.line(number), at: 0)
    let took = Clock.monotonic() - before
    state.withLock {
      $0.longestStall = max($0.longestStall, took)
      $0.writes += 1
    }
  }

  /// The longest that one write took since the last call, in milliseconds.
  func takeLongestStall() -> Double {
    state.withLock { state in
      defer { state.longestStall = 0 }
      return Double(state.longestStall) / 1e6
    }
  }

  var writes: UInt64 { state.withLock { $0.writes } }

  /// - Throws: what kept it from writing on.
  func end() throws {
    state.withLock { $0.isEnded = true }
    thread.withLock { thread in
      thread?.join()
      thread = nil
    }
    if let failure = state.withLock({ $0.failure }) { throw failure }
  }

  func removeFiles() {
    for folder in folders {
      try? OpenFolder.open(folder).remove(CounterWriter.fileName)
    }
  }

  /// The number that stands in a frozen folder.
  static func number(in folder: OpenFolder) throws -> UInt64 {
    let bytes = try folder.file(fileName).readAll(limit: 64)
    guard let number = UInt64(String(decoding: bytes, as: UTF8.self).filter(\.isNumber)) else {
      throw StillError(.failed, "\(folder.path)/\(fileName) holds no number")
    }
    return number
  }

  private static func line(_ number: UInt64) -> [UInt8] {
    let digits = String(number)
    return Array((String(repeating: "0", count: width - digits.count) + digits + "\n").utf8)
  }
}

/// Whether numbers can be of one instant: never rising along the row, and all within one.
func isOneInstant(_ numbers: [UInt64]) -> Bool {
  guard let first = numbers.first, let last = numbers.last else { return true }
  return zip(numbers, numbers.dropFirst()).allSatisfy { $0 >= $1 } && first - last <= 1
}
