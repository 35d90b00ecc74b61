import SystemPackage

/// A process and all that it has started, directly or not, as `/proc` shows them.
public struct ProcessFamily: Sendable {
  private let root: Int32

  public init(of root: Int32) { self.root = root }

  /// Waits until each of their threads has been seen at rest since the call: whatever it was writing to a
  /// file before, it has written. A write that waits for its disk is not at rest: that sleep cannot be
  /// interrupted (proc(5), "/proc/pid/stat", state D), on file systems that are the kernel's own.
  ///
  /// - Parameter seconds: how long to wait at most.
  /// - Returns: false where one of them was never seen at rest, or nobody may look.
  public func comesToRest(within seconds: Double) -> Bool {
    let watch = Stopwatch()
    guard var busy = threads() else { return false }
    while true {
      busy = busy.filter { !$0.isAtRest }
      if busy.isEmpty { return true }
      if watch.seconds >= seconds { return false }
      Clock.sleep(milliseconds: 2)
    }
  }

  /// Nil where the first of them cannot be seen.
  private func threads() -> [Thread]? {
    var children: [Int32: [Int32]] = [:]
    guard let proc = try? OpenFolder.open("/proc"), let names = try? proc.names() else {
      return nil
    }
    for case let id? in names.map({ Int32($0.string) }) {
      // One that has just ended has no parent any more.
      guard let status = Status("\(id)/stat") else { continue }
      children[status.parent, default: []].append(id)
    }
    var found: [Thread] = []
    var next = [root]
    while let id = next.popLast() {
      next += children[id] ?? []
      for task in (try? OpenFolder.open(FilePath("/proc/\(id)/task")).names()) ?? [] {
        let path = "\(id)/task/\(task)/stat"
        if let status = Status(path) { found.append(Thread(path: path, started: status.started)) }
      }
    }
    return found.isEmpty ? nil : found
  }

  private struct Thread {
    let path: String
    /// Tells it from a later one with the same number.
    let started: Substring

    var isAtRest: Bool {
      guard let now = Status(path), now.started == started else { return true }
      // Asleep and to be woken by anything, stopped, or dead.
      return ["S", "T", "Z", "X"].contains(now.state)
    }
  }

  /// One line of `/proc/…/stat`.
  private struct Status {
    let state: Substring
    let parent: Int32
    let started: Substring

    /// - Parameter path: below `/proc`.
    init?(_ path: String) {
      guard let file = try? OpenFile.open(FilePath("/proc/\(path)")),
        let bytes = try? file.readAll(limit: 1 << 16)
      else { return nil }
      // The name stands in parentheses, and may hold some itself.
      let text = String(decoding: bytes, as: UTF8.self)
      guard let end = text.lastIndex(of: ")") else { return nil }
      let fields = text[text.index(after: end)...].split(separator: " ")
      guard fields.count > 19, let parent = Int32(fields[1]) else { return nil }
      (state, self.parent, started) = (fields[0], parent, fields[19])
    }
  }
}
