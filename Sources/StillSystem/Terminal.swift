import Glibc

/// The standard streams: stdout is data, stderr is talk.
public enum Terminal {
  /// Whether talk goes to a person's screen.
  public static var showsTalk: Bool {
    isatty(STDERR_FILENO) == 1 && Environment.value("TERM").map { $0 != "dumb" } ?? false
  }

  /// Columns of the screen that shows talk; 80 where there is none.
  public static var columns: Int {
    var size = winsize()
    return ioctl(STDERR_FILENO, UInt(TIOCGWINSZ), &size) == 0 && size.ws_col > 0
      ? Int(size.ws_col) : 80
  }

  /// Writes to stdout, all of it or as much as its reader wants.
  public static func print(_ text: String) { write(text, to: STDOUT_FILENO) }

  /// Writes to stderr.
  public static func talk(_ text: String) { write(text, to: STDERR_FILENO) }

  private static func write(_ text: String, to descriptor: Int32) {
    var text = text
    text.withUTF8 { bytes in
      var done = 0
      while done < bytes.count, let base = bytes.baseAddress {
        let count = Glibc.write(descriptor, base + done, bytes.count - done)
        if count < 0, errno == EINTR { continue }
        if count <= 0 { return }
        done += count
      }
    }
  }
}
