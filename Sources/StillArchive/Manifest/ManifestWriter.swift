import StillModel
import StillSystem
import SystemPackage

extension BackupManifest {
  /// Writes the manifest to `output`, byte for byte as the server does, and puts it on the disk.
  public func write(to output: OpenFile) throws {
    let writer = try ManifestWriter(output, systemIdentifier: systemIdentifier)
    for file in files { try writer.add(file) }
    _ = try writer.finish(walRanges)
  }
}

/// Writes a manifest while the files are still coming: nobody has to keep the list of them.
public final class ManifestWriter {
  private let output: OpenFile
  private let checksum: RunningChecksum
  private let whole: RunningChecksum
  private var pending: [UInt8] = []
  private var isFirst = true
  private static let chunk = 256 << 10

  /// - Parameter systemIdentifier: nil for version 1 (`BackupManifest`).
  public init(_ output: OpenFile, systemIdentifier: UInt64?) throws {
    self.output = output
    checksum = try RunningChecksum(.sha256)
    whole = try RunningChecksum(.sha256)
    pending.reserveCapacity(ManifestWriter.chunk + 4096)
    let version = systemIdentifier == nil ? 1 : 2
    try put("{ \"PostgreSQL-Backup-Manifest-Version\": \(version),\n")
    if let systemIdentifier { try put("\"System-Identifier\": \(systemIdentifier),\n") }
    try put("\"Files\": [")
  }

  public func add(_ file: ManifestFile) throws {
    try put(isFirst ? "\n" : ",\n")
    isFirst = false
    try put(ManifestWriter.line(for: file))
  }

  /// Ends the manifest and puts it on the disk.
  ///
  /// - Returns: the SHA-256 of the file.
  public func finish(_ walRanges: [WALRange]) throws -> Checksum {
    try put("\n],\n\"WAL-Ranges\": [\n")
    for (index, range) in walRanges.enumerated() {
      try put(
        (index == 0 ? "" : ",\n") + "{ \"Timeline\": \(range.timeline), "
          + "\"Start-LSN\": \"\(range.start)\", \"End-LSN\": \"\(range.end)\" }")
    }
    try put("\n],\n")
    try flush()
    // The checksum of everything before it is the last line.
    try put("\"Manifest-Checksum\": \"\(checksum.finish())\"}\n")
    try flush()
    try output.sync()
    return whole.finish()
  }

  private func put(_ text: String) throws {
    pending += text.utf8
    if pending.count >= ManifestWriter.chunk { try flush() }
  }

  private func flush() throws {
    pending.withUnsafeBytes {
      checksum.update($0)
      whole.update($0)
    }
    try output.writeAll(pending)
    pending.removeAll(keepingCapacity: true)
  }

  private static func line(for file: ManifestFile) -> String {
    let bytes = file.path.bytes
    var line = "{ "
    if let path = String(validating: bytes, as: UTF8.self) {
      line += "\"Path\": \(quoted(path)), "
    } else {
      line += "\"Encoded-Path\": \"\(Hexadecimal.text(bytes))\", "
    }
    line += "\"Size\": \(file.size), \"Last-Modified\": \"\(file.modified.manifestStyle)\""
    if file.checksum.algorithm != .none {
      line += ", \"Checksum-Algorithm\": \"\(file.checksum.algorithm.rawValue)\""
      line += ", \"Checksum\": \"\(file.checksum)\""
    }
    return line + " }"
  }

  /// As escape_json of src/backend/utils/adt/json.c.
  private static func quoted(_ text: String) -> String {
    var quoted = "\""
    for scalar in text.unicodeScalars {
      switch scalar {
      case "\u{8}": quoted += "\\b"
      case "\u{c}": quoted += "\\f"
      case "\n": quoted += "\\n"
      case "\r": quoted += "\\r"
      case "\t": quoted += "\\t"
      case "\"": quoted += "\\\""
      case "\\": quoted += "\\\\"
      case _ where scalar.value < 0x20:
        quoted += "\\u00" + Hexadecimal.text([UInt8(scalar.value)])
      default: quoted.unicodeScalars.append(scalar)
      }
    }
    return quoted + "\""
  }
}
