/// What a guest needs to come in by a `Doorway`. Worth nothing once that is closed.
public struct Invitation: Hashable, Sendable, Codable {
  /// On the guest's own loopback: leads to the door.
  public var port: Int
  /// Who he is over there.
  public var user: String
  /// His private key, as ssh-keygen writes it.
  public var key: String
  /// The public key by which he knows the door.
  public var hostKey: String
}
