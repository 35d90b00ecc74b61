import StillModel
import StillPostgres
import StillSystem

/// A server in backup mode, its log held back by a slot where there can be one, and both sessions
/// watched while files are copied.
final class OnlineBackup {
  let mode: BackupMode
  /// Nil where the server has no slot to give; then the log is checked all the same.
  let reservation: WALReservation?
  private let modeWatch: SessionWatch
  private let reservationWatch: SessionWatch?
  /// What has ended cannot be lost: a later failure is another one.
  private var hasModeEnded = false
  private var hasReservationEnded = false

  fileprivate init(
    _ mode: BackupMode, _ reservation: WALReservation?, _ cancellation: Cancellation
  ) throws {
    self.mode = mode
    self.reservation = reservation
    modeWatch = try OnlineBackup.watch(
      mode.session, "keeps the server in backup mode", cancellation)
    reservationWatch = try reservation.map {
      try OnlineBackup.watch($0.session, "keeps WAL from recycling", cancellation)
    }
  }

  private static func watch(
    _ session: Session, _ purpose: String, _ cancellation: Cancellation
  ) throws -> SessionWatch {
    try SessionWatch([session]) { _ in
      cancellation.cancel(StillError(.postgres, "the session that \(purpose) was lost"))
    }
  }

  /// Ends backup mode: everything of the server's files was copied.
  func end() throws -> BackupMode.Ending {
    modeWatch.end()
    let ending = try mode.end()
    hasModeEnded = true
    return ending
  }

  /// Says what became of the slot, once the log was copied. That proves itself, segment by segment;
  /// so a slot that was lost on the way is worth a word, and no failure.
  func endReservation(_ cluster: LiveCluster, _ observer: any Observer) throws {
    guard let reservation else { return }
    reservationWatch?.end()
    switch try reservation.state(asking: cluster.session) {
    case .held: break
    case .gone: observer.noticed("the replication slot \(reservation.name) was dropped meanwhile")
    case .given(let status):
      observer.noticed(
        "the server gave up the WAL of slot \(reservation.name) (\(status)), just not too early; "
          + "raise max_slot_wal_keep_size")
    }
    reservation.end()
    hasReservationEnded = true
  }

  /// The failure of a copy, told by its cause where that is a lost session, or a tablespace that is
  /// no longer there.
  fileprivate func explanation(of failure: any Error, _ cluster: LiveCluster) -> any Error {
    guard let told = failure as? StillError, told.signal == nil else { return failure }
    let doing = told.phase ?? Phase.copy.doing
    let lost = hasModeEnded ? nil : mode.lossOfMode()
    if let loss = lost ?? (hasReservationEnded ? nil : reservation.flatMap(OnlineBackup.loss)) {
      return loss.during(doing, as: .postgres)
    }
    guard told.status == .copying else { return failure }
    do {
      try requireSameCatalog(cluster)
    } catch let change as StillError where change.status == .copying {
      return change.during(doing, as: .copying)
    } catch {}
    return failure
  }

  private static func loss(of reservation: WALReservation) -> StillError? {
    guard let loss = reservation.session.loss() else { return nil }
    return StillError(
      .postgres,
      "the session that kept WAL from recycling was lost, and its slot with it: \(loss.message)",
      hint:
        "Nothing was published; run again. The server ends it when the WAL that it holds exceeds "
        + "max_slot_wal_keep_size; its log says so.")
  }

  fileprivate func close() {
    modeWatch.end()
    reservationWatch?.end()
    mode.session.close()
    reservation?.end()
  }
}

/// Puts the server into backup mode, lets `body` copy its files, and leaves nothing behind in the
/// server, whatever happens: the mode and the slot end with their sessions.
func withBackupMode<Result>(
  _ plan: BackupPlan, of cluster: LiveCluster, _ run: Run, _ body: (OnlineBackup) throws -> Result
) throws -> Result {
  let online = try run.phase(.begin, failsAs: .postgres) {
    // First the log, then the position that it is needed from.
    let reservation = try reserve(plan, cluster, run)
    let session = try cluster.newSession()
    session.cancellation = run.cancellation
    let mode = try BackupMode.begin(in: session, label: "pgstill \(plan.id)")
    return try OnlineBackup(mode, reservation, run.cancellation)
  }
  defer { online.close() }
  do { return try body(online) } catch { throw online.explanation(of: error, cluster) }
}

/// Takes a slot; nil where there is none to be had, which may go well.
private func reserve(
  _ plan: BackupPlan, _ cluster: LiveCluster, _ run: Run
) throws -> WALReservation? {
  let session = try cluster.newSession()
  session.cancellation = run.cancellation
  do {
    return try WALReservation.take(WALReservation.name(for: plan.id), in: session)
  } catch let failure as StillError where failure.signal == nil && session.loss() == nil {
    run.observer.noticed(
      "no replication slot keeps the WAL of this backup from recycling: \(failure.message)"
        + (failure.hint.map { ". \($0)" } ?? ""))
    return nil
  }
}
