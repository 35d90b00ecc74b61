import SystemPackage

/// The service manager of most machines.
public enum Systemd {
  /// Whether it runs this machine (sd_booted(3)).
  public static var isHere: Bool {
    if folderForTests != nil { return true }
    return (try? OpenFolder.open("/run/systemd/system")) != nil
  }

  /// Its program: by its full path, for it is run by root.
  public static var program: String {
    if let folder = folderForTests { return folder + "/systemctl" }
    return (try? OpenFolder.open("/usr/bin").metadataIfPresent(of: "systemctl")) != nil
      ? "/usr/bin/systemctl" : "/bin/systemctl"
  }

  /// What tests can ask of a debug build; a release build has none of it: a folder with a stand-in
  /// for `systemctl`, and files `cgroup.PID` that take the place of those of `/proc`, with `cgroup`
  /// for all other processes.
  public static let variableForTests = "PGSTILL_TEST_SYSTEMD"

  private static var folderForTests: String? {
    #if DEBUG
      Environment.value(variableForTests)
    #else
      nil
    #endif
  }

  static func controlGroupsForTests(of process: Int32) -> String? {
    guard let folder = folderForTests.map({ FilePath($0) }) else { return nil }
    let own = folder.appending("cgroup.\(process)")
    let bytes =
      try? (try? OpenFile.open(own))?.readAll(limit: 4096)
      ?? OpenFile.open(folder.appending("cgroup")).readAll(limit: 4096)
    return String(decoding: bytes ?? [], as: UTF8.self)
  }
}
