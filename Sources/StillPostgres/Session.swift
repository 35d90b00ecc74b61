import CLibPQ
import Glibc
import StillModel
import StillSystem

/// One connection to a server, used by one thread at a time: calls block that thread, so give it one
/// that may wait. Only `canceller` may be used from other threads.
///
/// Statements name everything in full (`pg_catalog.…`), and the session's own search path holds
/// nothing else, so that no object of a user is ever called with the rights of this role.
public final class Session {
  private var connection: OpaquePointer
  private var isOpen = true
  private let collected: NoticeBox
  public let canceller: Canceller
  /// Ends the statement under way when it is given; it then throws the reason.
  public var cancellation: Cancellation?
  /// `server_version_num`: 150018 is 15.18.
  public let versionNumber: Int

  /// The notices and warnings so far, in their order.
  public var notices: [ServerNotice] { collected.notices }

  /// Connects, and sets up the session.
  ///
  /// - Parameters:
  ///   - target: where to and as whom.
  ///   - limit: how long all attempts together may take. Looking up a host's name may take longer:
  ///     libpq gives no deadline to that.
  /// - Returns: the open session.
  /// - Throws: `.postgres` with the server's or libpq's own words.
  public static func open(_ target: ConnectionTarget, within limit: Duration = .seconds(15)) throws
    -> Session
  {
    let deadline = ContinuousClock.now + limit
    var first: ServerRefusal?
    for database in target.databases.isEmpty ? [nil] : target.databases.map(Optional.some) {
      do {
        var parameters = target.parameters
        parameters["dbname"] = database
        let connection = try connect(parameters, until: deadline, limit: limit)
        return try Session(connection)
      } catch let refusal as ServerRefusal {
        if first == nil { first = refusal }
        // No such database, it takes no connections, or this role may not use it.
        guard ["3D000", "55000", "42501"].contains(refusal.code) else { throw refusal.error }
      }
    }
    throw first?.error ?? StillError(.postgres, "no database to connect to is named")
  }

  private init(_ connection: OpaquePointer) throws {
    self.connection = connection
    collected = NoticeBox()
    canceller = Canceller(connection: connection)
    versionNumber = Int(PQserverVersion(connection))
    PQsetNoticeReceiver(
      connection,
      { context, result in
        guard let context, let result else { return }
        Unmanaged<NoticeBox>.fromOpaque(context).takeUnretainedValue()
          .notices.append(ServerNotice(result: result))
      }, Unmanaged.passUnretained(collected).toOpaque())
    PQsetErrorVerbosity(connection, PQERRORS_DEFAULT)
    PQsetnonblocking(connection, 1)
    try settle()
  }

  /// Where the server is, for messages: `/run/postgresql port 5432`.
  public var place: String {
    func text(_ value: UnsafeMutablePointer<CChar>?) -> String {
      value.map { String(cString: $0) } ?? ""
    }
    guard isOpen else { return "a closed connection" }
    return "\(text(PQhost(connection))) port \(text(PQport(connection)))"
  }

  /// For whoever waits for the connection's end; not for reading.
  var socket: Int32 { isOpen ? PQsocket(connection) : -1 }

  /// Why the connection has ended; nil while it stands, as far as is known here. Sends nothing: it
  /// looks at what the server sent last.
  public func loss() -> StillError? {
    guard isOpen else { return ServerRefusal(code: nil, message: "the session is closed").error }
    // A server that ends a session says why before it closes; that makes the first step, and the end
    // of the stream the second.
    _ = PQconsumeInput(connection)
    _ = PQisBusy(connection)
    guard PQconsumeInput(connection) == 0 || PQstatus(connection) == CONNECTION_BAD else {
      return nil
    }
    guard let word = notices.last(where: { ["FATAL", "PANIC"].contains($0.severity) }) else {
      return connectionLost.error
    }
    return ServerRefusal(code: word.code, message: word.message).error
  }

  deinit { close() }

  /// Ends the connection. What hangs on it ends too: a backup under way, temporary slots.
  public func close() {
    guard isOpen else { return }
    isOpen = false
    canceller.close()
    PQfinish(connection)
  }

  /// Runs one statement and waits for its answer.
  ///
  /// - Parameters:
  ///   - sql: with `$1`, `$2`… for the parameters, and everything in it named in full.
  ///   - parameters: in text form; nil for NULL.
  ///   - limit: how long it may take; it is then cancelled, and the session can be used on. A server
  ///     that does not even answer to that costs the session its connection. nil: no limit.
  ///     Where a dead host swallows packets, the request to cancel may itself take as long as TCP
  ///     tries to connect; a server on this host answers or refuses at once.
  /// - Returns: the rows; none for a statement that has none.
  /// - Throws: `.postgres` with the server's words and SQLSTATE, or when the deadline passed;
  ///   `.failed` when cancelled.
  public func query(_ sql: String, _ parameters: [String?] = [], within limit: Duration? = nil)
    throws -> Rows
  {
    do {
      return try run(sql, parameters, within: limit)
    } catch let refusal as ServerRefusal {
      throw refusal.error
    }
  }

