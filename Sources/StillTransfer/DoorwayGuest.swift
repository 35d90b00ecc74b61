import StillModel
import StillSystem
import SystemPackage

/// Whoever was invited through a `Doorway`: goes there by ssh, with the key that he was given, and
/// whatever the other host is called.
public final class DoorwayGuest {
  private let folder: PrivateFolder

  /// Not before this process is the user that it stays: ssh wants its files to be his.
  public init(_ invitation: Invitation) throws {
    folder = try PrivateFolder()
    try folder.write("key", invitation.key)
    try folder.write("known", "\(DoorwayGuest.alias) \(invitation.hostKey)")
    try folder.write(
      "settings",
      """
      Host *
        HostName 127.0.0.1
        Port \(invitation.port)
        HostKeyAlias \(DoorwayGuest.alias)
        UserKnownHostsFile "\(folder.path)/known"
        GlobalKnownHostsFile /dev/null
        StrictHostKeyChecking yes
        IdentityFile "\(folder.path)/key"
        IdentitiesOnly yes
        IdentityAgent none
        ControlPath none
        LogLevel ERROR
      """)
  }

  /// What is run to get there: ssh, and its arguments.
  public var shell: [String] { ["ssh", "-F", folder.path.appending("settings").string] }

  private static let alias = "pgstill"
}
