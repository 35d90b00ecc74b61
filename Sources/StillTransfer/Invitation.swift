/// What a guest needs to come in by a `Doorway`. Worth nothing once that is closed.
public struct Invitation: Hashable, Sendable, Codable {
  /// What the host with the door is called, with the user that he is there: `postgres@db2`.
  public var host: String
  /// What that calls the guest's cluster: `[USER@]HOST:DIR`.
  public var guest: String
  /// On the guest's own loopback: leads to the door.
  public var port: Int
  /// His private key, as ssh-keygen writes it.
  public var key: String
  /// The public key by which he knows the door.
  public var hostKey: String
}
