import StillArchive
import StillModel
import StillSystem
import SystemPackage

/// The work of one restore, once everything is decided.
final class RestoreJob {
  private let plan: RestorePlan
  private let record: BackupRecord
  private let manifest: ManifestReader
  private let backup: BackupFolder
  private let run: Run
  private(set) var files: UInt64 = 0
  private(set) var bytes: UInt64 = 0
  private(set) var keptFiles: UInt64 = 0
  private(set) var keptBytes: UInt64 = 0
  private var ownersNotKept: UInt64 = 0
  private var attributesNotKept: [String] = []
  private var moreAttributesNotKept: UInt64 = 0
  /// Whose checksum is another one, though the content of their files is good.
  private(set) var changedArchives: [String] = []
  private(set) var linksNotMade: [UnpackSummary.Link] = []

  init(
    _ plan: RestorePlan, _ record: BackupRecord, _ manifest: ManifestReader,
    _ backup: BackupFolder, _ run: Run
  ) {
    self.plan = plan
    self.record = record
    self.manifest = manifest
    self.backup = backup
    self.run = run
  }

  /// Reads every archive that is going to be unpacked, and writes nothing.
  ///
  /// - Throws: `.copying` where one is missing, cut short or changed.
  func requireArchives() throws {
    let archives = try archiveNames.map { try archive($0) }
    run.observer.expects(bytes: archives.reduce(0) { $0 + $1.bytesWritten })
    let observer = run.observer
    for archive in archives {
      try StillArchive.requireUnchanged(
        archive: backup.folder.file(FilePath(archive.name)), archive.requireChecksum(backup),
        run.cancellation, progress: { observer.advanced(bytes: $0) })
    }
  }

  /// Unpacks everything, the data directory last. Its control file gets its name when nothing else is
  /// left to do: what a failure leaves has none, so no server starts on it, and from then on one may.
  func unpack() throws {
    run.observer.expects(bytes: plan.bytes)
    let target = try makeFolder(FilePath(plan.target))
    for tablespace in plan.tablespaces {
      let expected = ExpectedFiles(manifest, in: .tablespace(tablespace.oid))
      try unpack(
        "\(tablespace.oid)", into: makeFolder(FilePath(tablespace.new)),
        // Nothing in a tablespace is a link.
        UnpackOptions(expected: expected, leavesOutLink: { _ in true }))
    }
    let wal: OpenFolder
    let isThere = try target.metadataIfPresent(of: "pg_wal") != nil
    if let path = plan.walFolder {
      wal = try makeFolder(FilePath(path))
      if !isThere { try target.makeLink("pg_wal", to: FilePath(path).bytes) }
    } else {
      if !isThere { try target.makeFolder("pg_wal", permissions: 0o700) }
      wal = try target.folder("pg_wal")
    }
    try unpack("pg_wal", into: wal, UnpackOptions())
    if let path = plan.configurationFolder, hasConfiguration {
      try unpack("config", into: makeFolder(FilePath(path)), UnpackOptions())
    }
    var options = UnpackOptions(
      expected: ExpectedFiles(manifest, in: .base(tablespaces: plan.tablespaces.map(\.oid))))
    options.skipped = ["pg_wal"]
    options.last = "global/pg_control"
    for tablespace in plan.tablespaces {
      options.linkTargets[FilePath("pg_tblspc/\(tablespace.oid)")] = FilePath(tablespace.new).bytes
    }
    options.leftOut = plan.leftOut
    options.leavesOutLink = ServerFolders.own(linkAt:)
    options.foldersForLinks = ServerFolders.dispensable
    try unpack("base", into: target, options)
  }

  /// Makes the folder one that a server accepts, and says what is left to do.
  func settle() throws -> [String] {
    // The server refuses a data directory that others may read (src/backend/utils/init/miscinit.c,
    // checkDataDir); whoever wants group access had 0750 in the backup, which unpacking has set.
    let target = try OpenFolder.open(FilePath(plan.target))
    if try target.metadata().mode & 0o027 != 0 { try target.setPermissions(".", 0o700) }
    try target.folder("global").sync()
    try target.sync()
    try OpenFolder.open(FilePath(plan.target).removingLastComponent()).sync()

    var notes: [String] = []
    if ownersNotKept > 0 {
      let name = RestoreFolder.name(Account.effectiveUser)
      notes.append(
        "\(ownersNotKept) files and folders belong to \(name), not to their former owner")
      notes += (record.mirror?.apart ?? []).prefix(10).map {
        "\($0.path.path) belonged to \($0.text)"
      }
    }
    notes += attributesNotKept.map { "extended attribute not kept: \($0)" }
    if moreAttributesNotKept > 0 {
      notes.append("\(moreAttributesNotKept) more extended attributes were not kept")
    }
    notes += changedArchives.map {
      "\($0) was changed since it was written; the content of every file in it is good, but names, "
        + "owners, modes and times may not be what they were"
    }
    if !record.configuration.isEmpty, plan.configurationFolder == nil,
      let name = record.kind == .mirror ? "config" : archiveName("config")
    {
      notes.append(
        "configuration lay outside the data directory and is in \(backup.path.appending(name)); "
          + (record.kind == .mirror ? "copy it from there" : "unpack it with tar")
          + ", or restore with --config-dir")
    }
    if let more = record.mirror?.moreApart, more > 0 {
      notes.append(
        "of \(more) files and folders the mirror has lost the owner, mode or attributes")
    }
    if record.server.isStandby {
      notes.append("the backup is of a standby: remove standby.signal to start it as a primary")
    }
    notes += linksNotMade.map {
      "\($0.path) was a link to \($0.target), which is not made: a server here would write there"
    }
    return notes
  }

