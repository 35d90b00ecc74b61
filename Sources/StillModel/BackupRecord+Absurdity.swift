extension BackupRecord {
  /// What is in this record that no backup has, in a few words; nil for one that may be right. Its seal
  /// says only that some pgstill has written it, and whoever reads it adds, divides and rounds.
  public var absurdity: String? {
    guard let size = UInt32(exactly: server.walSegmentSize), WALSegmentName.isValidSize(size) else {
      return "WAL segments of \(server.walSegmentSize) bytes"
    }
    guard Set(tablespaces.map(\.oid)).count == tablespaces.count else {
      return "two tablespaces with one OID"
    }
    guard
      [
        archives.map(\.bytesRead), archives.map(\.bytesWritten),
        archives.map { UInt64(bitPattern: Int64($0.files)) },
        archives.map { UInt64(bitPattern: Int64($0.members)) },
      ].allSatisfy(BackupRecord.canBe)
    else { return "archives of more than there can be" }
    if let mirror {
      let sharing = mirror.sharing
      guard
        [
          mirror.parts.map(\.bytes), [sharing.linked, sharing.cloned, sharing.written],
          mirror.parts.map { UInt64(bitPattern: Int64($0.files)) },
          [UInt64(bitPattern: Int64(mirror.moreApart))],
        ].allSatisfy(BackupRecord.canBe)
      else { return "files of more than there can be" }
      guard archives.isEmpty, Set(mirror.parts.map(\.name)).count == mirror.parts.count else {
        return "a mirror that is something else too"
      }
      // They are names of folders.
      guard
        mirror.parts.allSatisfy({ Mirror.Part.names.contains($0.name) || UInt32($0.name) != nil })
      else { return "a part that no backup has" }
    }
    guard snapshotSizes.allSatisfy({ BackupRecord.canBe([$0]) }) else {
      return "snapshots of more than there can be"
    }
    guard times.allSatisfy(BackupRecord.canTake) else {
      return "times that nothing takes"
    }
    return nil
  }

  /// An exbibyte: eight of them can still be added up in a signed number.
  private static let largest: UInt64 = 1 << 60
  /// In seconds as well as in milliseconds.
  private static let longestTime = 1e12

  /// Whether a time is of this world. Not a number is no less than any.
  static func canTake(_ time: Double) -> Bool { abs(time) < longestTime }

  /// Whether numbers, and their sum, are of this world.
  static func canBe(_ numbers: [UInt64]) -> Bool {
    var sum: UInt64 = 0
    for number in numbers {
      guard number <= largest else { return false }
      sum += number
      guard sum <= largest else { return false }
    }
    return true
  }

  private var snapshotSizes: [UInt64] {
    (freeze?.volumes ?? []).flatMap { [$0.fill.used, $0.fill.size] } + fillHistory.flatMap(\.used)
      + fillHistory.flatMap { ($0.written ?? []).compactMap { $0 } }
      + fillHistory.compactMap(\.copied)
      + (extensions ?? []).flatMap { [$0.from, $0.to] }
  }

  private var times: [Double] {
    var times = phases.map(\.seconds) + fillHistory.map(\.seconds)
    times += (extensions ?? []).map(\.seconds)
    if let downtime { times += [downtime.seconds, downtime.stopSeconds] }
    if let proof { times.append(proof.seconds) }
    guard let freeze else { return times }
    times += [freeze.windowMilliseconds, freeze.skewMilliseconds]
    for volume in freeze.volumes {
      for span in [volume.suspend, volume.take, volume.resume] { times += [span.begin, span.end] }
      if let share = volume.fill.metadata { times.append(share) }
    }
    return times
  }
}
