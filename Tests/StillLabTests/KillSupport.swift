import CFreeze
import Foundation
import StillSystem
import StillTestSupport

/// The file in which a debug build notes its steps (TestHooks).
struct Marks {
  let path: String

  init() throws {
    path = "/run/marks-\(UUID().uuidString.prefix(8))"
    try Data().write(to: URL(filePath: path))
    chmod(path, 0o666)
  }

  /// The process of this kind that has noted `step`, as soon as there is one.
  func wait(for step: String, of kind: String) throws -> Int32 {
    var found: Int32?
    try waitUntil("the \(kind) reaches \(step)") {
      found = try process(of: kind, at: step)
      return found != nil
    }
    guard let found else { throw Trouble("no process at \(step)") }
    return found
  }

  func process(of kind: String, at step: String? = nil) throws -> Int32? {
    for line in try String(contentsOfFile: path, encoding: .utf8).split(separator: "\n") {
      let words = line.split(separator: " ")
      if words.count == 3, words[1] == kind, step.map({ $0 == words[2] }) ?? true {
        return Int32(words[0])
      }
    }
    return nil
  }
}

/// Writes the time to files on several volumes, each on the disk before the next, until it is ended.
final class Heartbeat {
  private let writer: Background
  private let files: [String]

  init(_ folders: [String]) throws {
    files = folders.map { $0 + "/heartbeat-\(UUID().uuidString.prefix(8))" }
    let beats = files.map { "date +%s.%N >>\($0); sync \($0)" }.joined(separator: "; ")
    writer = try Background("while sleep 0.05; do \(beats); done")
  }

  deinit { writer.end() }

  /// - Returns: the longest time from one beat to the next, in seconds.
  func end() throws -> Double {
    writer.end()
    var longest = 0.0
    for file in files {
      let beats = try String(contentsOfFile: file, encoding: .utf8).split(separator: "\n")
        .compactMap { Double($0) }
      guard beats.count > 2 else { throw Trouble("\(file) holds no beats") }
      longest = max(longest, zip(beats, beats.dropFirst()).map { $1 - $0 }.max() ?? 0)
      try FileManager.default.removeItem(atPath: file)
    }
    return longest
  }
}

/// Asks device-mapper itself, which is quick enough to see what lasts for milliseconds.
final class Devices: @unchecked Sendable {
  private let control: OpenFile
  private let window = UnsafeMutablePointer<freeze_window>.allocate(capacity: 1)

  init() throws {
    control = try OpenFile.open("/dev/mapper/control", .update(permissions: 0o600))
    window.initialize(to: freeze_window())
    window.pointee.control = control.descriptor
  }

  deinit { window.deallocate() }

  func isSuspended(_ name: String) -> Bool {
    let flags = freeze_flags(window, name)
    return flags >= 0 && flags & Int64(DM_SUSPEND_FLAG) != 0
  }

  /// As another program does in the middle of its work.
  func suspend(_ name: String) throws {
    guard freeze_suspend(window, name) == 0 else { throw Trouble("\(name) could not be suspended") }
  }

  func resume(_ name: String) { _ = freeze_resume(window, name) }
}

extension Lab {
  /// What of a run's devices is there still, those below its origins included.
  static func ownDevices() throws -> [String] {
    try Tool.demand("dmsetup", "info", "-c", "--noheadings", "-o", "name").split(separator: "\n")
      .map(String.init).filter { $0.contains("_still_") || $0.hasSuffix("-real") }
  }

  /// The guards that a broker has started.
  static func guards(of broker: Int32) -> [Int32] {
    let path = "/proc/\(broker)/task/\(broker)/children"
    let text = (try? String(contentsOfFile: path, encoding: .utf8)) ?? ""
    return text.split(separator: " ").compactMap {
      Int32($0.trimmingCharacters(in: .whitespacesAndNewlines))
    }
  }
}
