import StillModel
import StillSystem

extension TarMember {
  /// The blocks that stand before the member's content: a ustar header and, where that cannot say
  /// all, a PAX extended header before it; for a file with holes also the map of them.
  func encodedHeader() -> [UInt8] {
    var records = PaxRecords()
    let name = encodedName
    let header = encodedUstar(name: name, &records)
    guard !records.bytes.isEmpty else { return header }
    return TarMember.paxHeader(for: name, records) + records.padded + header
      + (sparse?.encoded ?? [])
  }

  /// The path as tar has it: folders end with a slash, the root is `./`.
  private var encodedName: [UInt8] {
    let bytes = path.bytes
    guard kind == .folder else { return bytes }
    return (bytes.isEmpty ? [UInt8(ascii: ".")] : bytes) + [UInt8(ascii: "/")]
  }

  private func encodedUstar(name: [UInt8], _ records: inout PaxRecords) -> [UInt8] {
    var header = TarHeader()
    if sparse != nil {
      records.add("GNU.sparse.major", "1")
      records.add("GNU.sparse.minor", "0")
      records.add("GNU.sparse.name", name)
      records.add("GNU.sparse.realsize", "\(size)")
      header.put(TarMember.nameBeside("GNUSparseFile.0/", name), TarFormat.name)
    } else if let split = TarMember.split(name) {
      header.put(split.name, TarFormat.name)
      header.put(split.prefix, TarFormat.prefix)
    } else {
      records.add("path", name)
      header.put(Array(name.prefix(TarFormat.name.count)), TarFormat.name)
    }
    switch kind {
    case .link(let target), .hardLink(let target):
      if target.count > TarFormat.linkName.count { records.add("linkpath", target) }
      header.put(Array(target.prefix(TarFormat.linkName.count)), TarFormat.linkName)
    case .file, .folder, .other: break
    }
    header.put(octal: UInt64(mode), TarFormat.mode)
    // Numbers that do not fit stand in a record and, for readers that know only GNU's way (the
    // server's own is one), in base 256 in the header too.
    if !header.put(number: UInt64(owner), TarFormat.owner) {
      records.add("uid", "\(owner)")
    }
    if !header.put(number: UInt64(group), TarFormat.group) {
      records.add("gid", "\(group)")
    }
    let stored = storedSize + UInt64(sparse?.encoded.count ?? 0)
    if !header.put(number: stored, TarFormat.size) { records.add("size", "\(stored)") }
    if modifiedNanoseconds != 0 || modifiedSeconds < 0 || modifiedSeconds >= 1 << 33 {
      records.add("mtime", TarMember.time(modifiedSeconds, modifiedNanoseconds))
    }
    header.put(
      octal: UInt64(min(max(0, modifiedSeconds), (1 << 33) - 1)), TarFormat.modified)
    header.put(name: ownerName, TarFormat.ownerName) { records.add("uname", ownerName) }
    header.put(name: groupName, TarFormat.groupName) { records.add("gname", groupName) }
    if let accessList { records.add("SCHILY.acl.access", accessList) }
    if let inheritedAccessList { records.add("SCHILY.acl.default", inheritedAccessList) }
    for attribute in attributes {
      records.add(
        "SCHILY.xattr.", named: AttributeKey.encoded(attribute.name), attribute.value)
    }
    return header.sealed(typeFlag)
  }

  private var typeFlag: UInt8 {
    switch kind {
    case .file: UInt8(ascii: "0")
    case .hardLink: UInt8(ascii: "1")
    case .link: UInt8(ascii: "2")
    case .folder: UInt8(ascii: "5")
    case .other(let flag): flag
    }
  }

  /// A name of up to 100 bytes, or one that a slash divides into up to 155 and up to 100; nil for
  /// names that ustar cannot hold.
  private static func split(_ name: [UInt8]) -> (prefix: [UInt8], name: [UInt8])? {
    let room = TarFormat.name.count
    if name.count <= room { return ([], name) }
    // The last name and its slash (for a folder) stay together.
    let first = name.count - room - 1
    let end = min(name.count - 1, TarFormat.prefix.count + 1)
    guard first < end,
      let slash = name[first..<end].firstIndex(of: UInt8(ascii: "/")), slash > 0
    else { return nil }
    return (Array(name[..<slash]), Array(name[(slash + 1)...]))
  }

