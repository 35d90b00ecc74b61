import Glibc
import StillModel
import SystemPackage

/// Another process of this machine, as `/proc` shows it (proc(5)).
public struct RunningProcess: Sendable {
  public let id: Int32

  public init(_ id: Int32) { self.id = id }

  /// The program that it runs; also where a newer one has taken its place on the disk since.
  public func executable() throws -> FilePath {
    let text = try link("exe")
    let gone = " (deleted)"
    return FilePath(text.hasSuffix(gone) ? String(text.dropLast(gone.count)) : text)
  }

  /// The name that the kernel has for it: of its program, or what it chose. Everybody may see that.
  public func name() throws -> String { String(try text("comm").prefix { $0 != "\n" }) }

  /// Its command line, the program's own name included.
  public func arguments() throws -> [String] { try strings("cmdline") }

  /// The environment that it was started with. Only its own user may read that.
  public func environment() throws -> [String: String] {
    var variables: [String: String] = [:]
    for entry in try strings("environ") {
      guard let end = entry.firstIndex(of: "=") else { continue }
      variables[String(entry[..<end])] = String(entry[entry.index(after: end)...])
    }
    return variables
  }

  /// What its descriptor is open on: a path, or something like `pipe:[4711]`.
  public func target(ofDescriptor number: Int32) throws -> String {
    try link(FilePath("fd/\(number)"))
  }

  /// The folder that it works in, whatever its path leads to by now.
  public func workingFolder() throws -> OpenFolder {
    try OpenFolder.open(FilePath("/proc/\(id)/cwd"))
  }

  /// For messages.
  public func workingPath() throws -> String { try link("cwd") }

  /// Its effective user. Not the owner of its folder in `/proc`: that is root for a process that
  /// has changed its user.
  public func user() throws -> UInt32 {
    for line in try text("status").split(separator: "\n") where line.hasPrefix("Uid:") {
      let words = line.split(whereSeparator: \.isWhitespace)
      if words.count >= 3, let user = UInt32(words[2]) { return user }
    }
    throw StillError(.failed, "the user of process \(id) cannot be found out")
  }

  /// The service of systemd that it belongs to; nil where there is none, or no systemd.
  public func serviceUnit() throws -> String? {
    if let text = Systemd.controlGroupsForTests(of: id) {
      return ServiceUnit.named(inControlGroups: text)
    }
    guard Systemd.isHere else { return nil }
    return ServiceUnit.named(inControlGroups: try text("cgroup"))
  }

  /// The service of its user's own systemd that it belongs to.
  public func serviceUnitOfUser() throws -> String? {
    if let text = Systemd.controlGroupsForTests(of: id) {
      return ServiceUnit.usersOwn(inControlGroups: text)
    }
    guard Systemd.isHere else { return nil }
    return ServiceUnit.usersOwn(inControlGroups: try text("cgroup"))
  }

  private var folder: OpenFolder { get throws { try OpenFolder.open(FilePath("/proc/\(id)")) } }

  private func link(_ name: FilePath) throws -> String {
    String(decoding: try folder.target(ofLink: name), as: UTF8.self)
  }

  func text(_ name: FilePath) throws -> String {
    String(decoding: try folder.file(name).readAll(limit: 1 << 20), as: UTF8.self)
  }

  private func strings(_ name: FilePath) throws -> [String] {
    try folder.file(name).readAll(limit: 4 << 20).split(
      separator: 0, omittingEmptySubsequences: false
    ).dropLast().map { String(decoding: $0, as: UTF8.self) }
  }
}
