import StillModel

/// What a probe of half an hour and a backup of a quarter of one look like, on three volumes.
enum Samples {
  static let volumes = ["vg0/data", "vg0/wal", "vg1/tbs"]
  static let mebibyte: UInt64 = 1 << 20
  static let gibibyte: UInt64 = 1 << 30

  static func name(_ text: String) -> VolumeName {
    VolumeName(text) ?? VolumeName(group: "vg0", volume: text)
  }

  static let id = RunID(at: CalendarTime(secondsSince1970: 1_795_226_400), salt: 0x1a2b3c)

  /// - Parameter hostile: markup where names and paths stand.
  static func plan(copyTime: Double, hostile: String = "") -> ProbePlan {
    let fileSystems = volumes.enumerated().map { index, volume in
      MountedFileSystem(
        device: DeviceNumber(major: 253, minor: UInt32(index)), kind: "ext4",
        source: "/dev/\(volume)", mountPoint: "/srv/\(name(volume).volume)\(hostile)",
        volume: name(volume), obstacle: nil)
    }
    func location(_ index: Int) -> Location {
      let path = fileSystems[index].mountPoint
      return Location(path: path, fileSystem: fileSystems[index], innerPath: "/")
    }
    let layout = ClusterLayout(
      dataDirectory: location(0), wal: location(1), walIsLinked: true,
      tablespaces: [Tablespace(oid: 16402, target: "/srv/tbs", location: location(2))], grafts: [])
    return ProbePlan(
      id: id, dataDirectory: "/var/lib/postgresql/15/main\(hostile)", layout: layout,
      volumes: fileSystems.map {
        BackupPlan.Volume(
          origin: $0.volume ?? name("x"), size: 200 * gibibyte, snapshotSize: 40 * gibibyte,
          sizeReason: "20% of the origin", groupFree: 64 * gibibyte, fileSystem: $0)
      },
      unfrozen: [], advice: [], duration: 1800, interval: 1,
      copyTime: .init(seconds: copyTime, reason: "the longest of the last 7 backups\(hostile)"),
      safety: 2,
      pace: ServerPace(
        checkpointSeconds: 300, completionTarget: 0.9, mostWAL: gibibyte, keptWAL: 0,
        segmentSize: 16 * mebibyte, segments: gibibyte, spare: 512 * mebibyte))
  }

  /// A look each second: the data levels off, the WAL is written over, the tablespace is appended to.
  static func samples(until end: Int = 1800) -> [ProbeSample] {
    let checkpoints: Set<Int> = [225, 450, 900, 1800]
    return (0...end).map { second in
      let t = Double(second)
      // Between checkpoints little reaches the disk, and at each of them the rest.
      let flushed = checkpoints.filter { $0 <= second }.max() ?? 0
      let seen = Double(flushed) + (t - Double(flushed)) * 0.35
      let data = 2.1e9 * (seen / (seen + 700))
      let wal = min(0.9e6 * t, 1.05e9)
      let table = 2.4e5 * seen + 4e6
      return ProbeSample(
        seconds: t, wal: UInt64(0.9e6 * t),
        used: [UInt64(max(data, 16384)), UInt64(wal) + 16384, UInt64(table)],
        written: [UInt64(data * 3.4), UInt64(wal * 1.1), UInt64(table * 1.02)],
        flushedFrom: checkpoints.contains(second) ? t : nil)
    }
  }

  static func facts() -> [VolumeFacts] {
    volumes.map {
      VolumeFacts(
        name: name($0), size: 200 * gibibyte, groupFree: 64 * gibibyte, extentSize: 4 * mebibyte,
        obstacle: nil)
    }
  }

  static func chunks() -> [OverwrittenChunks?] {
    volumes.indices.map { volume in
      OverwrittenChunks(
        chunkSize: 4096, numbers: (0..<40_000).map { UInt64($0) * UInt64(volume + 2) * 3 })
    }
  }

  static func report(
    copyTime: Double = 760, until end: Int = 1800, ending: ProbeReport.Ending = .complete,
    filled: [VolumeName: UInt64] = [:], hostile: String = ""
  ) -> ProbeReport {
    let plan = plan(copyTime: copyTime, hostile: hostile)
    return plan.report(
      samples(until: end), ending, kinds: [.classic, .classic, .classic], facts(), chunks(),
      plan.pace,
      filled: filled, serverBytes: nil)
  }

