/// The version of this program.
public enum StillVersion {
  public static let text = "0.1.0"
}
