/// The name of a systemd unit that a process runs in.
public enum ServiceUnit {
  /// The service of the system that the innermost control group belongs to: from the text of
  /// `/proc/PID/cgroup` (cgroups(7)), for example `postgresql@15-main.service`.
  ///
  /// - Returns: nil for anything else: a login session's scope, a user's own service (which the
  ///   system's manager does not know), a container, a group below a service.
  public static func named(inControlGroups text: String) -> String? {
    var own: Substring?
    for line in text.split(separator: "\n") {
      // "0::/PATH" of the unified hierarchy, "1:name=systemd:/PATH" of systemd's own before it.
      let fields = line.split(separator: ":", maxSplits: 2, omittingEmptySubsequences: false)
      guard fields.count == 3 else { continue }
      if fields[1] == "name=systemd" {
        own = fields[2]
        break
      }
      if fields[0] == "0", fields[1].isEmpty { own = fields[2] }
    }
    guard let own else { return nil }
    let groups = own.split(separator: "/")
    guard let last = groups.last, isValid(last),
      !groups.contains(where: { $0.hasPrefix("user@") })
    else { return nil }
    return String(last)
  }

  /// The service that a user's own systemd runs a process as, which root's systemd knows nothing of;
  /// nil where there is none.
  public static func usersOwn(inControlGroups text: String) -> String? {
    for line in text.split(separator: "\n") {
      let groups = line.split(separator: "/").dropFirst()
      guard let manager = groups.firstIndex(where: { $0.hasPrefix("user@") }),
        let last = groups.last, groups.endIndex > manager + 1, isValid(last)
      else { continue }
      return String(last)
    }
    return nil
  }

  /// Whether this is the name of a service, in the characters that systemd allows (systemd.unit(5)).
  /// No other text ever reaches a command line of systemctl.
  public static func isValid(_ name: some StringProtocol) -> Bool {
    isValid(name, ofKind: "service")
  }

  /// The same for a unit of another kind: `socket`, `timer`, …
  public static func isValid(_ name: some StringProtocol, ofKind kind: String) -> Bool {
    guard name.hasSuffix(".\(kind)"), name.utf8.count > kind.utf8.count + 1,
      name.utf8.count < 256, let first = name.utf8.first, first != UInt8(ascii: "-"),
      first != UInt8(ascii: ".")
    else { return false }
    return name.utf8.allSatisfy { byte in
      switch byte {
      case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
        UInt8(ascii: "0")...UInt8(ascii: "9"):
        true
      default: ":-_.\\@".utf8.contains(byte)
      }
    }
  }
}
