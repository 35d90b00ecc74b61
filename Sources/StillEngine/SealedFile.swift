import FoundationEssentials
import StillArchive
import StillModel
import StillSystem
import SystemPackage

/// What is kept as a sealed file.
protocol Sealed: Codable {
  /// Of the form of such files; a reader refuses a higher one.
  static var currentFormat: Int { get }
  /// What to do where the file was damaged.
  static var wayOutOfDamage: String { get }
  /// What to do where it would become too large to be read.
  static var wayToLess: String { get }
  /// What is in it that cannot be, in a few words; nil for one that may be right.
  var absurdity: String? { get }
}

/// Writes and reads JSON whose last member is the SHA-256 of everything before that member, so that a
/// changed byte is noticed here as it is in the archives.
enum SealedFile {
  private static let seal = Array(",\n  \"sha256\" : \"".utf8)
  private static let end = Array("\"\n}\n".utf8)
  private static let digits = 64
  /// In bytes; nobody reads more.
  static let mostBytes = 64 << 20

  /// - Throws: `.copying` for one that is so large that nobody would read it.
  static func write<Value: Sealed>(_ value: Value, to file: OpenFile) throws {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
    // Without the closing "\n}", which comes after the seal.
    let body = Array(try encoder.encode(value)).dropLast(2)
    guard body.count + seal.count + digits + end.count <= mostBytes else {
      throw StillError(
        .copying,
        "\(file.path) would have \(ByteCount.text(UInt64(body.count))), and nobody reads more than "
          + "\(ByteCount.text(UInt64(mostBytes)))",
        hint: Value.wayToLess)
    }
    try file.writeAll(Array(body))
    try file.writeAll(seal + Array(try digest(body).utf8) + end)
    try file.sync()
  }

  /// Puts a file in the place of the one that is there, or is not, in one step.
  ///
  /// - Parameter newName: what it is called until all of it is on the disk.
  static func replace(
    _ name: FilePath, with value: some Sealed, by newName: FilePath, in folder: OpenFolder
  ) throws {
    if try folder.metadataIfPresent(of: newName) != nil { try folder.remove(newName) }
    try write(value, to: folder.file(newName, .create(permissions: 0o600)))
    try folder.rename(newName, to: name)
    try folder.sync()
  }

  /// - Throws: `.copying` where the file was changed or cut short, comes from a newer pgstill, or says
  ///   what cannot be.
  static func read<Value: Sealed>(_ file: OpenFile) throws -> Value {
    try read(file.readAll(limit: mostBytes), of: file.path)
  }

  /// The same of what was read already.
  ///
  /// - Parameter path: for messages.
  static func read<Value: Sealed>(_ bytes: [UInt8], of path: FilePath) throws -> Value {
    let tail = seal.count + digits + end.count
    let body = bytes.dropLast(min(tail, bytes.count))
    guard bytes.count > tail, bytes.suffix(tail).starts(with: seal),
      bytes.suffix(end.count) == end[...],
      String(decoding: bytes.suffix(digits + end.count).prefix(digits), as: UTF8.self)
        == (try digest(body))
    else {
      throw StillError(
        .copying, "\(path) was changed or cut short: its checksum does not match",
        hint: Value.wayOutOfDamage)
    }
    let value: Value
    do {
      let format = try JSONDecoder().decode(Form.self, from: Data(bytes)).format
      guard format <= Value.currentFormat else {
        throw StillError(
          .copying, "\(path) comes from a newer pgstill (format \(format))",
          hint: "Use that one, or one that is newer yet.")
      }
      value = try JSONDecoder().decode(Value.self, from: Data(bytes))
    } catch let failure as StillError {
      throw failure
    } catch {
      throw StillError(
        .copying, "\(path) cannot be read: \(error)",
        hint: "It may come from a newer pgstill.")
    }
    if let absurdity = value.absurdity {
      throw StillError(
        .copying, "\(path) cannot be right: \(absurdity)", hint: Value.wayOutOfDamage)
    }
    return value
  }

  /// All that can be known of a file of any format.
  private struct Form: Decodable {
    var format: Int
  }

  private static func digest(_ bytes: ArraySlice<UInt8>) throws -> String {
    let checksum = try RunningChecksum(.sha256)
    bytes.withUnsafeBytes { checksum.update($0) }
    return checksum.finish().description
  }
}
