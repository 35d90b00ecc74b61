import StillModel
import StillSystem
import SystemPackage

/// Reads a part of a mirror, in the order of names, as a `TarReader` reads an archive.
///
/// A file with other names is a file as any other: those are other backups' that share it.
struct MirrorReader {
  private static let last: [FilePath] = [TreeWalk.controlPath, "backup_label"]

  private let folder: OpenFolder
  private let elsewhere: Set<FilePath>
  private let workers: Int
  private let cancellation: Cancellation?
  /// What inodes of it could not take.
  var apart: [FilePath: BackupRecord.Mirror.Apart] = [:]

  init(
    _ folder: OpenFolder, without elsewhere: Set<FilePath>, workers: Int,
    _ cancellation: Cancellation?
  ) {
    self.folder = folder
    self.elsewhere = elsewhere
    self.workers = workers
    self.cancellation = cancellation
  }

  /// - Throws: the first error of `sink`, and what cannot be opened or listed.
  func read(into sink: any TarSink) throws {
    let crew = try WorkCrew(workers: workers, cancellation: cancellation)
    var tree = SourceTree(.other(prefix: FilePath("")), root: folder)
    tree.elsewhere = elsewhere
    // The manifest has these last: whoever looked for them earlier would have to keep all the rest of it.
    var last: [FilePath: TreeEntry] = [:]
    let remarks = try TreeWalk.run(tree, cancellation: cancellation) { entry in
      if MirrorReader.last.contains(entry.path) {
        last[entry.path] = entry
      } else {
        try take(entry, into: sink, crew)
      }
    }
    for path in MirrorReader.last {
      if let entry = last[path] { try take(entry, into: sink, crew) }
    }
    for path in remarks.specialFiles {
      _ = try sink.begin(TarMember(path: path, kind: .other(0), mode: 0))
    }
    try crew.drain()
  }

  private func take(_ entry: TreeEntry, into sink: any TarSink, _ crew: WorkCrew) throws {
    func begin(_ member: TarMember) throws -> ArchivedFile? {
      var member = member
      if let apart = apart[member.path] { member.take(apart) }
      return try sink.begin(member)
    }
    switch entry.kind {
    case .folder(let folder):
      var member = TarMember(path: entry.path, kind: .folder, entry.metadata)
      if let folder { try member.takeAttributes(of: folder) }
      _ = try begin(member)
    case .link(let target):
      _ = try begin(TarMember(path: entry.path, kind: .link(target: target), entry.metadata))
    case .file:
      guard let source = try entry.open(isFrozen: true) else { return }
      let metadata = try source.metadata()
      var member = TarMember(path: entry.path, kind: .file, metadata)
      try member.takeAttributes(of: source)
      member.sparse = try SparseMap.of(source, metadata)
      guard let file = try begin(member) else { return }
      try crew.give { tools in
        try file.take(source, tools)
        try source.close()
      }
    }
  }
}