  /// Settings that a long, quiet session needs whatever the role or the database says; those that
  /// this version does not know are left out.
  private func settle() throws {
    _ = try query(
      "SELECT pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', false)",
      within: .seconds(15))
    _ = try query(
      """
      SELECT pg_catalog.set_config(known.name, wanted.value, false)
      FROM (VALUES ('statement_timeout', '0'), ('lock_timeout', '0'),
          ('idle_session_timeout', '0'), ('idle_in_transaction_session_timeout', '0'),
          ('transaction_timeout', '0'), ('max_parallel_workers_per_gather', '0'),
          ('standard_conforming_strings', 'on'), ('DateStyle', 'ISO')
        ) AS wanted (name, value)
      JOIN pg_catalog.pg_settings AS known ON known.name OPERATOR(pg_catalog.=) wanted.name
      """, within: .seconds(15))
  }

  // MARK: Connecting

  private static func connect(
    _ given: [String: String], until deadline: ContinuousClock.Instant, limit: Duration
  ) throws -> OpaquePointer {
    var parameters = [
      "application_name": "pgstill",
      // Paths are bytes: the server must not convert them from what it believes them to be.
      "client_encoding": "SQL_ASCII",
      "keepalives": "1", "keepalives_idle": "30", "keepalives_interval": "10",
      "keepalives_count": "3",
    ]
    parameters.merge(given) { $1 }
    let connection = withCStrings(parameters.keys.map { $0 } + [nil]) { keywords in
      withCStrings(parameters.values.map { $0 } + [nil]) { values in
        PQconnectStartParams(keywords, values, 1)
      }
    }
    guard let connection else { throw StillError(.failed, "libpq has no memory") }
    do {
      // The only way to learn the SQLSTATE of a refused connection; see ServerRefusal.
      PQsetErrorVerbosity(connection, PQERRORS_VERBOSE)
      var state =
        PQstatus(connection) == CONNECTION_BAD
        ? PGRES_POLLING_FAILED : PGRES_POLLING_WRITING
      while state != PGRES_POLLING_OK {
        guard state == PGRES_POLLING_READING || state == PGRES_POLLING_WRITING else {
          throw ServerRefusal(connectionText: String(cString: PQerrorMessage(connection)))
        }
        let isReady = SocketWait.ready(
          PQsocket(connection), reading: state == PGRES_POLLING_READING,
          writing: state == PGRES_POLLING_WRITING, until: deadline)
        if !isReady {
          if deadline.isOver {
            throw ServerRefusal(code: nil, message: "no connection within \(limit)")
          }
          continue
        }
        state = PQconnectPoll(connection)
      }
      return connection
    } catch {
      PQfinish(connection)
      throw error
    }
  }

  // MARK: Running

  private func run(_ sql: String, _ parameters: [String?], within limit: Duration?) throws -> Rows {
    guard isOpen else { throw ServerRefusal(code: nil, message: "the session is closed") }
    if canceller.isCancelled { throw cancelled }
    let sent = withCStrings(parameters) { values in
      PQsendQueryParams(connection, sql, Int32(parameters.count), nil, values, nil, nil, 0)
    }
    guard sent == 1 else { throw connectionLost }
    let deadline = limit.map { ContinuousClock.now + $0 }
    var patience = Patience(deadline: deadline)

    try send(&patience)
    var answer: Rows?
    var refusal: ServerRefusal?
    while let result = try receive(&patience) {
      defer { PQclear(result) }
      switch PQresultStatus(result) {
      case PGRES_TUPLES_OK, PGRES_COMMAND_OK, PGRES_EMPTY_QUERY:
        answer = Session.rows(result)
      case PGRES_COPY_IN, PGRES_COPY_OUT, PGRES_COPY_BOTH:
        // Such an answer never ends by itself, and no statement of ours asks for it.
        close()
        throw ServerRefusal(code: nil, message: "the statement would copy: \(shown(sql))")
      default:
        if refusal == nil {
          let found = ServerRefusal(result: result, fallback: lastMessage)
          // What libpq says itself, when the connection broke, has no SQLSTATE.
          let isLost = found.code == nil && PQstatus(connection) == CONNECTION_BAD
          refusal = isLost ? connectionLost : found
        }
      }
    }
    if let refusal {
      if refusal.code == "57014" {
        if canceller.isCancelled { throw cancelled }
        try cancellation?.checkpoint()
        if patience.isInterrupted, let limit {
          throw StillError(.postgres, "the server did not finish within \(limit): \(shown(sql))")
        }
      }
      throw refusal
    }
    guard let answer else { throw connectionLost }
    return answer
  }

