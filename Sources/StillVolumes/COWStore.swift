import StillModel
import StillSystem
import SystemPackage

/// Where a classic snapshot keeps the old chunks: the device `group-snapshot-cow`.
struct COWStore {
  /// The snapshot's own table, one line: `snapshot ORIGIN STORE P CHUNK`.
  let table: DeviceMapper.Line
  /// In bytes.
  let chunkSize: UInt64
  /// In bytes.
  let size: UInt64
  let path: FilePath

  init(of snapshot: VolumeName) throws {
    let device = DeviceMapper(name: snapshot.deviceName)
    let lines = try device.table()
    guard lines.count == 1, let line = lines.first, line.target == "snapshot",
      let sectors = line.parameters.split(separator: " ").dropFirst(3).first.flatMap({ UInt64($0) }
      ),
      sectors > 0
    else { throw StillError(.volumes, "\(snapshot) is not a classic snapshot: \(lines)") }
    table = line
    chunkSize = sectors * 512
    let store = DeviceMapper(name: snapshot.deviceName + "-cow")
    size = try store.table().reduce(0) { $0 + $1.length } * 512
    path = FilePath("/dev/mapper/\(store.name)")
  }

  /// Past the page cache, for the kernel writes past it.
  func openForReading() throws -> OpenFile {
    try OpenFile.openDirect(path, writes: false)
  }

  /// Writes zeros over the header, the store's first chunk: what is loaded next finds no store and
  /// makes a new, empty one (drivers/md/dm-snap-persistent.c, read_header). Past the page cache,
  /// for the kernel reads it past the page cache too.
  func erase() throws {
    let zeros = UnsafeMutableRawBufferPointer.allocate(byteCount: Int(chunkSize), alignment: 4096)
    defer { zeros.deallocate() }
    zeros.initializeMemory(as: UInt8.self, repeating: 0)
    let file = try OpenFile.openDirect(path, writes: true)
    try file.writeAll(UnsafeRawBufferPointer(zeros))
    try file.sync()
    try file.close()
  }
}
