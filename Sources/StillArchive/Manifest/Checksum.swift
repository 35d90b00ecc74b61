import CCrypto
import CStill
import StillModel

/// The kinds of checksum that PostgreSQL's backup manifest knows, by the names it gives them
/// (src/common/checksum_helper.c).
public enum ChecksumAlgorithm: String, Codable, Sendable, CaseIterable {
  case none = "NONE"
  case crc32c = "CRC32C"
  case sha224 = "SHA224"
  case sha256 = "SHA256"
  case sha384 = "SHA384"
  case sha512 = "SHA512"
}

/// A checksum as it stands in a manifest.
public struct Checksum: Hashable, Sendable, CustomStringConvertible {
  public var algorithm: ChecksumAlgorithm
  /// Empty for `.none`. CRC-32C has its four bytes in little-endian order, as the server on the
  /// usual machines writes them.
  public var bytes: [UInt8]

  public init(algorithm: ChecksumAlgorithm, bytes: [UInt8]) {
    self.algorithm = algorithm
    self.bytes = bytes
  }

  public static let none = Checksum(algorithm: .none, bytes: [])

  /// Lower case hexadecimal digits.
  public var description: String { Hexadecimal.text(bytes) }

  /// With the algorithm in front: `CRC32C:7b8a91f3`.
  public var labelled: String { "\(algorithm.rawValue):\(description)" }

  /// Reads what `labelled` wrote; nil for anything else.
  public init?(labelled text: String) {
    let parts = text.split(separator: ":", omittingEmptySubsequences: false)
    guard parts.count == 2, let algorithm = ChecksumAlgorithm(rawValue: String(parts[0])),
      let bytes = Hexadecimal.bytes(parts[1].utf8)
    else { return nil }
    self.init(algorithm: algorithm, bytes: bytes)
  }
}

/// A checksum being computed in passing.
public final class RunningChecksum {
  public let algorithm: ChecksumAlgorithm
  private var crc: UInt32 = 0
  private var context: OpaquePointer?

  public init(_ algorithm: ChecksumAlgorithm) throws {
    self.algorithm = algorithm
    let method: OpaquePointer?
    switch algorithm {
    case .none, .crc32c: return
    case .sha224: method = EVP_sha224()
    case .sha256: method = EVP_sha256()
    case .sha384: method = EVP_sha384()
    case .sha512: method = EVP_sha512()
    }
    context = EVP_MD_CTX_new()
    guard let context, EVP_DigestInit_ex(context, method, nil) == 1 else {
      throw StillError(.failed, "libcrypto cannot compute \(algorithm.rawValue)")
    }
  }

  deinit { EVP_MD_CTX_free(context) }

  public func update(_ bytes: UnsafeRawBufferPointer) {
    guard let base = bytes.baseAddress else { return }
    if let context {
      EVP_DigestUpdate(context, base, bytes.count)
    } else if algorithm == .crc32c {
      crc = still_crc32c(crc, base, bytes.count)
    }
  }

  /// The checksum of everything so far; then it begins anew.
  public func finish() -> Checksum {
    defer { crc = 0 }
    guard let context else {
      return algorithm == .none
        ? .none
        : Checksum(algorithm: .crc32c, bytes: withUnsafeBytes(of: crc.littleEndian) { Array($0) })
    }
    var length: UInt32 = 0
    let bytes = [UInt8](unsafeUninitializedCapacity: Int(EVP_MAX_MD_SIZE)) { buffer, count in
      EVP_DigestFinal_ex(context, buffer.baseAddress, &length)
      count = Int(length)
    }
    // The same method again.
    EVP_DigestInit_ex(context, nil, nil)
    return Checksum(algorithm: algorithm, bytes: bytes)
  }
}

/// Computes checksums of bytes that are there as a whole, and of zeros that are nowhere. Used by one
/// thread at a time.
final class Checksums {
  private var running: [ChecksumAlgorithm: RunningChecksum] = [:]
  private var zeros: [UInt8] = []
  private let checkpoint: () throws -> Void

  /// - Parameter checkpoint: ends work that takes long by what it throws: a terabyte of zeros takes
  ///   many minutes.
  init(checkpoint: @escaping () throws -> Void = {}) { self.checkpoint = checkpoint }

  func addZeros(_ count: UInt64, to checksum: RunningChecksum) throws {
    guard count > 0, checksum.algorithm != .none else { return }
    if zeros.isEmpty { zeros = [UInt8](repeating: 0, count: 256 << 10) }
    var left = count
    while left > 0 {
      try checkpoint()
      let step = Int(min(left, UInt64(zeros.count)))
      zeros.withUnsafeBytes { checksum.update(UnsafeRawBufferPointer(rebasing: $0[..<step])) }
      left -= UInt64(step)
    }
  }

  func of(_ bytes: UnsafeRawBufferPointer, _ algorithm: ChecksumAlgorithm) throws -> Checksum {
    let checksum = try running[algorithm] ?? RunningChecksum(algorithm)
    running[algorithm] = checksum
    checksum.update(bytes)
    return checksum.finish()
  }
}

/// Bytes as pairs of digits.
enum Hexadecimal {
  private static let digits = Array("0123456789abcdef".utf8)

  static func text(_ bytes: some Collection<UInt8>) -> String {
    var text: [UInt8] = []
    text.reserveCapacity(bytes.count * 2)
    for byte in bytes {
      text.append(digits[Int(byte >> 4)])
      text.append(digits[Int(byte & 15)])
    }
    return String(decoding: text, as: UTF8.self)
  }

  /// nil unless all of `text` is pairs of digits.
  static func bytes(_ text: some Collection<UInt8>) -> [UInt8]? {
    let characters = Array(text)
    guard characters.count.isMultiple(of: 2) else { return nil }
    var bytes: [UInt8] = []
    bytes.reserveCapacity(characters.count / 2)
    for index in stride(from: 0, to: characters.count, by: 2) {
      guard let high = value(characters[index]), let low = value(characters[index + 1]) else {
        return nil
      }
      bytes.append(high << 4 | low)
    }
    return bytes
  }

  private static func value(_ digit: UInt8) -> UInt8? {
    switch digit {
    case UInt8(ascii: "0")...UInt8(ascii: "9"): digit - UInt8(ascii: "0")
    case UInt8(ascii: "a")...UInt8(ascii: "f"): digit - UInt8(ascii: "a") + 10
    case UInt8(ascii: "A")...UInt8(ascii: "F"): digit - UInt8(ascii: "A") + 10
    default: nil
    }
  }
}
