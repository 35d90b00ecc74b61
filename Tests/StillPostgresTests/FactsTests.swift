import StillModel
import StillTestSupport
import SystemPackage
import Testing

@testable import StillPostgres

@Suite(.serialized) struct FactsTests {
  let cluster: ThrowAwayCluster

  init() throws {
    cluster = try ThrowAwayCluster(
      settings: ["cluster_name": "'alpha'", "wal_level": "logical"], initdb: ["-k"])
  }

  @Test func theServerDescribesItself() throws {
    let place = try cluster.makeTablespace("extra")
    let extra = cluster.folder.appending("more.conf")
    try cluster.runAsOwner("/bin/sh", ["-c", "echo work_mem = 5MB >\(extra)"])
    try cluster.append(["include": "'\(extra)'"])
    let facts = try cluster.session().facts()
    #expect(facts.versionText.hasPrefix("\(facts.majorVersion)."))
    #expect(facts.dataDirectory == cluster.dataDirectory.string)
    #expect(
      facts.systemIdentifier
        == (try DataDirectory.open(cluster.dataDirectory).control.systemIdentifier))
    #expect(facts.clusterName == "alpha")
    #expect(facts.walLevel == "logical")
    #expect(facts.walSegmentSize == 16 << 20)
    #expect(facts.blockSize == 8192)
    #expect(facts.hasDataChecksums && facts.fullPageWrites && !facts.fsync && !facts.isStandby)
    #expect(facts.timeline == 1)
    #expect(facts.tablespaces.map(\.location) == [place.string])
    #expect(facts.tablespaces.first?.name == "extra")
    let data = cluster.dataDirectory
    #expect(facts.configuration.configFile == data.appending("postgresql.conf").string)
    #expect(facts.configuration.hbaFile == data.appending("pg_hba.conf").string)
    #expect(facts.configuration.files.contains(extra.string))
    #expect(facts.configuration.isComplete)
    #expect(facts.role.isSuperuser && facts.role.mayBackUp && facts.role.mayReplicate)
  }

  @Test func aRoleWithoutRightsIsToldWhichGrant() throws {
    try cluster.sql("CREATE ROLE \"back up\" LOGIN")
    let refused = try #require(throws: StillError.self) {
      try cluster.session(user: "back up").facts()
    }
    #expect(refused.status == .postgres)
    #expect(refused.message.hasPrefix("the role \"back up\" may not run CHECKPOINT, nor read"))
    let session = try cluster.session()
    try #require(session.versionNumber >= 150000)
    #expect(
      refused.hint
        == "As a superuser: GRANT pg_checkpoint, pg_read_all_settings TO \"back up\";")
    let denied = try #require(throws: StillError.self) {
      try cluster.session(user: "back up").checkpoint()
    }
    #expect(denied.message.contains("42501"))

    try cluster.sql("GRANT pg_checkpoint, pg_monitor TO \"back up\"")
    let facts = try cluster.session(user: "back up").facts()
    #expect(!facts.role.isSuperuser && facts.role.mayCheckpoint && facts.role.mayReadSettings)
    #expect(!facts.role.mayBackUp && !facts.role.mayReplicate)
    #expect(!facts.configuration.isComplete)
    #expect(facts.configuration.files.count == 3)
    try cluster.session(user: "back up").checkpoint()
  }

  @Test func positionsOfAPrimaryAndOfAStandby() throws {
    let session = try cluster.session()
    let before = try session.flushLSN()
    try cluster.sql("CREATE TABLE t (i int)")
    #expect(try session.flushLSN() > before)
    try session.checkpoint(within: .seconds(60))
    #expect(try DataDirectory.open(cluster.dataDirectory).control.redo > before)
    session.close()

    try cluster.stop()
    try cluster.runAsOwner("/bin/touch", [cluster.dataDirectory.appending("standby.signal").string])
    try cluster.start()
    let standby = try cluster.session()
    #expect(try standby.facts().isStandby)
    #expect(try standby.facts().timeline == 1)
    #expect(try standby.flushLSN() > before)
    try standby.checkpoint()
    try cluster.promote()
    #expect(try standby.facts().timeline == 2)
    #expect(try !standby.facts().isStandby)
  }
}
