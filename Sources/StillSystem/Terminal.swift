import Glibc
import Synchronization

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

  /// Columns that output is drawn for: those of the screen, else what COLUMNS says, else 80.
  public static var outputColumns: Int {
    var size = winsize()
    if ioctl(STDOUT_FILENO, UInt(TIOCGWINSZ), &size) == 0, size.ws_col > 0 {
      return Int(size.ws_col)
    }
    let told = Environment.value("COLUMNS").flatMap { Int($0) }
    return told.flatMap { (1...10_000).contains($0) ? $0 : nil } ?? 80
  }

  /// Whether output may be drawn with characters beyond ASCII: those of the locale (the manual of
  /// setlocale(3): the first of these variables that says anything counts).
  public static var drawsUnicode: Bool {
    let names = ["LC_ALL", "LC_CTYPE", "LANG"]
    let locale = names.lazy.compactMap { Environment.value($0) }.first { !$0.isEmpty } ?? "C"
    let character = locale.split(separator: "@").first?.split(separator: ".").dropFirst().first
    return ["utf-8", "utf8"].contains(character?.lowercased() ?? "")
  }

  /// Whether stdout is a person's screen.
  public static var showsOutput: Bool { isatty(STDOUT_FILENO) == 1 }

  /// Empties the screen, where stdout is one (ECMA-48, "CUP", "ED").
  public static func clear() { if showsOutput { print("\u{1B}[H\u{1B}[2J") } }

  /// Writes to stderr.
  public static func talk(_ text: String) {
    write(text, to: talkDescriptor.load(ordering: .acquiring))
  }

  private static let talkDescriptor = Atomic<Int32>(STDERR_FILENO)

  /// Keeps stderr for this process: programs that it starts get one that nobody reads. For where the end of
  /// stderr is waited for, and a program may leave a server behind. Called before there are threads.
  public static func keepTalk() throws {
    let ours = try check("copy", "stderr") { fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3) }
    let nothing = try check("open", "/dev/null") { open("/dev/null", O_WRONLY | O_CLOEXEC) }
    _ = try check("redirect", "stderr") { dup2(nothing, STDERR_FILENO) }
    close(nothing)
    talkDescriptor.store(ours, ordering: .releasing)
  }

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
