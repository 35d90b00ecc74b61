import StillModel
import StillSystem

/// How exactly a file system keeps times of modification: ext4 with inodes of 128 bytes knows whole
/// seconds only, others tenths of a microsecond. A file that was given a time there shows another one.
struct TimeGrain: Sendable {
  /// Nanoseconds that all times there are a multiple of.
  let nanoseconds: Int64

  private static let all: Int64 = 987_654_321

  /// Asks a folder's file system, by giving the folder a time.
  init(of folder: OpenFolder) throws {
    try folder.setModified(seconds: 1_000_000_000, nanoseconds: TimeGrain.all)
    let kept = try folder.metadata().modifiedNanoseconds
    var grain: Int64 = 1
    while grain < 1_000_000_000, TimeGrain.all / grain * grain != kept { grain *= 10 }
    // One that does something else has no files that look unchanged.
    nanoseconds = TimeGrain.all / grain * grain == kept ? grain : 1
  }

  /// Whether a file there that has this time may be one that was given the member's.
  func isTime(of metadata: FileMetadata, _ member: TarMember) -> Bool {
    metadata.modifiedSeconds == member.modifiedSeconds
      && metadata.modifiedNanoseconds
        == member.modifiedNanoseconds / nanoseconds * nanoseconds
  }
}
