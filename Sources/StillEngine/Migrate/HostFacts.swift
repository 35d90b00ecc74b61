import StillModel
import StillPostgres
import StillSystem
import StillTransfer
import SystemPackage

/// What decides whether a server of a cluster runs on a host, and sorts as it did.
struct HostFacts: Hashable {
  /// `uname -m`
  var machine: String
  /// glibc sorts text, and not in each version alike.
  var libc: String
  /// The major version of ICU that the server program is linked with; empty for none.
  var icu: String
  /// Of the server program; nil where there is none.
  var majorVersion: Int?
  /// Whether pg_ctl and psql are with it.
  var hasTools: Bool
  /// Who runs this.
  var isRoot: Bool
  /// Another one for each start of each host; empty where nobody says.
  var boot: String
  /// Whether somebody listens on the server's port.
  var isPortTaken: Bool
  /// The locales that there are, `C` and `POSIX` apart, in one form of writing.
  var locales: Set<String>

  /// Prints one line for each of them; `$1` is the folder of the programs, `$2` the server's port. Of a socket
  /// that listens the state is 0A (proc(5), "/proc/net/tcp").
  private static let script = """
    echo "machine $(uname -m)"
    echo "libc $(getconf GNU_LIBC_VERSION 2>/dev/null)"
    echo "icu $(ldd "$1/postgres" 2>/dev/null | sed -n 's/^.*libicui18n[.]so[.]\\([0-9]*\\).*$/\\1/p' | head -n 1)"
    echo "version $("$1/postgres" --version 2>/dev/null)"
    [ -x "$1/pg_ctl" ] && [ -x "$1/psql" ] && echo "tools yes"
    echo "user $(id -u)"
    echo "boot $(tail -n 1 /proc/sys/kernel/random/boot_id 2>/dev/null)"
    echo "listener $(awk -v p=":$(printf %04X "$2")" '$4 == "0A" && substr($2, length($2) - 4) == p { print $2; exit }' \
      /proc/net/tcp /proc/net/tcp6 2>/dev/null)"
    echo "locales $(locale -a 2>/dev/null | tr '\\n' ' ')"
    """

  static func here(_ programs: FilePath, port: String) throws -> HostFacts {
    let errand = try Errand(
      ["/bin/sh", "-c", script, "sh", programs.string, port], environment: ["PATH": "/usr/bin:/bin"]
    )
    guard errand.wait(atMost: 30) == 0 else {
      errand.end()
      throw StillError(.precondition, "this host does not say what it is: \(errand.firstLine)")
    }
    return HostFacts(try errand.allLines())
  }

  static func there(
    _ shell: RemoteShell, _ programs: String, port: String
  ) throws -> HostFacts {
    let answer = try shell.demand(script, [programs, port])
    return HostFacts(answer.text.split(whereSeparator: \.isNewline).map(String.init))
  }

  private init(_ lines: [String]) {
    func value(_ key: String) -> String {
      let line = lines.first { $0.hasPrefix(key + " ") } ?? ""
      return line.dropFirst(key.count + 1).trimming { $0 == " " }
    }
    machine = value("machine")
    libc = value("libc")
    icu = value("icu")
    // `postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)`
    let number = value("version").split(separator: " ").dropFirst(2).first ?? ""
    majorVersion = Int(number.prefix { $0.isNumber })
    hasTools = value("tools") == "yes"
    isRoot = value("user") == "0"
    boot = value("boot")
    isPortTaken = !value("listener").isEmpty
    locales = Set(value("locales").split(separator: " ").map { HostFacts.plain(String($0)) })
  }
}

extension HostFacts {
  /// `de_DE.UTF-8` is `de_DE.utf8`.
  fileprivate static func plain(_ locale: String) -> String {
    locale.lowercased().filter { $0 != "-" }
  }

  func has(locale: String) -> Bool {
    ["C", "POSIX"].contains(locale) || locales.contains(HostFacts.plain(locale))
  }
}

extension String.SubSequence {
  fileprivate func trimming(_ isBlank: (Character) -> Bool) -> String {
    String(drop(while: isBlank).reversed().drop(while: isBlank).reversed())
  }
}

