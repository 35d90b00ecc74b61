import StillModel
import StillSystem
import SystemPackage

extension BackupManifest {
  /// Writes the manifest to `output`, byte for byte as the server does, and puts it on the disk.
  public func write(to output: OpenFile) throws {
    let writer = try ManifestWriter(output)
    try writer.put("{ \"PostgreSQL-Backup-Manifest-Version\": \(version),\n")
    if let systemIdentifier { try writer.put("\"System-Identifier\": \(systemIdentifier),\n") }
    try writer.put("\"Files\": [")
    for (index, file) in files.enumerated() {
      try writer.put(index == 0 ? "\n" : ",\n")
      try writer.put(BackupManifest.line(for: file))
    }
    try writer.put("\n],\n\"WAL-Ranges\": [\n")
    for (index, range) in walRanges.enumerated() {
      try writer.put(
        (index == 0 ? "" : ",\n") + "{ \"Timeline\": \(range.timeline), "
          + "\"Start-LSN\": \"\(range.start)\", \"End-LSN\": \"\(range.end)\" }")
    }
    try writer.put("\n],\n")
    try writer.finish()
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

/// Collects small pieces into large writes, and their checksum, which is the manifest's last line.
private final class ManifestWriter {
  private let output: OpenFile
  private let checksum: RunningChecksum
  private var pending: [UInt8] = []
  private static let chunk = 256 << 10

  init(_ output: OpenFile) throws {
    self.output = output
    checksum = try RunningChecksum(.sha256)
    pending.reserveCapacity(ManifestWriter.chunk + 4096)
  }

  func put(_ text: String) throws {
    pending += text.utf8
    if pending.count >= ManifestWriter.chunk { try flush() }
  }

  func finish() throws {
    try flush()
    try put("\"Manifest-Checksum\": \"\(checksum.finish())\"}\n")
    try output.writeAll(pending)
    try output.sync()
  }

  private func flush() throws {
    pending.withUnsafeBytes { checksum.update($0) }
    try output.writeAll(pending)
    pending.removeAll(keepingCapacity: true)
  }
}
