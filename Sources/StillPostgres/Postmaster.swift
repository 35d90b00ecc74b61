import Glibc
import StillModel
import StillSystem
import SystemPackage

/// The server of a data directory as its lock file, `postmaster.pid`, describes it
/// (src/include/utils/pidfile.h).
public struct Postmaster: Hashable, Sendable, Codable {
  public var processID: Int32
  /// As the server was told it.
  public var dataDirectory: String
  public var started: CalendarTime
  public var port: Int
  /// The first of its socket folders; nil where it has none.
  public var socketFolder: String?
  /// The first address that it listens on, `*` for all; nil where it listens on none.
  public var listenAddress: String?
  /// `starting`, `stopping`, `ready` or `standby`; nil in the first moments of a start.
  public var status: String?

  /// The running server of `folder`; nil where none runs: no lock file, or one that a server left
  /// behind when it was killed.
  ///
  /// - Throws: `.failed` where the lock file cannot be read, `.precondition` where it belongs to a
  ///   server in single-user mode, which nobody can connect to.
  public static func running(in folder: OpenFolder) throws -> Postmaster? {
    guard let bytes = try lockFile(in: folder), let found = try parse(bytes),
      isAlive(found.processID, in: folder)
    else { return nil }
    return found
  }

  /// What the lock file says; nil where there is none.
  static func lockFile(in folder: OpenFolder) throws -> [UInt8]? {
    let name: FilePath = "postmaster.pid"
    // The server removes the file between any two calls when it stops.
    guard try folder.metadataIfPresent(of: name) != nil else { return nil }
    do {
      return try folder.file(name).readAll(limit: 64 << 10)
    } catch {
      if try folder.metadataIfPresent(of: name) == nil { return nil }
      throw error
    }
  }

  /// Reads the lines of a lock file; nil where it is not complete: a server that begins to start
  /// writes it in pieces, and nobody can connect to it yet.
  static func parse(_ bytes: [UInt8]) throws -> Postmaster? {
    let lines = bytes.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)
      .map { line in
        let text = String(decoding: line, as: UTF8.self)
        let end = text.lastIndex { $0 != " " }.map { text.index(after: $0) } ?? text.startIndex
        return String(text[..<end])
      }
    guard lines.count >= 4, let process = Int32(lines[0]) else { return nil }
    if process < 0 {
      throw StillError(
        .precondition, "a server in single-user mode (pid \(-process)) has \(lines[1]) open",
        hint: "End it, then try again.")
    }
    guard process > 0, let start = Int64(lines[2]), let port = Int(lines[3]) else { return nil }
    func line(_ index: Int) -> String? {
      index < lines.count && !lines[index].isEmpty ? lines[index] : nil
    }
    return Postmaster(
      processID: process, dataDirectory: lines[1], started: CalendarTime(secondsSince1970: start),
      port: port, socketFolder: line(4), listenAddress: line(5), status: line(7))
  }

  /// What to give libpq as `host`.
  public var host: String? {
    if let socketFolder { return socketFolder }
    guard let listenAddress else { return nil }
    switch listenAddress {
    case "*", "0.0.0.0": return "127.0.0.1"
    case "::": return "::1"
    default: return listenAddress
    }
  }

  /// Whether process `id` lives and works in `folder`.
  ///
  /// A process that may not be signalled (EPERM) is alive too. The lock file of a killed server may
  /// name a process that by now is somebody else, and that of a copied folder the server of the
  /// original: a postmaster always works in its data directory (`ChangeToDataDir`), so where its
  /// working folder can be seen, it decides.
  static func isAlive(_ id: Int32, in folder: OpenFolder) -> Bool {
    if kill(id, 0) != 0, errno != EPERM { return false }
    if hasEnded(id) { return false }
    guard let own = try? folder.metadata(),
      let served = try? RunningProcess(id).workingFolder().metadata()
    else { return true }
    return served.identity == own.identity
  }

  /// A process that has ended but was not waited for has no working folder any more.
  static func hasEnded(_ id: Int32) -> Bool {
    var place = stat()
    return stat("/proc/\(id)/cwd", &place) != 0 && errno == ENOENT
  }
}
