/// A thin pool's own words about itself: dm-thin's status line, with the sizes of its blocks.
public struct ThinPoolStatus: Hashable, Sendable {
  /// In bytes.
  public var usedData: UInt64
  /// In bytes.
  public var data: UInt64
  /// Used share of the room for metadata, 0…1.
  public var metadataShare: Double
  /// Why it can take in no more writes; nil if it can.
  public var trouble: String?

  /// Used share of the room for data, 0…1.
  public var dataShare: Double { data == 0 ? 0 : Double(usedData) / Double(data) }

  /// Reads the parameters of the status (Linux, admin-guide/device-mapper/thin-provisioning.rst):
  /// `TRANSACTION USED/TOTAL-METADATA USED/TOTAL-DATA HELD-ROOT MODE DISCARDS ON-FULL NEEDS-CHECK …`,
  /// or the one word `Fail` or `Error`; nil for anything else.
  ///
  /// - Parameter blockSize: of the pool's data, in bytes.
  public init?(_ status: String, blockSize: UInt64) {
    let words = status.split(separator: " ").map(String.init)
    if let word = words.first, words.count == 1, ["Fail", "Error"].contains(word) {
      self.init(usedData: 0, data: 0, metadataShare: 0, trouble: "it has failed")
      return
    }
    guard words.count >= 5, let metadata = ThinPoolStatus.pair(words[1]),
      let data = ThinPoolStatus.pair(words[2]), metadata.total > 0, data.total > 0
    else { return nil }
    let trouble: String? =
      switch words[4] {
      case _ where words.contains("needs_check"): "its metadata needs a check"
      case "rw": nil
      case "out_of_data_space": "it has run out of room for data"
      case "ro": "it is read-only"
      default: "it is in mode \(words[4])"
      }
    self.init(
      usedData: data.used * blockSize, data: data.total * blockSize,
      metadataShare: Double(metadata.used) / Double(metadata.total), trouble: trouble)
  }

  public init(usedData: UInt64, data: UInt64, metadataShare: Double, trouble: String? = nil) {
    self.usedData = usedData
    self.data = data
    self.metadataShare = metadataShare
    self.trouble = trouble
  }

  private static func pair(_ word: String) -> (used: UInt64, total: UInt64)? {
    let numbers = word.split(separator: "/", omittingEmptySubsequences: false).map { UInt64($0) }
    guard numbers.count == 2, let used = numbers[0], let total = numbers[1] else { return nil }
    return (used, total)
  }
}
