import CLibPQ
import StillModel

/// A NOTICE or WARNING of the server.
public struct ServerNotice: Hashable, Sendable {
  /// `WARNING`, `NOTICE`…, never translated.
  public var severity: String
  public var code: String
  public var message: String
}

/// An ERROR of the server, or of the connection to it, before it becomes a `StillError`.
struct ServerRefusal: Error {
  /// SQLSTATE (the manual, "PostgreSQL Error Codes"); nil where the failure is the connection's.
  var code: String?
  var message: String
  var hint: String?

  init(code: String?, message: String, hint: String? = nil) {
    self.code = code
    self.message = message
    self.hint = hint
  }

  /// What a failed statement says; `fallback` where the result says nothing, as when the connection
  /// broke.
  init(result: OpaquePointer, fallback: String) {
    code = field(result, sqlStateField)
    message = field(result, primaryField) ?? fallback
    if let detail = field(result, detailField) { message += " (\(detail))" }
    hint = field(result, hintField)
  }

  /// What libpq says of a connection that did not come about. Before version 17 it tells the SQLSTATE
  /// in the text only, and only when asked to be verbose.
  init(connectionText text: String) {
    var lines = text.split(whereSeparator: \.isNewline).map { String($0.drop { $0 == "\t" }) }
    // Verbose: "FATAL:  3D000: database "x" does not exist", then "LOCATION:  function, file:line".
    if let index = lines.firstIndex(where: { ServerRefusal.code(in: $0) != nil }) {
      code = ServerRefusal.code(in: lines[index])
      if let code {
        lines[index] = lines[index].replacing(":  \(code): ", with: ": ", maxReplacements: 1)
      }
      lines.removeAll { $0.hasSuffix(".c") || ServerRefusal.endsWithSourceLine($0) }
    }
    message = lines.joined(separator: "; ")
    if message.isEmpty { message = "the connection failed" }
  }

  private static func code(in line: String) -> String? {
    guard let match = line.firstMatch(of: #/:  ([0-9A-Z]{5}): /#) else { return nil }
    return String(match.1)
  }

  private static func endsWithSourceLine(_ line: String) -> Bool {
    line.firstMatch(of: #/\.c:[0-9]+$/#) != nil
  }

  var error: StillError {
    StillError(
      .postgres, code.map { "\(message) (SQLSTATE \($0))" } ?? message,
      hint: hint ?? ServerRefusal.remedy(code))
  }

  private static func remedy(_ code: String?) -> String? {
    switch code {
    case "28000", "28P01":
      "Run pgstill as the cluster's owner, or name a role with PGUSER that pg_hba.conf lets in."
    case "42501": "Connect as a superuser, or grant the role what is missing."
    case "53300": "Every connection is taken; free one, or raise max_connections."
    case "57P03": "The server is starting, stopping or recovering; try again when it is ready."
    case "57P01", "57P02": "The server was stopped meanwhile; its log says why."
    case "08006", "08001", "08003", nil:
      "See whether the server runs and accepts connections there; PGHOST and PGPORT say where else."
    default: nil
    }
  }
}

// PG_DIAG_… of libpq's postgres_ext.h: characters, which Swift imports as their numbers.
private let sqlStateField = Int32(UInt8(ascii: "C"))
private let primaryField = Int32(UInt8(ascii: "M"))
private let detailField = Int32(UInt8(ascii: "D"))
private let hintField = Int32(UInt8(ascii: "H"))
private let severityField = Int32(UInt8(ascii: "V"))

private func field(_ result: OpaquePointer, _ field: Int32) -> String? {
  PQresultErrorField(result, field).map { String(cString: $0) }
}

extension ServerNotice {
  init(result: OpaquePointer) {
    severity = field(result, severityField) ?? "NOTICE"
    code = field(result, sqlStateField) ?? ""
    message = field(result, primaryField) ?? ""
  }
}
