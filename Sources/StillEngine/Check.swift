import StillModel
import StillPostgres
import StillSystem
import StillVolumes
import SystemPackage

/// What a backup would do and whether it can, question by question.
public struct CheckReport: Hashable, Sendable, Codable {
  public struct Item: Hashable, Sendable, Codable {
    public var name: String
    public var isGood: Bool
    public var detail: String
    public var hint: String?
    public var status: ExitStatus
  }

  public var items: [Item]
  /// The plan, if everything holds that it needs.
  public var plan: BackupPlan?

  /// That of the first item which does not hold.
  public var status: ExitStatus { items.first { !$0.isGood }?.status ?? .done }
}

/// Asks everything that a backup depends on, and changes nothing. An answer that is no ends neither
/// the questions nor the program.
public func check(
  _ request: BackupRequest, with provider: some SnapshotProvider,
  discovery: LayoutDiscovery? = nil
) -> CheckReport {
  var questions = Questions()
  let cluster = questions.ask("server") {
    let cluster = try LiveCluster.discover(request.dataDirectory, discovery ?? .current())
    return (cluster, "PostgreSQL \(cluster.facts.versionText) at \(cluster.session.place)")
  }
  if let cluster {
    questions.note("role", "\(cluster.facts.role.name) may run CHECKPOINT and read settings")
    for fileSystem in cluster.layout.fileSystems {
      let place = "\(fileSystem.mountPoint) (\(fileSystem.kind)) is on "
      questions.note(
        "volume",
        place
          + (fileSystem.volume?.description
            ?? "\(fileSystem.source), which cannot be frozen: \(fileSystem.obstacle ?? "?")"))
    }
  }
  questions.ask("repository") {
    let exists = (try? OpenFolder.open(request.repository)) != nil
    let path = exists ? request.repository : request.repository.removingLastComponent()
    let folder = try Repository.open(path).requireWritable()
    let room = ByteCount.text(try folder.availableBytes())
    return ((), "\(request.repository), \(room) free" + (exists ? "" : "; it will be made"))
  }
  var plan: BackupPlan?
  if let cluster {
    plan = questions.ask("mode") {
      let plan = try BackupPlan.make(for: request, of: cluster, with: provider)
      return (plan, "\(plan.consistency.rawValue), because \(plan.reason)")
    }
    if let stopping = plan?.stopping { questions.note("downtime", stopping.sentence) }
    if let plan, !plan.volumes.isEmpty {
      questions.note("snapshots", plan.snapshotSentence)
      let earlier = try? Repository.open(request.repository).cluster(plan.cluster)
      if let need = plan.needSentence(FillHistory(of: earlier)) { questions.note("need", need) }
    }
  }
  return CheckReport(
    items: questions.items, plan: questions.items.allSatisfy(\.isGood) ? plan : nil)
}

private struct Questions {
  var items: [CheckReport.Item] = []

  @discardableResult
  mutating func ask<Answer>(_ name: String, _ body: () throws -> (Answer, String)) -> Answer? {
    do {
      let (answer, detail) = try body()
      note(name, detail)
      return answer
    } catch {
      let failure = (error as? StillError ?? StillError(.failed, "\(error)")).during(
        "checking", as: .precondition)
      items.append(
        .init(
          name: name, isGood: false, detail: failure.message, hint: failure.hint,
          status: failure.status))
      return nil
    }
  }

  mutating func note(_ name: String, _ detail: String) {
    items.append(.init(name: name, isGood: true, detail: detail, hint: nil, status: .done))
  }
}

extension BackupPlan {
  /// `vg0: 0.4 GiB of 2.1 GiB free; vg1: …`
  public var snapshotSentence: String {
    Dictionary(grouping: volumes, by: \.origin.group).sorted { $0.key < $1.key }.map {
      group, members in
      let needed = members.reduce(0) { $0 + $1.snapshotSize }
      return "\(group): snapshots take \(ByteCount.text(needed)) of "
        + "\(ByteCount.text(members.map(\.groupFree).min() ?? 0)) free"
    }.joined(separator: "; ")
  }
}

extension BackupPlan {
  /// `tonight needs about 6.1 GiB on vg0 (95 %), 12.0 GiB are free`; nil where too few backups have left
  /// their fill history, or the volumes are thin, whose snapshots take what is in their pool.
  func needSentence(_ history: FillHistory) -> String? {
    let needs = volumes.filter { $0.snapshotSize > 0 }.map {
      (volume: $0, need: NightlyNeed(history.peaks(of: $0.origin)))
    }
    guard !needs.isEmpty, needs.allSatisfy({ $0.need != nil }) else { return nil }
    let groups = Dictionary(grouping: needs, by: \.volume.origin.group).sorted { $0.key < $1.key }
    return groups.map { group, members in
      let likely = members.reduce(UInt64(0)) { sum, member in
        // What nights that were nothing alike say is without bounds.
        let (more, isTooMuch) = sum.addingReportingOverflow(member.need?.likely ?? 0)
        return isTooMuch ? .max : more
      }
      let free = members.map(\.volume.groupFree).min() ?? 0
      return "tonight needs about \(ByteCount.text(likely)) on \(group) (95 %), "
        + "\(ByteCount.text(free)) are free" + (likely > free ? ", which is too little" : "")
    }.joined(separator: "; ")
  }
}

extension Repository {
  /// - Throws: `.precondition` where this process may not write here.
  func requireWritable() throws -> OpenFolder {
    let probe = FilePath(".writable-\(Environment.processID)")
    do {
      try folder.makeFolder(probe, permissions: 0o700)
      try folder.removeTree(probe)
      return folder
    } catch {
      throw Repository.notWritable(folder.path, error)
    }
  }
}
