import CStill
import Glibc
import StillModel
import StillSystem
import SystemPackage

/// One file of a mirror while its content comes by, from the beginning to the end, and is compared with
/// the earlier mirror's file of that name.
///
/// Nothing is written as long as they are equal; at the end it is that file under another name. With
/// the first byte that differs, a file of its own comes to be, which shares the blocks of the earlier
/// one where the file system can do that, and then only pages that differ are written.
///
/// What counts is the content, byte for byte. A time of modification may lie, and so may the earlier
/// mirror: a block that was damaged there since is not handed on, for it differs.
///
/// A file with two names is one file. So what has an earlier name is never opened for writing, and gets
/// no other owner, mode or time.
struct SharedFile {
  /// Compared and written together: a page of the server, the blocks of most file systems twice.
  private static let page = 8 << 10

  /// That the file to share with cannot be what it was when it was compared. What has been made until
  /// then is worth nothing.
  struct EarlierIsLost: Error {
    var reason: String
  }

  let place: MirrorPlace
  let size: UInt64
  /// Whether pages of zeros may stay holes.
  let isSparse: Bool
  let tools: WorkCrew.Tools
  private let earlier: (file: OpenFile, metadata: FileMetadata)?
  /// There as soon as something differs.
  private var file: OpenFile?
  private var isClone = false
  private(set) var sharing = BackupRecord.Mirror.Sharing()
  /// Of the inode, at the end.
  private(set) var made: FileMetadata?

  init(at place: MirrorPlace, size: UInt64, isSparse: Bool, _ tools: WorkCrew.Tools) throws {
    self.place = place
    self.size = size
    self.isSparse = isSparse
    self.tools = tools
    earlier = place.openEarlier()
    if earlier?.metadata.size != size { try begin(at: 0) }
  }

  /// Takes the next bytes, no more than there is room for in the tools, and not in their second room.
  mutating func take(_ bytes: UnsafeRawBufferPointer, at offset: UInt64) throws {
    if file != nil, !isClone { return try write(bytes, at: offset) }
    let before = earlierBytes(at: offset, count: bytes.count)
    var start = 0
    while start < bytes.count {
      let end = min(start + SharedFile.page, bytes.count)
      defer { start = end }
      if end <= before.count, SharedFile.areEqual(bytes, before, start..<end) { continue }
      if file == nil {
        // Also what is equal before this page, where it cannot be shared.
        try begin(at: offset)
        if !isClone { return try write(bytes, at: offset) }
      }
      try write(UnsafeRawBufferPointer(rebasing: bytes[start..<end]), at: offset + UInt64(start))
    }
  }

  /// Ends it, when all of the content has come by: gives it what `member` says of it, or the earlier file
  /// another name.
  mutating func end(
    _ member: TarMember, _ rules: MirroredFile.Rules, _ summary: inout UnpackSummary
  ) throws {
    if file == nil {
      if earlierIsAll(of: member, rules.grain), linkEarlier(rules.totals) {
        sharing.linked += size
        made = earlier?.metadata
        return
      }
      try begin(at: size)
    }
    guard let file else { return }
    // Nothing was written where a hole is at the end.
    if try file.metadata().size != size { try file.truncate(to: size) }
    try rules.restorer.restore(member, file, &summary)
    made = try file.metadata()
    try file.close()
    sharing.cloned = isClone ? size - min(size, sharing.written) : 0
  }

  /// What the earlier file has there; what cannot be read differs.
  private func earlierBytes(at offset: UInt64, count: Int) -> UnsafeRawBufferPointer {
    let room = UnsafeMutableRawBufferPointer(rebasing: tools.otherRoom[..<count])
    let got = earlier.flatMap { try? $0.file.readFully(into: room, at: offset) } ?? 0
    return UnsafeRawBufferPointer(rebasing: room[..<got])
  }

  private static func areEqual(
    _ one: UnsafeRawBufferPointer, _ other: UnsafeRawBufferPointer, _ range: Range<Int>
  ) -> Bool {
    guard let one = one.baseAddress, let other = other.baseAddress else { return range.isEmpty }
    return memcmp(one + range.lowerBound, other + range.lowerBound, range.count) == 0
  }

