import StillArchive
import StillModel
import StillSystem
import SystemPackage

/// Files of an existing cluster that are what the backup has. Remembered by their inodes: there may be
/// millions.
struct GoodFiles {
  private var identities: Set<FileIdentity> = []
  private(set) var bytes: UInt64 = 0
  /// Content by the tree that it is in: a tablespace's OID, or nil for the data directory.
  private(set) var bytesOfTree: [UInt32?: UInt64] = [:]

  mutating func add(_ file: FileMetadata, in tree: UInt32?) {
    identities.insert(file.identity)
    bytes += file.size
    bytesOfTree[tree, default: 0] += file.size
  }

  func contains(_ file: FileMetadata) -> Bool {
    identities.contains(file.identity)
  }
}

/// Reads the files of an existing cluster, several at a time, and compares them with the manifest.
final class Comparison {
  private struct State {
    let files: Entries
    var good = GoodFiles()
    var failure: (any Error)?
  }

  /// Read under the monitor's lock only, by one thread at a time.
  private struct Entries: @unchecked Sendable {
    let files: ManifestReader.Files
    func next() throws -> ManifestFile? { try files.next() }
  }

  private let roots: Roots
  private let workers: Int
  private let run: Run
  private let shared: Monitor<State>

  /// - Parameter passed: files that are not kept in any case.
  init(_ plan: RestorePlan, _ manifest: ManifestReader, passed: Set<FilePath>, _ run: Run) throws {
    roots = Roots(
      data: try OpenFolder.open(FilePath(plan.target)),
      spaces: Dictionary(
        uniqueKeysWithValues: plan.tablespaces.compactMap { space in
          (try? OpenFolder.open(FilePath(space.new))).map { (space.oid, $0) }
        }), oids: Set(plan.tablespaces.map(\.oid)), passed: passed)
    workers = max(1, plan.workers)
    self.run = run
    shared = Monitor(State(files: Entries(files: manifest.files())))
  }

  func goodFiles() throws -> GoodFiles {
    let (roots, observer, cancellation) = (roots, run.observer, run.cancellation)
    let work: @Sendable () -> Void = { [shared] in
      do {
        let reader = FileComparer(roots, observer, cancellation)
        while let entry = try shared.update({ try $0.failure == nil ? $0.files.next() : nil }) {
          try cancellation.checkpoint()
          if let (file, tree) = try reader.same(entry) {
            shared.update { $0.good.add(file, in: tree) }
          }
        }
      } catch {
        shared.update { $0.failure = $0.failure ?? error }
      }
    }
    let threads = try (0..<workers).map { _ in try WorkerThread(work) }
    for thread in threads { thread.join() }
    if let failure = shared.update({ $0.failure }) { throw failure }
    return shared.update { $0.good }
  }

  /// Where the files of the manifest are.
  fileprivate struct Roots: Sendable {
    let data: OpenFolder
    let spaces: [UInt32: OpenFolder]
    let oids: Set<UInt32>
    let passed: Set<FilePath>

    /// nil for what is not compared.
    func place(of path: FilePath) -> (root: OpenFolder, path: FilePath, tree: UInt32?)? {
      if passed.contains(path) { return nil }
      let parts = path.components
      if parts.count > 2, parts.first == "pg_tblspc",
        let oid = UInt32(parts[parts.index(after: parts.startIndex)].string), oids.contains(oid)
      {
        guard let root = spaces[oid] else { return nil }
        return (root, FilePath(root: nil, parts.dropFirst(2)), oid)
      }
      return (data, path, nil)
    }
  }
}

/// Compares one file after the other.
private final class FileComparer {
  private let roots: Comparison.Roots
  private let observer: any Observer
  private let cancellation: Cancellation
  private let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 20, alignment: 4096)
  /// Of the last file; files of one folder stand together in a manifest.
  private var parent: (tree: UInt32?, path: FilePath, folder: OpenFolder)?

  init(_ roots: Comparison.Roots, _ observer: any Observer, _ cancellation: Cancellation) {
    self.roots = roots
    self.observer = observer
    self.cancellation = cancellation
  }

  deinit { buffer.deallocate() }

  /// The file that is what the manifest says, and the tree that it is in; nil where there is none, or
  /// where nothing proves it.
  func same(_ entry: ManifestFile) throws -> (FileMetadata, UInt32?)? {
    guard entry.checksum.algorithm != .none, let (root, path, tree) = roots.place(of: entry.path),
      let last = path.lastComponent
    else { return nil }
    // Whatever cannot be opened or read is not what it should be.
    guard let folder = try? folder(path.removingLastComponent(), root, tree) else { return nil }
    let name = FilePath(root: nil, [last])
    guard let file = try? folder.metadataIfPresent(of: name), isCandidate(file, entry),
      let opened = try? folder.file(name), (try? opened.hasAttributes()) == false
    else { return nil }
    return try checksum(of: opened, entry) == entry.checksum ? (file, tree) : nil
  }

  /// Content that has another name elsewhere would change there, too.
  private func isCandidate(_ file: FileMetadata, _ entry: ManifestFile) -> Bool {
    file.kind == .file && file.size == entry.size && file.linkCount == 1
      && Account.mayChange(whatIsOf: file.owner)
  }

  private func folder(_ path: FilePath, _ root: OpenFolder, _ tree: UInt32?) throws -> OpenFolder {
    if let parent, parent.tree == tree, parent.path == path { return parent.folder }
    let folder = try root.folder(path)
    parent = (tree, path, folder)
    return folder
  }

  private func checksum(of file: OpenFile, _ entry: ManifestFile) throws -> Checksum? {
    let checksum = try RunningChecksum(entry.checksum.algorithm)
    while true {
      guard let count = try? file.readSome(into: buffer) else { return nil }
      if count == 0 { return checksum.finish() }
      checksum.update(UnsafeRawBufferPointer(rebasing: buffer[..<count]))
      observer.advanced(bytes: UInt64(count))
      try cancellation.checkpoint()
    }
  }
}
