import CStill

/// The system's log: for a process that nobody listens to.
public enum SystemLog {
  public static func note(_ text: String) { still_log(0, text) }
  public static func warn(_ text: String) { still_log(1, text) }
}
