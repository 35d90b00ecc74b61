import StillModel

extension BackupPage {
  var content: HTML {
    var table: DataTable
    if let mirror = record.mirror {
      table = DataTable(name: "Parts", heading: ["part", "files", "content"])
      table.rows = mirror.parts.map { [$0.name, "\($0.files)", ByteCount.text($0.bytes)] }
    } else {
      table = DataTable(name: "Archives", heading: ["archive", "files", "content", "stored"])
      table.rows = record.archives.map {
        [$0.name, "\($0.files)", ByteCount.text($0.bytesRead), ByteCount.text($0.bytesWritten)]
      }
    }
    let pages: HTML =
      switch record.badPages {
      case nil: ""
      case .some(let bad) where bad.isEmpty:
        "<p><span class=\"good\">✓</span> Every page has the checksum that stands in it.</p>\n"
      case .some:
        "<p><span class=\"bad\">✗</span> Pages of the cluster are damaged: see above.</p>\n"
      }
    return table.html + pages
  }

  var proof: HTML {
    guard let proof = record.proof else { return "" }
    let lines = (proof.checks.map { ("good", "✓", $0) } + proof.problems.map { ("bad", "✗", $0) })
      .map { style, mark, text -> HTML in
        "<li><span class=\"\(style)\">\(mark)</span> \(text)</li>\n"
      }
    return Page.paragraph(
      "PostgreSQL \(proof.postgres) was started on a restored copy; all of it took "
        + "\(Figures.duration(proof.seconds)).") + "<ul>\n\(lines)</ul>\n"
  }

  var origin: HTML {
    let server = record.server
    var facts = [
      ("server", "PostgreSQL \(server.version / 10000).\(server.version % 10000)"),
      ("system identifier", "\(server.systemIdentifier), timeline \(server.timeline)"),
      ("data directory", server.dataDirectory),
    ]
    for tablespace in record.tablespaces {
      facts.append(("tablespace \(tablespace.oid)", tablespace.target))
    }
    if let link = record.walLink { facts.append(("pg_wal", link)) }
    facts.append(
      (
        "WAL",
        "redo \(record.wal.redo), checkpoint \(record.wal.checkpoint), "
          + "\(record.wal.segmentsKept.count) segments"
      ))
    if let online = record.online {
      facts.append(("backup mode", "from \(online.start) to \(online.stop)"))
    }
    if let downtime = record.downtime {
      facts.append(
        (
          "downtime",
          "\(Figures.duration(downtime.seconds)), of which stopping "
            + "\(Figures.duration(downtime.stopSeconds)); stopped with \(downtime.stoppedWith), started with "
            + downtime.startedWith
        ))
    }
    for path in record.configuration { facts.append(("configuration", path)) }
    facts.append(("taken", "\(record.began.readable) to \(record.ended.readable)"))
    facts.append(("by", "pgstill \(record.pgstillVersion)"))
    return Page.facts(facts.map { (name: $0.0, text: $0.1) })
  }
}