extension MigrationRequest {
  /// A data directory is of one architecture and one major version. It may be sorted by another library's
  /// rules: that is said, with what has to be rebuilt.
  ///
  /// - Returns: what somebody should know, and the indexes that are wrong over there.
  /// - Throws: `.precondition` where no server of the cluster can run over there.
  func requireFit(
    of cluster: LiveCluster, programsHere: () throws -> FilePath
  ) throws -> (advice: [String], rebuild: [MigrationPlan.Rebuild]) {
    switch target {
    case .folder: return ([], [])
    case .daemon:
      return (
        [
          "nobody can see from here whether the other host has the same glibc and ICU; where they are "
            + "not the same, text is sorted otherwise, and indexes of text have to be rebuilt (REINDEX)"
        ], []
      )
    case .ssh(let host, _):
      let programs = try programsHere()
      let port = try cluster.session.value("SELECT pg_catalog.current_setting('port')")
      let here = try HostFacts.here(programs, port: port)
      let programsThere = self.programs ?? programs
      let shell = RemoteShell(host: host, words: remoteShell)
      let there = try HostFacts.there(shell, programsThere.string, port: port)
      var advice: [String] = []
      guard there.machine == here.machine else {
        throw StillError(
          .precondition,
          "\(host) is \(there.machine.isEmpty ? "of no known kind" : there.machine), and this host "
            + "\(here.machine): the files of a cluster are of one architecture",
          hint: "Move it with pg_dump, or logical replication.")
      }
      if there.majorVersion == nil, !startsServer {
        advice.append(
          "\(host) has no server program in \(programsThere); it has to be of PostgreSQL "
            + "\(cluster.facts.majorVersion)")
      } else if there.majorVersion != cluster.facts.majorVersion {
        throw StillError(
          .precondition,
          "\(host) has \(there.majorVersion.map { "PostgreSQL \($0)" } ?? "no server program") in "
            + "\(programsThere), and the cluster is of PostgreSQL \(cluster.facts.majorVersion)",
          hint: "Install that version there, or say where it is: --target-programs.")
      }
      if startsServer, !isRehearsal {
        try requireStarter(host, there, programsThere)
        // Of this host, by another name, it is the old server.
        guard startCommand != nil || !there.isPortTaken || there.boot == here.boot else {
          throw StillError(
            .precondition,
            "somebody listens on port \(port) of \(host), which the new server wants",
            hint: "Stop who it is, or start the new server elsewhere: --target-start-command.")
        }
      }
      if there.majorVersion != nil, !there.isRoot {
        advice += try ServerTrial.run(
          on: shell, programsThere.string,
          control: cluster.directory.folder.folder("global").file("pg_control").readAll(),
          majorVersion: cluster.facts.majorVersion,
          libraries: cluster.session.value(
            "SELECT pg_catalog.current_setting('shared_preload_libraries')"))
      }
      let missing = try cluster.missingLocales(here, there)
      if let (database, locale) = missing.first {
        let words = "\(host) has no locale \(locale), which the database \(database) needs"
        guard !startsServer || isRehearsal else {
          throw StillError(
            .precondition, words, hint: "Make it there (localedef, or dpkg-reconfigure locales).")
        }
        advice.append(words)
      }
      let isOther = (libc: there.libc != here.libc, icu: there.icu != here.icu)
      guard isOther.libc || isOther.icu else { return (advice, []) }
      func difference(_ name: String, _ here: String, _ there: String) -> String {
        "\(name) (\(here.isEmpty ? "none known" : here) here, \(there.isEmpty ? "none known" : there) there)"
      }
      let names =
        (isOther.libc ? [difference("glibc", here.libc, there.libc)] : [])
        + (isOther.icu ? [difference("ICU", here.icu, there.icu)] : [])
      let (rebuild, unseen) = try cluster.sortedIndexes(byLibc: isOther.libc, byICU: isOther.icu)
      advice += unseen.map { "nobody could look for indexes in the database \($0)" }
      let count = rebuild.reduce(0) { $0 + $1.indexes.count }
      advice.append(
        "\(host) has another \(names.joined(separator: ", and ")): text may be sorted otherwise there, "
          + "and \(count) \(count == 1 ? "index has" : "indexes have") to be rebuilt after the move"
      )
      return (advice, rebuild)
    }
  }

  /// Whoever starts the new server over there asks it, and stops it where that fails.
  private func requireStarter(
    _ host: String, _ there: HostFacts, _ programs: FilePath
  ) throws {
    guard there.hasTools else {
      throw StillError(
        .precondition, "\(host) has no pg_ctl or no psql in \(programs)",
        hint: "Install them there, or say where they are: --target-programs.")
    }
    guard !there.isRoot else {
      throw StillError(
        .precondition, "\(host) is reached as root, who may not start or ask a server there",
        hint: "Use the cluster's owner: postgres@HOST. A unit can be started with sudo, in "
          + "--target-start-command. Or start the server yourself: --no-start.")
    }
  }
}

extension LiveCluster {
  /// A server without a database's locale does not start, or lets nobody into that database.
  fileprivate func missingLocales(
    _ here: HostFacts, _ there: HostFacts
  ) throws -> [(database: String, locale: String)] {
    // Where a host does not list any, or this one not its own, a list says nothing.
    guard !there.locales.isEmpty else { return [] }
    return try session.locales().filter {
      here.has(locale: $0.locale) && !there.has(locale: $0.locale)
    }
  }

  /// The indexes of all databases whose order is that of a library, and the databases that cannot be looked
  /// into.
  fileprivate func sortedIndexes(
    byLibc: Bool, byICU: Bool
  ) throws -> (rebuild: [MigrationPlan.Rebuild], unseen: [String]) {
    var rebuild: [MigrationPlan.Rebuild] = []
    var unseen: [String] = []
    for database in try session.databases() {
      guard
        let other = try? Session.open(
          ConnectionTarget(parameters: target.parameters, databases: [database]))
      else {
        unseen.append(database)
        continue
      }
      defer { other.close() }
      let indexes = try other.sortedIndexes(byLibc: byLibc, byICU: byICU)
      if !indexes.isEmpty {
        rebuild.append(
          .init(
            database: database, indexes: indexes, hasVersion: facts.majorVersion >= 15))
      }
    }
    return (rebuild, unseen)
  }
}
