import SystemPackage

/// The number of a block device, as `/proc/self/mountinfo` and `/sys/dev/block` write it.
public struct DeviceNumber: Hashable, Sendable, CustomStringConvertible {
  public var major: UInt32
  public var minor: UInt32

  public init(major: UInt32, minor: UInt32) {
    self.major = major
    self.minor = minor
  }

  public var description: String { "\(major):\(minor)" }

  public init?(_ text: some StringProtocol) {
    let parts = text.split(separator: ":")
    guard parts.count == 2, let major = UInt32(parts[0]), let minor = UInt32(parts[1]) else {
      return nil
    }
    self.init(major: major, minor: minor)
  }
}

/// A logical volume by its two names, `vg0/data`.
public struct VolumeName: Hashable, Sendable, Comparable, CustomStringConvertible {
  public var group: String
  public var volume: String

  public init(group: String, volume: String) {
    self.group = group
    self.volume = volume
  }

  /// Reads `group/volume`; nil unless both names consist of the characters that LVM allows
  /// (lvm(8), "VALID NAMES"). No other text ever reaches an LVM command line.
  public init?(_ text: some StringProtocol) {
    let parts = text.split(separator: "/", omittingEmptySubsequences: false)
    guard parts.count == 2, VolumeName.isValid(parts[0]), VolumeName.isValid(parts[1]) else {
      return nil
    }
    self.init(group: String(parts[0]), volume: String(parts[1]))
  }

  public static func isValid(_ name: some StringProtocol) -> Bool {
    guard let first = name.utf8.first, first != UInt8(ascii: "-"), name != ".", name != "..",
      name.utf8.count <= 127
    else { return false }
    return name.utf8.allSatisfy { byte in
      switch byte {
      case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
        UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"), UInt8(ascii: "."),
        UInt8(ascii: "+"), UInt8(ascii: "-"):
        true
      default: false
      }
    }
  }

  public var description: String { "\(group)/\(volume)" }

  public static func < (left: VolumeName, right: VolumeName) -> Bool {
    (left.group, left.volume) < (right.group, right.volume)
  }
}

extension DeviceNumber: TextCodable {
  public static var nameOfText: String { "a device number" }
  public init?(codedText: String) { self.init(codedText) }
  public var codedText: String { description }
}

extension VolumeName: TextCodable {
  public static var nameOfText: String { "a name of a logical volume" }
  public init?(codedText: String) { self.init(codedText) }
  public var codedText: String { description }
}

/// A mounted file system, and the logical volume that carries it, if one does.
public struct MountedFileSystem: Hashable, Sendable, Codable {
  public var device: DeviceNumber
  /// The kernel's name of its kind: `ext4`, `xfs`.
  public var kind: String
  /// The device as the mount table names it.
  public var source: String
  public var mountPoint: String
  public var volume: VolumeName?
  /// Why it cannot be snapshotted, where `volume` is nil.
  public var obstacle: String?

  public init(
    device: DeviceNumber, kind: String, source: String, mountPoint: String, volume: VolumeName?,
    obstacle: String?
  ) {
    self.device = device
    self.kind = kind
    self.source = source
    self.mountPoint = mountPoint
    self.volume = volume
    self.obstacle = obstacle
  }
}

/// Where a folder of the cluster really lives.
public struct Location: Hashable, Sendable, Codable {
  /// The folder as the server sees it, all links resolved.
  public var path: String
  public var fileSystem: MountedFileSystem
  /// The same folder counted from the root of its file system; differs from `path` less the mount
  /// point where a subfolder is mounted (bind mounts).
  public var innerPath: String

  public init(path: String, fileSystem: MountedFileSystem, innerPath: String) {
    self.path = path
    self.fileSystem = fileSystem
    self.innerPath = innerPath
  }
}

/// A tablespace outside the data directory: `pg_tblspc/OID` is a link to it.
public struct Tablespace: Hashable, Sendable, Codable {
  public var oid: UInt32
  /// What the link says, byte for byte what a restore without mapping writes back.
  public var target: String
  public var location: Location

  public init(oid: UInt32, target: String, location: Location) {
    self.oid = oid
    self.target = target
    self.location = location
  }
}

/// Another file system mounted below a folder of the cluster, for example on `pg_wal`.
public struct Graft: Hashable, Sendable, Codable {
  /// Where it is mounted, counted from the cluster folder that holds it.
  public var relativePath: String
  public var location: Location

  public init(relativePath: String, location: Location) {
    self.relativePath = relativePath
    self.location = location
  }
}

/// Where one cluster's files are: everything that has to be frozen together.
public struct ClusterLayout: Hashable, Sendable, Codable {
  public var dataDirectory: Location
  /// `pg_wal`, wherever a link or a mount puts it.
  public var wal: Location
  /// True where `pg_wal` is a symbolic link.
  public var walIsLinked: Bool
  public var tablespaces: [Tablespace]
  /// File systems mounted inside the data directory, `pg_wal` apart.
  public var grafts: [Graft]

  public init(
    dataDirectory: Location, wal: Location, walIsLinked: Bool, tablespaces: [Tablespace],
    grafts: [Graft]
  ) {
    self.dataDirectory = dataDirectory
    self.wal = wal
    self.walIsLinked = walIsLinked
    self.tablespaces = tablespaces
    self.grafts = grafts
  }

  public var locations: [Location] {
    [dataDirectory, wal] + tablespaces.map(\.location) + grafts.map(\.location)
  }

  /// Every file system of the cluster, each once, in a stable order.
  public var fileSystems: [MountedFileSystem] {
    var seen: Set<DeviceNumber> = []
    return locations.map(\.fileSystem).filter { seen.insert($0.device).inserted }
  }
}