  /// A server that nobody uses: no line is far from another one.
  static func idle() -> ProbeReport {
    let plan = plan(copyTime: 3600)
    let samples = [0, 225, 450, 900, 1800].map { second in
      ProbeSample(
        seconds: Double(second), wal: 0, used: [16384, 16384, 16384], written: [nil, nil, nil],
        flushedFrom: second > 0 ? Double(second) : nil)
    }
    return plan.report(
      samples, .complete, kinds: [.classic, .classic, .classic], facts(), [nil, nil, nil],
      plan.pace,
      serverBytes: nil)
  }

  static let hostile = "</code><script>alert(1)</script>&amp;\""

  /// Nights and office hours; nobody looked on Saturday, nor at noon.
  static func hours() -> HourlyRates {
    var cells: [HourlyRates.Cell] = []
    for weekday in 1...7 where weekday != 6 {
      for hour in 0..<24 where hour != 12 && hour != 13 {
        let office = (8..<18).contains(hour) && weekday < 6
        let mebibytes = office ? 40 + (hour * 7 + weekday * 13) % 50 : 2 + (hour + weekday) % 6
        cells.append(
          .init(
            weekday: weekday, hour: hour, bytesPerMinute: UInt64(mebibytes) * mebibyte, minutes: 60)
        )
      }
    }
    return HourlyRates(cells: cells)
  }

  static func backup(hostile: String = "") -> BackupRecord {
    let began = CalendarTime(secondsSince1970: 1_795_226_400)
    let size = gibibyte
    let frozen = volumes.enumerated().map { index, volume in
      let at = Double(index) * 0.9
      return BackupRecord.Volume(
        origin: name(volume), snapshot: name("\(volume)_still_20261121T020000Z-1a2b3c"),
        fileSystem: "ext4 at /srv/\(name(volume).volume)\(hostile)",
        suspend: Span(begin: at, end: at + 0.8),
        take: Span(begin: 3.1 + at * 0.7, end: 3.6 + at * 0.7),
        resume: Span(begin: 5.8 + at * 0.6, end: 6.2 + at * 0.6),
        fill: SnapshotFill(
          origin: name(volume), snapshot: name(volume), state: .valid,
          used: used(index, at: 758), size: index == 0 ? 2 * size : size))
    }
    var record = BackupRecord(
      id: id, cluster: "main", pgstillVersion: "1.0", began: began,
      ended: CalendarTime(secondsSince1970: began.secondsSince1970 + 766),
      consistency: .snapshot, reason: "every volume can be frozen\(hostile)",
      server: .init(
        version: 150_018, systemIdentifier: 7_512_345_678_901_234_567, timeline: 1,
        dataDirectory: "/var/lib/postgresql/15/main\(hostile)", isStandby: false,
        hasDataChecksums: true, walSegmentSize: 16 * mebibyte),
      tablespaces: [.init(oid: 16402, target: "/srv/tbs")], walLink: "/srv/wal",
      freeze: .init(
        at: began, beganMicroseconds: began.secondsSince1970 * 1_000_000,
        windowMilliseconds: 7.3, skewMilliseconds: 2.6, volumes: frozen),
      online: nil,
      wal: .init(
        lsnBeforeFreeze: nil, redo: LSN("2B/4F000028") ?? LSN(0),
        checkpoint: LSN("2B/4F000060") ?? LSN(0),
        segmentsKept: ["000000010000002B0000004F"], segmentsLeftOut: 63),
      compression: "zstd:3",
      archives: [
        .init(
          name: "base.tar.zst", files: 2311, members: 2350, bytesRead: 61 * gibibyte,
          bytesWritten: 14 * gibibyte, checksum: ""),
        .init(
          name: "16402.tar.zst", files: 12, members: 14, bytesRead: 18 * gibibyte,
          bytesWritten: 5 * gibibyte, checksum: ""),
        .init(
          name: "pg_wal.tar.zst", files: 1, members: 2, bytesRead: 16 * mebibyte,
          bytesWritten: 3 * mebibyte, checksum: ""),
      ],
      manifestSHA256: "", configuration: ["/etc/postgresql/15/main/postgresql.conf"], missing: [],
      badPages: [],
      phases: [
        .init(name: "discover", seconds: 0.21), .init(name: "plan", seconds: 0.34),
        .init(name: "prepare", seconds: 2.9), .init(name: "freeze", seconds: 1.3),
        .init(name: "copy", seconds: 758.2),
      ],
      fillHistory: (0...758).map { second in
        .init(
          seconds: Double(second), used: volumes.indices.map { used($0, at: second) },
          copied: copied(at: second))
      },
      extensions: [.init(seconds: 402, origin: name("vg0/data"), from: size, to: 2 * size)])
    record.proof = .init(
      at: CalendarTime(secondsSince1970: began.secondsSince1970 + 9000), seconds: 512,
      postgres: "15.18",
      checks: ["recovered to 2B/4F1A2B30", "pg_amcheck: 3 databases, no complaint"],
      problems: [])
    return record
  }

