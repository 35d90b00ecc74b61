import StillModel
import StillTransfer

/// The server program of another host, tried on a cluster's control file, in a folder of its own that goes
/// again: so what it would say at its start, with the old server down, is known before anything is copied.
///
/// Since version 15 a setting that only a cluster knows is computed for `-C` as at a start: the control file is
/// checked, and libraries are loaded (postmaster.c, PostmasterMain). Older versions print the default; of them
/// nothing is known.
struct ServerTrial {
  /// `$1` the folder of the programs, `$2` the major version, `$3` the libraries that are loaded at the start.
  private static let script = """
    umask 077
    export LC_ALL=C
    dir=$(mktemp -d) || exit 1
    trap 'rm -rf "$dir"' EXIT
    mkdir "$dir/global" && cat >"$dir/global/pg_control" && echo "$2" >"$dir/PG_VERSION" &&
      : >"$dir/postgresql.conf" && : >"$dir/postgresql.auto.conf" || exit 1
    try() { "$program" -D "$dir" -C wal_segment_size "$@" 2>&1 >/dev/null; }
    program=$1/postgres libraries=$3
    try || exit 70
    [ -z "$libraries" ] || try -c "shared_preload_libraries=$libraries" || exit 71
    """
  private static let refused: Int32 = 70
  private static let librariesRefused: Int32 = 71

  /// - Parameters:
  ///   - programs: their folder over there.
  ///   - control: the content of `pg_control`, of any moment.
  ///   - libraries: `shared_preload_libraries`.
  /// - Returns: what somebody should know of it.
  /// - Throws: `.precondition` where the server would not start on the cluster, with its words.
  static func run(
    on shell: RemoteShell, _ programs: String, control: [UInt8], majorVersion: Int,
    libraries: String
  ) throws -> [String] {
    let answer = try shell.run(
      script, [programs, "\(majorVersion)", libraries], input: control)
    // `2026-11-22 08:09:26.566 GMT [25953] FATAL:  could not access file "x": No such file or directory`
    let said = answer.text.split(whereSeparator: \.isNewline).compactMap { line in
      line.firstRange(of: #/(FATAL|DETAIL): +/#).map { String(line[$0.upperBound...]) }
    }
    let isMissing = said.contains { $0.hasPrefix("could not access file") }
    switch answer.status {
    case 0: return []
    case refused where said.contains { $0.contains("incompatible with server") }:
      throw failure(
        "the server of \(shell.host) does not take the cluster's files", said,
        hint: "Install one that was built as the old one is: --target-programs.")
    case librariesRefused where isMissing:
      throw failure(
        "\(shell.host) lacks a library that the server loads at its start", said,
        hint: "Install it there (shared_preload_libraries = '\(libraries)').")
    default:
      // As of a control file that was read while it was written, or a library that wants its settings.
      return [
        "whether the server of \(shell.host) starts on the cluster's files could not be tried: "
          + (said.isEmpty ? answer.complaint : said.joined(separator: "; "))
      ]
    }
  }

  private static func failure(_ message: String, _ said: [String], hint: String) -> StillError {
    var failure = StillError(.precondition, message, hint: hint)
    failure.further = said
    return failure
  }
}
