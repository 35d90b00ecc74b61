import Glibc

/// This machine.
public enum Host {
  /// What it calls itself (uname(2), "nodename").
  public static var name: String {
    var facts = utsname()
    guard uname(&facts) == 0 else { return "" }
    return withUnsafeBytes(of: &facts.nodename) {
      String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self)
    }
  }
}
