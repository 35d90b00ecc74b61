import SystemPackage

/// The name of a file that holds a part of a table or an index: `16384`, `16384_fsm`, `16384.1`,
/// `16384_init` (src/common/relpath.c; src/backend/storage/file/reinit.c,
/// parse_filename_for_nontemp_relation).
public struct RelationFileName: Hashable, Sendable {
  public enum Fork: String, Sendable, CaseIterable {
    case main = ""
    case freeSpace = "fsm"
    case visibility = "vm"
    case initial = "init"
  }

  public var relation: UInt32
  public var fork: Fork
  /// Which of the files that hold the fork: a relation of more than 1 GiB has several.
  public var segment: UInt32

  /// nil for every other name.
  public init?(_ name: [UInt8]) {
    var rest = name[...]
    guard let relation = RelationFileName.number(&rest),
      let (fork, segment) = RelationFileName.forkAndSegment(rest)
    else { return nil }
    self.relation = relation
    self.fork = fork
    self.segment = segment
  }

  /// Whether it is a relation of a session's temporary table: `t3_16384`
  /// (src/backend/storage/file/fd.c, looks_like_temp_rel_name).
  public static func isTemporary(_ name: [UInt8]) -> Bool {
    var rest = name[...]
    guard rest.popFirst() == UInt8(ascii: "t"), number(&rest) != nil,
      rest.popFirst() == UInt8(ascii: "_"), number(&rest) != nil
    else { return false }
    return forkAndSegment(rest) != nil
  }

  /// Whether relations lie in this folder, counted from the data directory: those of a database, in
  /// `base` or in a tablespace, and `global`.
  public static func areIn(_ folder: FilePath) -> Bool {
    let parts = folder.components.map { Array(FilePath(root: nil, [$0]).bytes) }
    func isNumber(_ index: Int) -> Bool {
      var rest = parts[index][...]
      return number(&rest) != nil && rest.isEmpty
    }
    switch parts.count {
    case 1: return parts[0].elementsEqual("global".utf8)
    case 2: return parts[0].elementsEqual("base".utf8) && isNumber(1)
    case 4:
      return parts[0].elementsEqual("pg_tblspc".utf8) && isNumber(1)
        && parts[2].starts(with: "PG_".utf8) && isNumber(3)
    default: return false
    }
  }

  /// Takes up to ten digits that make a number of 32 bits.
  private static func number(_ rest: inout ArraySlice<UInt8>) -> UInt32? {
    let digits = rest.prefix { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }
    guard digits.count <= 10, let number = UInt32(String(decoding: digits, as: UTF8.self)) else {
      return nil
    }
    rest = rest[digits.endIndex...]
    return number
  }

  /// Reads `[_fork][.segment]` up to the end.
  private static func forkAndSegment(_ text: ArraySlice<UInt8>) -> (Fork, UInt32)? {
    var rest = text
    var fork = Fork.main
    if rest.first == UInt8(ascii: "_") {
      let name = rest.dropFirst().prefix { $0 != UInt8(ascii: ".") }
      guard !name.isEmpty, let named = Fork(rawValue: String(decoding: name, as: UTF8.self)) else {
        return nil
      }
      fork = named
      rest = rest[name.endIndex...]
    }
    var segment: UInt32 = 0
    if rest.first == UInt8(ascii: ".") {
      rest.removeFirst()
      guard let number = number(&rest) else { return nil }
      segment = number
    }
    return rest.isEmpty ? (fork, segment) : nil
  }
}
