import StillModel
import StillSystem
import StillTransfer
import SystemPackage

/// The passes of one migration over all its places.
///
/// By induction every file of the target is what the source's was at some moment of the last pass, or
/// is one that the next pass compares: the first pass copies into an empty target, or compares
/// everything; each later one compares, by content, what can have changed since the one before it
/// began, and copies what is new.
final class Transfers {
  private let plan: MigrationPlan
  private let rsync: Rsync
  private let files: any TargetFiles
  private let keepsNanoseconds: Bool
  private let rateLimit: UInt64?
  private let margin: FileSurvey.Margin?
  private var surveys: [String: FileSurvey] = [:]
  /// Whether the target may hold what no pass has vouched for.
  private var isUnfinished: Bool
  private(set) var passes: [MigrationReport.Pass] = []

  /// - Parameter margin: nil for what the source of each pass asks for.
  init(
    _ plan: MigrationPlan, _ rsync: Rsync, to files: any TargetFiles, keepsNanoseconds: Bool = true,
    rateLimit: UInt64?,
    margin: FileSurvey.Margin? = nil
  ) {
    self.files = files
    self.margin = margin
    self.keepsNanoseconds = keepsNanoseconds
    self.plan = plan
    isUnfinished = plan.isResumed
    self.rsync = rsync
    self.rateLimit = rateLimit
  }

  /// Goes through everything once.
  ///
  /// - Parameter isFull: everything is compared by its content.
  @discardableResult
  func pass(
    over source: PassSource, isFull: Bool = false, _ run: Run
  ) throws -> MigrationReport.Pass {
    let watch = Stopwatch()
    var pass = MigrationReport.Pass(
      number: passes.count + 1, source: source.name, seconds: 0, files: 0, compared: 0, sent: 0,
      bytes: 0, removed: 0)
    let isFirst = passes.isEmpty
    // Until it is through, for the pass after one that failed.
    let comparesEverything = isFull || (isFirst && isUnfinished)
    isUnfinished = true
    var looks: [(place: MigrationPlan.Place, source: OpenFolder, survey: FileSurvey)] = []
    for place in plan.places {
      let folder = try source.folder(place)
      let survey = try FileSurvey(
        folder, excluding: place.excludedPaths, since: surveys[place.source],
        proof: source.proof(place), moment: source.moment,
        margin: margin ?? source.margin(place), clockOffset: source.clockOffset,
        isLive: source.isLive,
        refusesLink: place.kind.refuses(linkAt:), run.cancellation)
      looks.append((place, folder, survey))
    }
    let bytes = looks.reduce(0) { $0 + $1.survey.bytes }
    if isFirst || comparesEverything { run.observer.expects(bytes: bytes) }
    for (place, folder, survey) in looks {
      pass.files += survey.files
      if comparesEverything {
        pass.compared += survey.files
        try transfer(.compareEverything, place, folder, source, run, &pass)
      } else {
        if !isFirst, !survey.changed.isEmpty {
          pass.compared += UInt64(survey.changed.count)
          try transfer(.compare(survey.changed), place, folder, source, run, &pass)
        }
        try transfer(.update, place, folder, source, run, &pass)
      }
      surveys[place.source] = survey
    }
    isUnfinished = false
    pass.seconds = watch.seconds
    passes.append(pass)
    return pass
  }

  /// Compares everything by its content, of the stopped source with a target that may be written to again,
  /// and changes nothing.
  ///
  /// What the new server has written since has another time of modification: what has the same one and
  /// another content was not right when it was started, or was damaged since.
  func check(_ run: Run) throws -> MigrationReport.Check {
    var check = MigrationReport.Check(files: 0, unlike: [])
    for place in plan.places {
      let folder = try OpenFolder.open(FilePath(place.source))
      func audit(_ paths: [FilePath]?) throws -> RsyncReport {
        try rsync.run(
          // What the new server removes meanwhile may vanish.
          order(.audit(only: paths), place, mayVanish: true), from: folder,
          to: files.rsyncName(of: place.target), run.cancellation)
      }
      let all = try audit(nil)
      check.files += all.entries
      guard !all.unlike.isEmpty else { continue }
      // One that was being written to just then has another time by now.
      check.unlike += try audit(all.unlike).unlike.map { "\(place.target)/\($0)" }
    }
    return check
  }

  private func order(
    _ kind: RsyncOrder.Kind, _ place: MigrationPlan.Place, mayVanish: Bool,
    rateLimit: UInt64? = nil
  ) -> RsyncOrder {
    RsyncOrder(
      kind, excluded: place.excluded.map { "/" + RsyncOrder.literal($0) }, isLive: mayVanish,
      remoteShell: files.remoteShell, syncsEachFile: files.syncsEachFile,
      keepsNanoseconds: keepsNanoseconds, rateLimit: rateLimit)
  }

  private func transfer(
    _ kind: RsyncOrder.Kind, _ place: MigrationPlan.Place, _ folder: OpenFolder,
    _ source: PassSource, _ run: Run, _ pass: inout MigrationReport.Pass
  ) throws {
    let observer = run.observer
    let report = try rsync.run(
      order(
        kind, place, mayVanish: source.isLive, rateLimit: source.isFinal ? nil : rateLimit),
      from: folder, to: files.rsyncName(of: place.target),
      run.cancellation
    ) {
      observer.advanced(bytes: $0)
    }
    pass.sent += report.files
    pass.bytes += report.bytes
    pass.removed += report.removed
  }
}

extension MigrationPlan.Place {
  var excludedPaths: Set<FilePath> { Set(excluded.map { FilePath($0) }) }
}

extension MigrationPlan {
  /// As long as it is missing, no server starts on a target that is incomplete.
  static let controlFile: FilePath = "global/pg_control"
}
