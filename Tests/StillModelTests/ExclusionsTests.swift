import StillModel
import SystemPackage
import Testing

@Suite struct ExclusionsTests {
  /// What happens to a name: "keep", "out" or the folders that an emptied one keeps.
  private func outcome(_ path: FilePath, beside: [String] = [], version: Int = 15) -> String {
    let rules = Exclusions(
      majorVersion: version, isCleanlyShutDown: false, furtherEmptied: ["pg_log/statistics"])
    let name = FilePath(path.lastComponent?.string ?? "").bytes
    let folder = rules.inFolder(
      path.removingLastComponent(), names: beside.map { Array($0.utf8) } + [name])
    switch folder.verdict(on: name) {
    case .keep: return "keep"
    case .leaveOut: return "out"
    case .empty(let kept, _): return "empty" + kept.map { " \($0)" }.joined()
    }
  }

  @Test(arguments: [
    "pg_replslot", "pg_dynshmem", "pg_notify", "pg_serial", "pg_snapshots", "pg_stat_tmp",
    "pg_subtrans",
  ]) func foldersAreEmptiedAtTheTopOnly(_ name: String) {
    #expect(outcome(FilePath(name)) == "empty")
    #expect(outcome(FilePath("base/\(name)")) == "keep")
    #expect(outcome(FilePath("pg_tblspc/16402/\(name)")) == "keep")
  }

  @Test func theWALFolderKeepsWhatTheVersionNeeds() {
    #expect(outcome("pg_wal", version: 16) == "empty archive_status")
    #expect(outcome("pg_wal", version: 17) == "empty archive_status summaries")
    #expect(outcome("base/pg_wal") == "keep")
  }

  @Test func furtherFoldersAreEmptied() {
    #expect(outcome("pg_log/statistics") == "empty")
    #expect(outcome("pg_log/other") == "keep")
  }

  @Test(arguments: [
    "postmaster.pid", "postmaster.opts", "postgresql.auto.conf.tmp", "current_logfiles.tmp",
    "backup_label", "tablespace_map", "backup_manifest", "pg_internal.init",
    "pg_internal.init.4711", "pgsql_tmp", "pgsql_tmp4711.0", "pgsql_tmp_x", ".DS_Store",
    "lost+found",
  ]) func namesAreLeftOutAtAnyDepth(_ name: String) {
    #expect(outcome(FilePath(name)) == "out")
    #expect(outcome(FilePath("base/5/\(name)")) == "out")
    #expect(outcome(FilePath("pg_tblspc/16402/PG_15_202209061/5/\(name)")) == "out")
  }

  @Test(arguments: [
    "PG_VERSION", "postgresql.conf", "postgresql.auto.conf", "current_logfiles", "log", "pg_stat",
    "backup_label.old", "postmaster.pid.old", "global", "pg_tblspc", "pg_xact", "standby.signal",
    "my_pgsql_tmp", "backup_label_x",
  ]) func othersAreKept(_ name: String) {
    #expect(outcome(FilePath(name)) == "keep")
  }

  @Test(
    arguments: [
      ("base/5/t3_16384", "out"), ("base/5/t3_16384_fsm", "out"), ("base/5/t12_16384.1", "out"),
      ("base/5/t3_16384_vm.2", "out"), ("global/t3_16384", "out"),
      ("pg_tblspc/1/PG_15_202209061/5/t3_16384", "out"),
      ("base/5/t3_", "keep"), ("base/5/t_16384", "keep"), ("base/5/t3_16384_x", "keep"),
      ("base/5/t3_16384.", "keep"), ("base/5/t3_16384_", "keep"), ("base/5/x3_16384", "keep"),
      ("t3_16384", "keep"), ("base/t3_16384", "keep"), ("base/5/more/t3_16384", "keep"),
      ("base/x/t3_16384", "keep"), ("pg_tblspc/1/other/5/t3_16384", "keep"),
    ] as [(FilePath, String)]) func temporaryRelations(_ path: FilePath, _ expected: String)
  {
    #expect(outcome(path) == expected)
  }

  @Test(arguments: [
    ("16384", "out"), ("16384.1", "out"), ("16384_fsm", "out"), ("16384_vm", "out"),
    ("16384_fsm.3", "out"), ("16384_init", "keep"), ("16384_init.1", "keep"),
    ("16385", "keep"), ("163840", "keep"), ("1638", "keep"), ("16384x", "keep"),
    ("16384_other", "keep"), ("99999999999", "keep"),
  ]) func unloggedRelations(_ name: String, _ expected: String) {
    for folder in ["base/5", "pg_tblspc/1/PG_15_202209061/5"] {
      let path = FilePath(folder + "/" + name)
      #expect(outcome(path, beside: ["16384_init", "1259", "PG_VERSION"]) == expected)
      #expect(outcome(path, beside: ["16386_init"]) == "keep")
    }
    #expect(outcome(FilePath("log/\(name)"), beside: ["16384_init"]) == "keep")
  }

  @Test func unloggedRelationsStayWhereNoRecoveryFollows() {
    let rules = Exclusions(majorVersion: 15, isCleanlyShutDown: true)
    let folder = rules.inFolder("base/5", names: [Array("16384_init".utf8), Array("16384".utf8)])
    #expect(folder.verdict(on: Array("16384".utf8)) == .keep)
    #expect(folder.verdict(on: Array("t3_16384".utf8)) != .keep)
  }

  @Test func everyRuleHasAReasonInOneLine() {
    for rule in Exclusions.table {
      #expect(!rule.reason.isEmpty && !rule.reason.contains("\n") && !rule.reason.hasSuffix("."))
    }
  }
}