  private func unpack(_ name: String, into folder: OpenFolder, _ options: UnpackOptions) throws {
    var options = options
    let observer = run.observer
    options.cancellation = run.cancellation
    options.workers = plan.workers
    options.keepsExisting = plan.isDelta && name != "pg_wal" && name != "config"
    options.progress = { observer.advanced(bytes: $0) }
    let summary =
      record.kind == .mirror
      ? try copyTree(name, into: folder, options) : try unpackArchive(name, into: folder, options)
    files += summary.files
    bytes += summary.bytes
    keptFiles += summary.keptFiles
    keptBytes += summary.keptBytes
    ownersNotKept += summary.ownersNotKept
    attributesNotKept += summary.attributesNotKept
    moreAttributesNotKept += summary.moreAttributesNotKept
    let prefix = name == "base" ? FilePath("") : FilePath("pg_tblspc/\(name)")
    linksNotMade += summary.linksNotMade.map { link in
      var link = link
      link.path = prefix.pushing(link.path)
      return link
    }
  }

  private func copyTree(
    _ name: String, into folder: OpenFolder, _ options: UnpackOptions
  ) throws -> UnpackSummary {
    var options = options
    // Those above files of configuration are of the mirror's making.
    options.leavesFoldersAlone = name == "config"
    if options.expected == nil { options.expected = try record.unlistedFiles(ofPart: name) }
    let home = MirrorPart.folder(of: name)
    let tree = try backup.folder.folder(home)
    let elsewhere = MirrorPart.elsewhere(of: name)
    if let part = record.mirror?.parts.first(where: { $0.name == name }) {
      try requireShape(of: tree, without: elsewhere, part, run.cancellation)
    }
    var apart: [FilePath: BackupRecord.Mirror.Apart] = [:]
    for entry in record.mirror?.apart ?? [] {
      if let path = entry.path.path.relative(to: home) { apart[path] = entry }
    }
    return try StillArchive.unpack(
      mirror: tree, without: elsewhere, apart: apart, into: folder, options)
  }

  private func unpackArchive(
    _ name: String, into folder: OpenFolder, _ options: UnpackOptions
  ) throws -> UnpackSummary {
    let archive = try archive(name)
    var options = options
    let checksum = try archive.requireChecksum(backup)
    options.archiveChecksum = checksum
    // CRC-32C stands where the manifest says what the content has to be. It may be the only copy:
    // nothing is gained by refusing it for a byte of padding.
    options.refusesChangedArchive = checksum.algorithm != .crc32c
    let summary = try StillArchive.unpack(
      archive: backup.folder.file(FilePath(archive.name)), into: folder, options)
    if summary.isArchiveChanged { changedArchives.append(archive.name) }
    return summary
  }

  /// Without their endings.
  private var archiveNames: [String] {
    return plan.tablespaces.map { "\($0.oid)" } + ["pg_wal"]
      + (plan.configurationFolder != nil && hasConfiguration ? ["config"] : []) + ["base"]
  }

  private var hasConfiguration: Bool {
    archiveName("config") != nil || record.mirror?.parts.contains { $0.name == "config" } ?? false
  }

  private func archive(_ name: String) throws -> BackupRecord.Archive {
    if let found = record.archives.first(where: { $0.name.hasPrefix(name + ".tar") }) {
      return found
    }
    throw StillError(
      .copying, "backup \(backup.id) has no archive \(name)", hint: "Restore from another backup.")
  }

  private func archiveName(_ name: String) -> String? { try? archive(name).name }

  private func makeFolder(_ path: FilePath) throws -> OpenFolder {
    try RestoreFolder(path: path).make()
  }
}