  /// How long an answer is still waited for.
  private struct Patience {
    var deadline: ContinuousClock.Instant?
    /// The query was asked to end, by the deadline or by the canceller.
    var isInterrupted = false
  }

  /// How long a server may take to end a query that was cancelled, before it counts as lost.
  private static let grace = Duration.seconds(10)

  private func send(_ patience: inout Patience) throws {
    while true {
      switch PQflush(connection) {
      case 0: return
      case 1: try wait(&patience, writing: true)
      default: throw connectionLost
      }
    }
  }

  /// The next result, nil after the last.
  private func receive(_ patience: inout Patience) throws -> OpaquePointer? {
    while PQisBusy(connection) != 0 { try wait(&patience, writing: false) }
    return PQgetResult(connection)
  }

  /// Waits one turn for the server and takes in what it sent. Past the deadline, and when somebody
  /// else cancelled, the query is asked to end; the answer to that is still waited for, because an
  /// answer that is not read would be taken for the next statement's.
  private func wait(_ patience: inout Patience, writing: Bool) throws {
    let isReady = SocketWait.ready(
      PQsocket(connection), reading: true, writing: writing, until: patience.deadline)
    if isReady {
      // A broken connection makes this fail, and PQgetResult then says so in a result of its own.
      if PQconsumeInput(connection) == 0, PQisBusy(connection) != 0 { throw connectionLost }
    }
    if patience.isInterrupted {
      if let deadline = patience.deadline, deadline.isOver {
        close()
        throw ServerRefusal(
          code: nil, message: "the server did not answer, not even to a cancel; connection given up"
        )
      }
      return
    }
    if canceller.isCancelled || cancellation?.isCancelled == true {
      patience.isInterrupted = true
      // Once more: the first request may have come before the query did.
      canceller.interrupt()
    } else if let deadline = patience.deadline, deadline.isOver {
      patience.isInterrupted = true
      canceller.interrupt()
    }
    if patience.isInterrupted { patience.deadline = .now + Session.grace }
  }

  private static func rows(_ result: OpaquePointer) -> Rows {
    let count = Int(PQntuples(result))
    let width = PQnfields(result)
    let columns = (0..<width).map { PQfname(result, $0).map { String(cString: $0) } ?? "" }
    var values: [[UInt8]?] = []
    values.reserveCapacity(count * Int(width))
    for row in 0..<Int32(count) {
      for column in 0..<width {
        guard PQgetisnull(result, row, column) == 0, let start = PQgetvalue(result, row, column)
        else {
          values.append(nil)
          continue
        }
        let length = Int(PQgetlength(result, row, column))
        values.append(Array(UnsafeRawBufferPointer(start: start, count: length)))
      }
    }
    return Rows(columns: columns, values: values, count: count)
  }

  private var lastMessage: String {
    let lines = String(cString: PQerrorMessage(connection)).split(whereSeparator: \.isNewline)
      .map { $0.drop(while: \.isWhitespace) }
    return lines.isEmpty ? "the server gave no reason" : lines.joined(separator: "; ")
  }

  private var connectionLost: ServerRefusal {
    ServerRefusal(
      code: nil, message: "the connection to the server was lost: \(lastMessage)",
      hint: "The server was stopped or crashed, or the network failed; its log says which.")
  }

  private var cancelled: StillError { StillError(.failed, "the query was cancelled") }

  private func shown(_ sql: String) -> String {
    let line = sql.split(whereSeparator: \.isWhitespace).joined(separator: " ")
    return line.utf8.count <= 80 ? line : String(line.prefix(77)) + "..."
  }
}

/// Where libpq's callback puts notices: it runs inside the calls of the session's own thread.
private final class NoticeBox {
  var notices: [ServerNotice] = []
}

/// Calls `body` with C strings that live as long as it runs; nil stays nil.
func withCStrings<Result>(
  _ strings: [String?], _ body: (UnsafePointer<UnsafePointer<CChar>?>) -> Result
) -> Result {
  let copies = strings.map { string in string.flatMap { strdup($0) } }
  defer { for copy in copies { free(copy) } }
  let pointers = copies.map { copy in copy.map { UnsafePointer($0) } }
  return pointers.withUnsafeBufferPointer { buffer in
    guard let base = buffer.baseAddress else {
      var none: UnsafePointer<CChar>?
      return withUnsafePointer(to: &none) { body($0) }
    }
    return body(base)
  }
}