  /// Makes the file, with everything in it that came by until `offset`.
  private mutating func begin(at offset: UInt64) throws {
    let file = try place.folder.file(place.name, .create(permissions: 0o600))
    self.file = file
    guard let earlier, earlier.metadata.size > 0, size > 0 else { return }
    isClone = try file.clone(earlier.file, size: earlier.metadata.size)
    if isClone {
      if earlier.metadata.size > size { try file.truncate(to: size) }
      return
    }
    var done: UInt64 = 0
    while done < offset {
      try tools.checkpoint()
      let count = Int(min(offset - done, UInt64(tools.otherRoom.count)))
      let room = UnsafeMutableRawBufferPointer(rebasing: tools.otherRoom[..<count])
      let got: Int
      do { got = try earlier.file.readFully(into: room, at: done) } catch let error as StillError {
        throw EarlierIsLost(reason: error.message)
      }
      guard got == count else {
        throw EarlierIsLost(reason: "\(earlier.file.path) became shorter while it was compared")
      }
      try write(UnsafeRawBufferPointer(room), at: done)
      done += UInt64(count)
    }
  }

  private mutating func write(_ bytes: UnsafeRawBufferPointer, at offset: UInt64) throws {
    guard let file else { return }
    guard isSparse, !isClone else {
      try file.writeAll(bytes, at: offset)
      if bytes.count == tools.room.count { file.startWriting(offset, bytes.count) }
      sharing.written += UInt64(bytes.count)
      return
    }
    var start = 0
    while start < bytes.count {
      let end = min(start + SharedFile.page, bytes.count)
      let page = UnsafeRawBufferPointer(rebasing: bytes[start..<end])
      if page.contains(where: { $0 != 0 }) {
        try file.writeAll(page, at: offset + UInt64(start))
        sharing.written += UInt64(page.count)
      }
      start = end
    }
  }

  /// Whether the earlier file is what this one would be, beside its content.
  private func earlierIsAll(of member: TarMember, _ grain: TimeGrain) -> Bool {
    guard let (file, metadata) = earlier, metadata.mode == member.mode,
      grain.isTime(of: metadata, member)
    else { return false }
    // Who is not root cannot give files to others, so here all of them are his own.
    let isRoot = Account.effectiveUser == 0
    let owner = isRoot ? member.owner : Account.effectiveUser
    guard metadata.owner == owner, metadata.group == member.group || !isRoot else { return false }
    var its = TarMember(path: member.path, kind: .file, metadata)
    guard (try? its.takeAttributes(of: file)) != nil else { return false }
    return its.attributes == member.attributes && its.accessList == member.accessList
  }

  /// False where it cannot have another name, has one in this mirror already, or is no longer what was
  /// compared.
  private func linkEarlier(_ totals: MirrorTotals) -> Bool {
    guard let folder = place.earlier, let earlier, totals.mayLink(earlier.metadata.inode),
      (try? folder.makeHardLink(of: place.name, in: place.folder, place.name)) != nil
    else { return false }
    if let made = try? place.folder.metadata(of: place.name),
      made.identity == earlier.metadata.identity
    {
      return true
    }
    try? place.folder.remove(place.name)
    return false
  }
}

extension TarMember {
  /// Takes over attributes and ACL. A label of SELinux belongs to the place where a file lies: what is
  /// copied elsewhere gets that place's.
  mutating func takeAttributes(of source: OpenFile) throws {
    let visible = try source.visibleAttributes()
    attributes = visible.attributes.filter { $0.name != TarMember.label }
    guard visible.hasAccessList else { return }
    accessList = try AccessLists.access(of: source.descriptor, shown: source.path.string)
  }

  /// The same of a folder, with what new files in it inherit.
  mutating func takeAttributes(of folder: OpenFolder) throws {
    let shown = folder.path.string
    let visible = try folder.visibleAttributes()
    attributes = visible.attributes.filter { $0.name != TarMember.label }
    if visible.hasAccessList {
      accessList = try AccessLists.access(of: folder.descriptor, shown: shown)
    }
    if visible.hasInheritedAccessList {
      inheritedAccessList = try AccessLists.inherited(of: folder.descriptor, shown: shown)
    }
  }

  private static let label = Array("security.selinux".utf8)
}
