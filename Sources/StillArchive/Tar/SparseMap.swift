import StillModel

/// Which parts of a file with holes are data. Only those are in the archive, one after the other;
/// everything between and behind them is zeros.
public struct SparseMap: Equatable, Sendable {
  /// Of the file, holes included, in bytes.
  public let size: UInt64
  /// Ascending, none empty. All but the last are whole blocks of a tar archive long: GNU tar begins
  /// each at a whole block, others do not, and so it makes no difference.
  public let data: [Range<UInt64>]

  init(size: UInt64, data: [Range<UInt64>]) {
    self.size = size
    self.data = data
  }

  /// What of it is in an archive, in bytes.
  public var storedSize: UInt64 { data.reduce(0) { $0 + UInt64($1.count) } }

  /// - Throws: `DamagedStream` for what an archive says and no file can have.
  init(size: UInt64, read parts: [(offset: UInt64, count: UInt64)]) throws {
    guard size <= UInt64(Int64.max) else { throw SparseRecords.damaged }
    var data: [Range<UInt64>] = []
    var end: UInt64 = 0
    for (offset, count) in parts where count > 0 {
      let (next, isOver) = offset.addingReportingOverflow(count)
      guard !isOver, offset >= end, next <= size,
        data.last.map({ $0.count.isMultiple(of: TarFormat.blockSize) }) ?? true
      else { throw SparseRecords.damaged }
      data.append(offset..<next)
      end = next
    }
    self.init(size: size, data: data)
  }

  /// The map as it stands before the data in GNU tar's format 1.0 (its manual, "Storing Sparse
  /// Files"): the number of parts, and offset and size of each, every number on a line of its own,
  /// filled up to whole blocks.
  var encoded: [UInt8] {
    var numbers = data.flatMap { [$0.lowerBound, UInt64($0.count)] }
    // GNU tar sets the size of a file by what stands last.
    if data.last?.upperBound != size { numbers += [size, 0] }
    var bytes: [UInt8] = []
    for number in [UInt64(numbers.count / 2)] + numbers { bytes += "\(number)\n".utf8 }
    return bytes + [UInt8](repeating: 0, count: TarFormat.padding(UInt64(bytes.count)))
  }
}
