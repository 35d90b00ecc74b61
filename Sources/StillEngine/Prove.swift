import StillModel
import StillPostgres
import StillSystem
import SystemPackage

/// What the caller wants of a proof.
public struct ProofRequest: Sendable {
  /// The folder in which the backup is restored, in one of its own; absolute.
  public var scratch: FilePath
  /// The folder of PostgreSQL's programs; nil looks for them.
  public var programs: FilePath?
  /// A superuser's name; nil tries the usual ones.
  public var role: String?
  /// Threads that restore, and connections that check.
  public var workers: Int

  public init(scratch: FilePath, workers: Int) {
    self.scratch = scratch
    self.workers = workers
  }
}

/// Proves a backup: locate ─▶ restore to a scratch place ─▶ start, ask, check ─▶ stop and remove. What
/// came of it is written into its record.
///
/// - Returns: what was asked, and what is wrong: a server that does not start is a finding.
/// - Throws: `.precondition` where it cannot be tried here: no programs of that version, no room, a
///   library that is missing, a link that leads a server elsewhere; `.copying` where the backup cannot even be restored.
public func prove(
  _ backup: BackupFolder, _ request: ProofRequest, _ observer: any Observer,
  _ cancellation: Cancellation
) throws -> BackupRecord.Proof {
  let (at, watch) = (Clock.now(), Stopwatch())
  let record = try phase(Phase.locate.doing, failsAs: .copying) { try backup.record() }
  let programs = try ServerPrograms.find(
    major: record.server.version / 10000, in: request.programs)
  let answers = try withScratchPlace(in: request.scratch, for: record.id, observer) { place in
    try place.requireRoom(record)
    let plan = place.restoreRequest(record, request.workers)
    let restored = try restore(plan, of: backup, observer, cancellation)
    try place.requireClosed(restored)
    let run = Run(observer, cancellation)
    return try run.phase(
      .prove, "PostgreSQL \(programs.version) in \(place.path)", failsAs: .postgres
    ) {
      try Interrogation(record, programs, place, request, run).answers(restored.plan)
    }
  }
  let proof = BackupRecord.Proof(
    at: at, seconds: watch.seconds, postgres: programs.version, checks: answers.good,
    problems: answers.bad)
  do { try backup.note(proof) } catch {
    // Hours of work, whatever becomes of the record: a repository may be mounted read-only.
    observer.noticed("the proof is not in the backup's record: \(error)")
  }
  return proof
}

/// Asks a server on the restored backup, and keeps what it answers.
private final class Interrogation {
  private let record: BackupRecord
  private let programs: ServerPrograms
  private let place: ScratchPlace
  private let request: ProofRequest
  private let run: Run
  private var good: [String] = []
  private var bad: [String] = []
  private var server: ScratchServer?

  init(
    _ record: BackupRecord, _ programs: ServerPrograms, _ place: ScratchPlace,
    _ request: ProofRequest, _ run: Run
  ) {
    self.record = record
    self.programs = programs
    self.place = place
    self.request = request
    self.run = run
  }

  func answers(_ plan: RestorePlan) throws -> (good: [String], bad: [String]) {
    let server = try ScratchServer(
      programs, on: place.dataDirectory, in: place.serverFolder,
      configuration: place.configurationFile(record), roles: roles,
      workers: request.workers, notice: { run.observer.noticed($0) })
    self.server = server
    // Also when it is to be stopped: whoever waits for it waits for the folder to go.
    defer { server.end() }
    let watch = Stopwatch()
    let cancellation = run.cancellation
    try finding {
      try server.waitUntilReady(cancellation)
      return "started and recovered in \(Figures.duration(watch.seconds))"
    }
    guard bad.isEmpty else { return (good, bad) }
    TestHooks.reached("prove.up")
    try finding { try self.askHowFar(server) }
    try finding { try self.askDatabases(server) }
    if programs.major >= 14 {
      try findings("pg_amcheck found no fault in any table or btree index") {
        try server.checkRelations(cancellation)
      }
    }
    var isStopped = false
    try finding {
      try server.stop(cancellation)
      isStopped = true
      return "stopped in order"
    }
    if record.server.hasDataChecksums, isStopped {
      try findings("every page has its checksum") { try server.checkPages(cancellation) }
    }
    return (good, bad)
  }

  private var roles: [String] {
    var names: [String] = []
    for name in [
      request.role, Account.of(user: Account.effectiveUser)?.name, "postgres",
    ] {
      if let name, !names.contains(name) { names.append(name) }
    }
    return names
  }

  /// Recovery has to have come as far as the backup promises: in a copy as a power cut would have
  /// left it, a server takes the end of the WAL that it finds for the end of all WAL.
  private func askHowFar(_ server: ScratchServer) throws -> String {
    let session = try server.session("template1")
    defer { session.close() }
    try session.requireServing(DataDirectory.open(place.dataDirectory))
    let reached = try session.flushLSN()
    let promised = record.online?.stop ?? record.wal.lsnBeforeFreeze ?? record.wal.checkpoint
    guard try !session.isInRecovery(), reached >= promised else {
      throw StillError(
        .postgres, "the server recovered to \(reached) only, but the backup promises \(promised)")
    }
    return "recovered to \(reached), past \(promised)"
  }

  /// - Returns: nothing but what each database has said already.
  private func askDatabases(_ server: ScratchServer) throws -> String? {
    let session = try server.session("template1")
    let names = try session.query(
      """
      SELECT datname AS name FROM pg_catalog.pg_database
        WHERE datallowconn AND datconnlimit <> -2 ORDER BY 1
      """
    ).map { try $0.string("name") }
    session.close()
    for name in names {
      try run.cancellation.checkpoint()
      try finding {
        let session = try server.session(name)
        defer { session.close() }
        let row = try session.query(
          """
          SELECT pg_catalog.count(*) AS relations,
            pg_catalog.count(*) FILTER (WHERE relkind IN ('r', 'm')) AS tables
            FROM pg_catalog.pg_class
          """
        ).single()
        if programs.major >= 14 { try session.prepareAmcheck() }
        return "database \(name) answers, with \(try row.number("tables", as: Int.self)) tables"
      }
    }
    return nil
  }

  /// Does something that says in a few words what was good, or fails.
  private func finding(_ body: () throws -> String?) throws {
    do {
      if let words = try body() { good.append(words) }
    } catch let failure as StillError {
      try run.cancellation.checkpoint()
      // It could not be tried, which says nothing about the backup.
      if failure.status == .precondition { throw failure }
      try noteProblems([failure.message] + failure.further)
    }
  }

  /// - Throws: `.precondition` where it is this host that has the problem.
  private func noteProblems(_ lines: [String]) throws {
    if let trouble = server?.hostTrouble(lines) { throw trouble }
    bad += lines
  }

  /// Does something that answers with what is wrong.
  private func findings(_ wherever: String, _ body: () throws -> [String]) throws {
    try finding {
      let found = try body()
      guard found.isEmpty else {
        try noteProblems(found)
        throw StillError(.postgres, "\(found.count) faults in all")
      }
      return wherever
    }
  }
}

extension BackupFolder {
  /// Writes a proof into the record.
  fileprivate func note(_ proof: BackupRecord.Proof) throws {
    var record = try record()
    record.proof = proof
    try RecordFile.replace(record, in: folder)
  }
}
