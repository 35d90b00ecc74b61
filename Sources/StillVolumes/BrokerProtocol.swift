import FoundationEssentials
import StillModel
import StillSystem

/// What the coordinator may ask of the broker: one JSON line each. There is no verb that takes a
/// command line, a path, or a volume to remove.
enum BrokerRequest: Codable {
  case survey([VolumeName])
  /// The set that is prepared next gives way.
  case giveWay
  /// Comes with one descriptor a volume, of a folder on it.
  case makeWay([VolumeName])
  /// Comes with one descriptor a request, of a folder on its volume.
  case prepare(run: RunID, [SnapshotRequest])
  /// The deadline in seconds.
  case freeze(deadline: Double)
  /// Gives up the frozen instant; the set waits for another freeze.
  case thaw
  /// Answered with one descriptor a snapshot.
  case open
  case fill
  /// Answered with one descriptor a snapshot that keeps a list; to be asked again while it is being read.
  case overwritten
  /// The size in bytes.
  case extend(VolumeName, size: UInt64)
  case release
  case sweep
  case held
  case unit(UnitRequest)
}

/// The broker's answer to one request.
enum BrokerReply: Codable {
  case failed(StillError)
  case surveyed([VolumeFacts])
  case givesWay
  case madeWay([RunID])
  case prepared([SnapshotFacts])
  case frozen(FreezeReport)
  case thawed
  case opened
  case filled([SnapshotFill])
  /// The sizes of the chunks in bytes; nil where there is no list.
  case overwritten([UInt64?])
  case readingOverwritten
  case extended(SnapshotFacts)
  case released(ReleaseReport)
  case held([HeldSet])
  case unit(UnitReply)
}

extension Channel {
  func send(message: some Encodable, descriptors: [Int32] = []) throws {
    try send(Array(JSONEncoder().encode(message)), descriptors: descriptors)
  }
}

extension Decodable {
  init(line: [UInt8]) throws {
    self = try JSONDecoder().decode(Self.self, from: Data(line))
  }
}
