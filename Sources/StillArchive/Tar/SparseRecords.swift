import StillModel

/// What the extended headers of a member say of holes, in any of the three formats that GNU tar has
/// used (its manual, "PAX Format, Version 0.0", "0.1" and "1.0").
struct SparseRecords {
  /// Where the map is.
  enum Form {
    /// 0.0 and 0.1: here.
    case map(SparseMap)
    /// 1.0: before the data, for a file of `size` bytes.
    case inFront(size: UInt64)
  }

  /// The member's own; its header has another one, for readers that know nothing of this.
  private(set) var name: [UInt8]?
  private var version: (major: UInt64, minor: UInt64) = (0, 0)
  private var size: UInt64?
  private var parts: [(offset: UInt64, count: UInt64)] = []
  private var offset: UInt64?

  private static let prefix = Array("GNU.sparse.".utf8)

  /// Takes a record, if it is one of these. Their order matters.
  mutating func take(_ key: [UInt8], _ value: [UInt8]) throws {
    guard key.starts(with: SparseRecords.prefix) else { return }
    let word = String(decoding: key.dropFirst(SparseRecords.prefix.count), as: UTF8.self)
    switch word {
    case "major": version.major = try SparseRecords.number(value)
    case "minor": version.minor = try SparseRecords.number(value)
    case "name": name = value
    case "size", "realsize": size = try SparseRecords.number(value)
    case "offset": offset = try SparseRecords.number(value)
    case "numbytes":
      guard let offset else { throw SparseRecords.damaged }
      parts.append((offset, try SparseRecords.number(value)))
      self.offset = nil
    case "map": try take(map: value)
    default: break
    }
  }

  private mutating func take(map: [UInt8]) throws {
    let numbers = try map.split(separator: UInt8(ascii: ",")).map { try SparseRecords.number($0) }
    guard numbers.count.isMultiple(of: 2) else { throw SparseRecords.damaged }
    for index in stride(from: 0, to: numbers.count, by: 2) {
      parts.append((numbers[index], numbers[index + 1]))
    }
  }

  /// nil for a member without holes.
  func form() throws -> Form? {
    guard let size else { return nil }
    switch version {
    case (0, _): return .map(try SparseMap(size: size, read: parts))
    case (1, 0): return .inFront(size: size)
    default:
      throw DamagedStream(
        reason: "a file with holes is in format \(version.major).\(version.minor), "
          + "which cannot be read")
    }
  }

  static func number(_ digits: some Collection<UInt8>) throws -> UInt64 {
    guard let number = UInt64(String(decoding: digits, as: UTF8.self)) else { throw damaged }
    return number
  }

  static var damaged: DamagedStream {
    DamagedStream(reason: "the map of a file with holes cannot be understood")
  }
}
