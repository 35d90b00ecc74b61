import StillModel
import StillSystem
import SystemPackage

/// Reads the largest files of a cluster for two seconds, past the page cache: a copy has to read what
/// is not in memory, too.
struct TrialRead {
  /// In seconds.
  private static let limit = 2.0
  private static let mostFiles = 16
  private static let blockSize = 1 << 20
  /// Where nothing could be read: a disk that turns. In bytes a second.
  private static let slowest = 100.0 * 1024 * 1024
  /// Compression, and the server, want their share of the disk and the processors.
  private static let shareOfCopy = 0.5
  /// No copy is planned with less, in seconds.
  private static let shortest = 60.0

  /// In bytes a second; nil where nothing could be read.
  let rate: Double?

  init(of cluster: LiveCluster) throws {
    let buffer = UnsafeMutableRawBufferPointer.allocate(
      byteCount: TrialRead.blockSize, alignment: 4096)
    defer { buffer.deallocate() }
    var bytes = 0
    let files = TrialRead.largestFiles(FilePath(cluster.layout.dataDirectory.path))
    let watch = Stopwatch()
    for path in files
    where watch.seconds < TrialRead.limit {
      guard let file = try? OpenFile.openDirect(path, writes: false) else { continue }
      var offset: UInt64 = 0
      while watch.seconds < TrialRead.limit,
        let count = try? file.readFully(into: buffer, at: offset), count > 0
      {
        bytes += count
        offset += UInt64(count)
        if count < buffer.count { break }
      }
    }
    rate = bytes < TrialRead.blockSize ? nil : Double(bytes) / watch.seconds
  }

  func copyTime(of cluster: LiveCluster) throws -> ProbePlan.CopyTime {
    guard let size = cluster.sizeToCopy() else {
      throw StillError(
        .precondition, "nobody knows how long a copy of this cluster takes",
        hint: "Say it with --copy-time 10m, or name the --repo of its backups.")
    }
    let usable = (rate ?? TrialRead.slowest) * TrialRead.shareOfCopy
    let figure = "\(ByteCount.text(UInt64(usable)))/s"
    return ProbePlan.CopyTime(
      seconds: max((Double(size) / usable).rounded(.up), TrialRead.shortest),
      reason: "\(ByteCount.text(size)) at \(figure), "
        + (rate == nil ? "a guess" : "half of what a trial read gave")
        + "; a minute at least: --copy-time says it better")
  }

  /// Of the databases in the data directory, the largest first.
  private static func largestFiles(_ dataDirectory: FilePath) -> [FilePath] {
    let base = dataDirectory.appending("base")
    var files: [(path: FilePath, size: UInt64)] = []
    for database in (try? OpenFolder.open(base).names()) ?? [] {
      let path = base.appending(database.components)
      guard let folder = try? OpenFolder.open(path), let names = try? folder.names() else {
        continue
      }
      for name in names {
        guard let metadata = try? folder.metadata(of: name), metadata.kind == .file else {
          continue
        }
        files.append((path.appending(name.components), metadata.size))
      }
      files = Array(files.sorted { $0.size > $1.size }.prefix(mostFiles))
    }
    return files.map(\.path)
  }
}
