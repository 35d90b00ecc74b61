import StillModel
import SystemPackage

/// The whole configuration of a server on a restored copy: it serves nobody but us, reaches for
/// nothing outside its folder, and runs nothing on its own.
struct ScratchSettings {
  var major: Int
  var dataDirectory: FilePath
  var socketFolder: FilePath
  var hostRules: FilePath
  var userMap: FilePath
  /// As the backup has it.
  var preloadedLibraries: String
  var limits: ControlFile.Limits
  /// Connections that check at once.
  var workers: Int

  var text: String {
    settings.map { "\($0.name) = \(Self.quoted($0.value))\n" }.joined()
  }

  private var settings: [(name: String, value: String)] {
    var settings = [
      ("data_directory", dataDirectory.string),
      ("hba_file", hostRules.string),
      ("ident_file", userMap.string),
      // Nobody but us.
      ("listen_addresses", ""),
      ("unix_socket_directories", "\"\(socketFolder)\""),
      ("unix_socket_permissions", "0700"),
      ("port", "\(ScratchServer.port)"),
      ("ssl", "off"),
      ("logging_collector", "off"),
      ("log_destination", "stderr"),
      ("lc_messages", "C"),
      // Nothing reaches the archive, the primary, a publisher or a job's target: background workers
      // of libraries (schedulers, for one) and of subscriptions find no room to start.
      ("archive_mode", "off"),
      ("max_wal_senders", "0"),
      ("max_worker_processes", "0"),
      ("max_logical_replication_workers", "0"),
      ("autovacuum", "off"),
      ("session_replication_role", "replica"),
      ("shared_preload_libraries", preloadedLibraries),
      // Prepared transactions and replication origins have to find their places again.
      ("max_connections", "\(max(Int(limits.connections), workers + 20))"),
      ("max_prepared_transactions", "\(limits.preparedTransactions)"),
      ("max_locks_per_transaction", "\(max(limits.locksPerTransaction, 64))"),
      ("max_replication_slots", "1000"),
      // A copy that is thrown away need not survive anything.
      ("fsync", "off"),
      ("full_page_writes", "off"),
      ("synchronous_commit", "off"),
      ("checkpoint_timeout", "1h"),
      ("restart_after_crash", "off"),
      ("huge_pages", "off"),
      ("shared_buffers", "128MB"),
      ("jit", "off"),
    ]
    if major >= 17 { settings.append(("event_triggers", "off")) }
    if major >= 18 { settings.append(("max_active_replication_origins", "1000")) }
    // These were settings of a file of their own before.
    if major >= 12 {
      settings += [("restore_command", ""), ("primary_conninfo", ""), ("primary_slot_name", "")]
    }
    return settings.map { (name: $0.0, value: $0.1) }
  }

  private static func quoted(_ value: String) -> String {
    "'"
      + value.map { $0 == "'" ? "''" : $0 == "\\" ? "\\\\" : String($0) }.joined() + "'"
  }
}
