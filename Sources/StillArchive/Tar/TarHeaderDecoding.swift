import StillModel
import StillSystem
import SystemPackage

/// A header block that was read and whose sum is right.
struct TarHeaderFields {
  private let bytes: [UInt8]

  /// - Throws: `DamagedStream` when the sum is wrong.
  init(_ block: [UInt8]) throws {
    bytes = block
    let written = try number(TarFormat.checksum, "checksum")
    guard written == UInt64(TarFormat.sum(block)) else {
      throw DamagedStream(reason: "the checksum of a header is wrong")
    }
  }

  /// A block that has no sum: it goes on with the header before it.
  init(unchecked block: [UInt8]) { bytes = block }

  func byte(_ offset: Int) -> UInt8 { bytes[offset] }

  var typeFlag: UInt8 { bytes[TarFormat.typeFlag] }

  /// Octal digits among blanks and zeros, or base 256 where the highest bit is set.
  func number(_ field: Range<Int>, _ what: String) throws -> UInt64 {
    let raw = bytes[field]
    if let first = raw.first, first & 0x80 != 0 {
      var value: UInt64 = UInt64(first & 0x7F)
      for byte in raw.dropFirst() {
        guard value >> 56 == 0 else {
          throw DamagedStream(reason: "the \(what) in a header is wrong")
        }
        value = value << 8 | UInt64(byte)
      }
      return value
    }
    let isFiller = { (byte: UInt8) in byte == 0 || byte == UInt8(ascii: " ") }
    let digits = raw.drop(while: isFiller).prefix { !isFiller($0) }
    if digits.isEmpty { return 0 }
    guard let value = UInt64(String(decoding: digits, as: UTF8.self), radix: 8) else {
      throw DamagedStream(reason: "the \(what) in a header is wrong")
    }
    return value
  }

  /// The member, with what extended headers before it say in place of what the header itself says.
  func member(
    records: [[UInt8]: [UInt8]], longName: [UInt8]?, longLink: [UInt8]?
  ) throws -> TarMember {
    func record(_ key: String) -> [UInt8]? { records[Array(key.utf8)] }

    let name = record("GNU.sparse.name") ?? record("path") ?? longName ?? fullName
    let target = record("linkpath") ?? longLink ?? Array(text(TarFormat.linkName))
    guard !name.isEmpty, !name.contains(0), !target.contains(0) else {
      throw DamagedStream(reason: "a member has no usable name")
    }
    let kind = kind(name: name, target: target)
    var member = TarMember(
      path: FilePath(bytes: name), kind: kind,
      mode: UInt32(truncatingIfNeeded: try number(TarFormat.mode, "mode")) & 0o7777)
    if kind == .file {
      member.size =
        try record("size").map { try decimal($0, "size") }
        ?? number(TarFormat.size, "size")
      // No file is larger (off_t), and nobody adds a block's padding to it without a thought.
      guard member.size <= UInt64(Int64.max) else {
        throw DamagedStream(reason: "the size in a header is wrong")
      }
    }
    member.owner =
      try record("uid").map { try narrow(decimal($0, "owner"), "owner") }
      ?? narrow(number(TarFormat.owner, "owner"), "owner")
    member.group =
      try record("gid").map { try narrow(decimal($0, "group"), "group") }
      ?? narrow(number(TarFormat.group, "group"), "group")
    member.ownerName = record("uname") ?? Array(text(TarFormat.ownerName))
    member.groupName = record("gname") ?? Array(text(TarFormat.groupName))
    (member.modifiedSeconds, member.modifiedNanoseconds) =
      try record("mtime").map { try time($0) } ?? (signedNumber(TarFormat.modified, "time"), 0)
    member.accessList = record("SCHILY.acl.access").map { String(decoding: $0, as: UTF8.self) }
    member.inheritedAccessList = record("SCHILY.acl.default").map {
      String(decoding: $0, as: UTF8.self)
    }
    let prefix = Array("SCHILY.xattr.".utf8)
    member.attributes = records.filter { $0.key.starts(with: prefix) }
      .map {
        ExtendedAttribute(
          name: AttributeKey.decoded($0.key.dropFirst(prefix.count)), value: $0.value)
      }
      .sorted { $0.name.lexicographicallyPrecedes($1.name) }
    return member
  }

  private func kind(name: [UInt8], target: [UInt8]) -> TarMember.Kind {
    switch typeFlag {
    case UInt8(ascii: "0"), 0, UInt8(ascii: "7"), OldSparseHeader.typeFlag:
      // Before ustar, a folder was a file with a slash at the end of its name.
      name.last == UInt8(ascii: "/") ? .folder : .file
    case UInt8(ascii: "1"): .hardLink(target: target)
    case UInt8(ascii: "2"): .link(target: target)
    case UInt8(ascii: "5"): .folder
    default: .other(typeFlag)
    }
  }

  /// Prefix and name. GNU's old format uses the room of the prefix for other things, and says so
  /// by its magic.
  private var fullName: [UInt8] {
    let name = Array(text(TarFormat.name))
    let isPosix = bytes[TarFormat.magic].starts(with: Array("ustar\0".utf8))
    let prefix = isPosix ? Array(text(TarFormat.prefix)) : []
    return prefix.isEmpty ? name : prefix + [UInt8(ascii: "/")] + name
  }

  /// A field up to its closing zero.
  private func text(_ field: Range<Int>) -> ArraySlice<UInt8> { bytes[field].prefix { $0 != 0 } }

  /// Base 256 may be negative (times before 1970): the second highest bit is the sign then.
  private func signedNumber(_ field: Range<Int>, _ what: String) throws -> Int64 {
    if bytes[field.lowerBound] == 0xFF {
      return Int64(bitPattern: bytes[field].suffix(8).reduce(0) { $0 << 8 | UInt64($1) })
    }
    return Int64(clamping: try number(field, what))
  }

  private func decimal(_ value: [UInt8], _ what: String) throws -> UInt64 {
    guard let number = UInt64(String(decoding: value, as: UTF8.self)) else {
      throw DamagedStream(reason: "the \(what) in an extended header is wrong")
    }
    return number
  }

  private func narrow(_ value: UInt64, _ what: String) throws -> UInt32 {
    guard let narrow = UInt32(exactly: value) else {
      throw DamagedStream(reason: "the \(what) in a header is wrong")
    }
    return narrow
  }

  /// Reads `-1.5` as the second rounded down and what is left: -2 s and 500000000 ns.
  private func time(_ value: [UInt8]) throws -> (Int64, Int64) {
    let isNegative = value.first == UInt8(ascii: "-")
    let parts = value.dropFirst(isNegative ? 1 : 0)
      .split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
    let digits = parts.count > 1 ? Array(parts[1].prefix(9)) : []
    let fraction = digits + Array(repeating: UInt8(ascii: "0"), count: 9 - digits.count)
    guard (1...2).contains(parts.count),
      let whole = Int64(String(decoding: parts[0], as: UTF8.self)),
      let rest = Int64(String(decoding: fraction, as: UTF8.self)), whole >= 0, rest >= 0
    else { throw DamagedStream(reason: "the time in an extended header is wrong") }
    if !isNegative { return (whole, rest) }
    return rest == 0 ? (-whole, 0) : (-whole - 1, 1_000_000_000 - rest)
  }
}