  /// Seconds with a decimal fraction, as short as it can be: `1700000000.25`.
  private static func time(_ seconds: Int64, _ nanoseconds: Int64) -> String {
    // Before 1970 the fraction counts the other way: -2 s and 0.5 s are -1.5.
    let isNegative = seconds < 0
    let whole = isNegative && nanoseconds > 0 ? seconds + 1 : seconds
    let rest = isNegative && nanoseconds > 0 ? 1_000_000_000 - nanoseconds : nanoseconds
    var text = (isNegative ? "-" : "") + "\(whole.magnitude)"
    guard rest > 0 else { return text }
    let digits = String(rest)
    var fraction = String(repeating: "0", count: 9 - digits.count) + digits
    while fraction.hasSuffix("0") { fraction.removeLast() }
    text += "." + fraction
    return text
  }

  /// What a reader that does not know what the member is makes of it: a file beside.
  private static func nameBeside(_ folder: String, _ name: [UInt8]) -> [UInt8] {
    let last = name.split(separator: UInt8(ascii: "/")).last ?? [UInt8(ascii: ".")]
    return Array(folder.utf8) + last.prefix(TarFormat.name.count - folder.utf8.count)
  }

  private static func paxHeader(for name: [UInt8], _ records: PaxRecords) -> [UInt8] {
    var header = TarHeader()
    header.put(nameBeside("PaxHeaders/", name), TarFormat.name)
    header.put(octal: 0o644, TarFormat.mode)
    header.put(octal: 0, TarFormat.owner)
    header.put(octal: 0, TarFormat.group)
    header.put(octal: UInt64(records.bytes.count), TarFormat.size)
    header.put(octal: 0, TarFormat.modified)
    return header.sealed(UInt8(ascii: "x"))
  }
}

/// A header block being filled in.
private struct TarHeader {
  var bytes = [UInt8](repeating: 0, count: TarFormat.blockSize)

  init() {
    put(Array("ustar\0".utf8) + Array("00".utf8), TarFormat.magic)
    put(octal: 0, TarFormat.deviceMajor)
    put(octal: 0, TarFormat.deviceMinor)
  }

  /// `value` fits.
  mutating func put(_ value: [UInt8], _ field: Range<Int>) {
    bytes.replaceSubrange(field.lowerBound..<field.lowerBound + value.count, with: value)
  }

  /// A name with its closing zero; calls `tooLong` and leaves the field empty if it does not fit.
  mutating func put(name: [UInt8], _ field: Range<Int>, _ tooLong: () -> Void) {
    if name.count < field.count { put(name, field) } else { tooLong() }
  }

  /// Octal digits and a closing zero; `number` fits.
  mutating func put(octal number: UInt64, _ field: Range<Int>) {
    let digits = String(number, radix: 8)
    let room = field.count - 1
    put(Array(String(repeating: "0", count: room - digits.utf8.count).utf8) + digits.utf8, field)
  }

  /// Octal where it fits; else base 256, most significant byte first, marked by the highest bit,
  /// and the answer is false.
  mutating func put(number: UInt64, _ field: Range<Int>) -> Bool {
    if number < 1 << UInt64(3 * (field.count - 1)) {
      put(octal: number, field)
      return true
    }
    var rest = number
    for index in field.reversed() {
      bytes[index] = UInt8(truncatingIfNeeded: rest)
      rest >>= 8
    }
    bytes[field.lowerBound] |= 0x80
    return false
  }

  /// The finished block: type and checksum filled in.
  func sealed(_ typeFlag: UInt8) -> [UInt8] {
    var copy = self
    copy.bytes[TarFormat.typeFlag] = typeFlag
    let digits = String(TarFormat.sum(copy.bytes), radix: 8)
    // Six digits, a zero and a blank, as tar always has written it.
    copy.put(
      Array(String(repeating: "0", count: 6 - digits.utf8.count).utf8) + digits.utf8
        + [0, UInt8(ascii: " ")], TarFormat.checksum)
    return copy.bytes
  }
}
