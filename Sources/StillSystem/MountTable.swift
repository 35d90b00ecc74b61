import Glibc
import StillModel
import SystemPackage

/// What is mounted where, in this process's mount namespace (proc(5), "/proc/pid/mountinfo").
public struct MountTable: Sendable {
  public struct Entry: Hashable, Sendable {
    public var device: DeviceNumber
    /// The folder of the file system that is mounted; not `/` for bind mounts and subvolumes.
    public var root: FilePath
    public var mountPoint: FilePath
    public var kind: String
    public var source: String
  }

  public var entries: [Entry]

  public init(entries: [Entry]) { self.entries = entries }

  public static func current() throws -> MountTable {
    let file = try OpenFile.open("/proc/self/mountinfo")
    return MountTable(parsing: try file.readAll())
  }

  init(parsing bytes: [UInt8]) {
    entries = bytes.split(separator: UInt8(ascii: "\n")).compactMap { MountTable.entry(Array($0)) }
  }

  /// The mount that a path with all links resolved lies on. `device` is the path's own st_dev, which
  /// tells apart what is mounted over what.
  public func entry(containing path: FilePath, device: DeviceNumber) -> Entry? {
    var best: Entry?
    for entry in entries where entry.device == device && path.starts(with: entry.mountPoint) {
      // The later line wins: it is mounted over the earlier one.
      if best.map({ entry.mountPoint.components.count >= $0.mountPoint.components.count }) ?? true {
        best = entry
      }
    }
    return best
  }

  /// The best place from which to reach a file system: one where its root is mounted.
  public func entry(of device: DeviceNumber) -> Entry? {
    let mounts = entries.filter { $0.device == device }
    return mounts.first { $0.root == "/" } ?? mounts.first
  }

  /// The mounts strictly below a folder, each mount point once (the one on top).
  public func entries(below folder: FilePath) -> [Entry] {
    var byPoint: [FilePath: Entry] = [:]
    for entry in entries where entry.mountPoint != folder && entry.mountPoint.starts(with: folder) {
      byPoint[entry.mountPoint] = entry
    }
    return byPoint.values.sorted { $0.mountPoint.string < $1.mountPoint.string }
  }

  private static func entry(_ line: [UInt8]) -> Entry? {
    let fields = line.split(separator: UInt8(ascii: " "))
    guard let dash = fields.firstIndex(of: [UInt8(ascii: "-")]), dash >= 6,
      fields.count > dash + 2, let device = DeviceNumber(String(decoding: fields[2], as: UTF8.self))
    else { return nil }
    return Entry(
      device: device, root: FilePath(bytes: unescaped(fields[3])),
      mountPoint: FilePath(bytes: unescaped(fields[4])),
      kind: String(decoding: fields[dash + 1], as: UTF8.self),
      source: String(decoding: unescaped(fields[dash + 2]), as: UTF8.self))
  }

  /// Blank, tab, newline and backslash stand as a backslash and three octal digits.
  private static func unescaped(_ field: ArraySlice<UInt8>) -> [UInt8] {
    var result: [UInt8] = []
    var rest = field
    while let byte = rest.popFirst() {
      if byte == UInt8(ascii: "\\"), rest.count >= 3,
        let value = UInt8(String(decoding: rest.prefix(3), as: UTF8.self), radix: 8)
      {
        result.append(value)
        rest = rest.dropFirst(3)
      } else {
        result.append(byte)
      }
    }
    return result
  }
}