  private static func used(_ volume: Int, at second: Int) -> UInt64 {
    let t = Double(second)
    switch volume {
    case 0: return UInt64(1.9e9 * t / (t + 560)) + 16384
    case 1: return UInt64(0.72e6 * t) + 16384
    default: return UInt64(6e4 * t) + 16384
    }
  }

  /// Small files first, then large ones.
  private static func copied(at second: Int) -> UInt64 {
    let t = Double(second)
    let rate = 79.0 * Double(gibibyte) / 758
    return UInt64(t < 120 ? t * rate * 0.5 : 60 * rate + (t - 120) * rate * 698 / 638)
  }

  /// Names as long as LVM has them.
  static func longNames() -> BackupRecord {
    var record = backup()
    record.freeze?.volumes[1].origin = VolumeName(
      group: String(repeating: "group", count: 12), volume: String(repeating: "volume", count: 10))
    record.phases.append(.init(name: String(repeating: "phase", count: 20), seconds: 12))
    return record
  }

  /// What no backup has and a record may: nothing in its order, nothing of this world.
  static func absurd() -> [BackupRecord] {
    var records = (0..<6).map { _ in backup() }
    records[0].fillHistory = [
      .init(seconds: 9e11, used: [1 << 60, 0], copied: 1 << 60), .init(seconds: -9e11, used: []),
      .init(seconds: 0, used: [0, 0, 0], copied: 0), .init(seconds: 0, used: [0, 0, 0], copied: 7),
    ]
    records[1].phases = [.init(name: "copy", seconds: -5), .init(name: "", seconds: 9e11)]
    records[2].freeze?.volumes[0].resume = Span(begin: -9e11, end: -9e11)
    records[2].freeze?.volumes[1].suspend = Span(begin: 9e11, end: -9e11)
    records[3].freeze?.volumes = []
    records[3].phases = []
    records[4].extensions = [
      .init(seconds: -1e11, origin: name("vg0/data"), from: 1 << 60, to: 0),
      .init(seconds: 1e11, origin: name("vg0/wal"), from: 0, to: 1 << 60),
    ]
    records[4].freeze?.volumes[2].fill.size = 0
    records[5].freeze?.windowMilliseconds = 9e11
    records[5].fillHistory = []
    return records
  }

  /// The same without anything that a freeze knows.
  static func onlineBackup() -> BackupRecord {
    var record = backup()
    record.consistency = .online
    record.freeze = nil
    record.fillHistory = []
    record.extensions = []
    record.proof = nil
    record.badPages = nil
    record.reason = "the data directory is on no logical volume"
    record.missing = ["server.key, a link to /etc/ssl/private/key"]
    record.online = .init(
      start: LSN("2B/4F000028") ?? LSN(0), stop: LSN("2B/4F000F28") ?? LSN(0),
      hadSlot: true)
    record.phases = [
      .init(name: "discover", seconds: 0.2), .init(name: "plan", seconds: 0.3),
      .init(name: "begin", seconds: 1.2), .init(name: "copy", seconds: 640),
    ]
    return record
  }
}
