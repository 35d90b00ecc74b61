import CACL
import Glibc
import StillModel

/// POSIX access control lists (acl(5)) as text: entries joined by commas, users and groups by name
/// with the number as a fourth field (`user:alice:rw-:1001`), as star and GNU tar write them in
/// `SCHILY.acl.*`. So a reader that knows neither the name nor this form still finds one of both.
public enum AccessLists {
  /// The list that decides about access; nil where the mode bits say all there is to say.
  public static func access(of descriptor: Int32, shown: String) throws -> String? {
    guard let list = acl_get_fd(descriptor) else { return try nothing("read the ACL of", shown) }
    defer { acl_free(UnsafeMutableRawPointer(list)) }
    if acl_equiv_mode(list, nil) == 0 { return nil }
    return try text(list, shown)
  }

  /// What new files in a folder inherit; nil where there is none.
  public static func inherited(of descriptor: Int32, shown: String) throws -> String? {
    guard let list = acl_get_file(reachable(descriptor), inheritedType) else {
      return try nothing("read the default ACL of", shown)
    }
    defer { acl_free(UnsafeMutableRawPointer(list)) }
    if acl_entries(list) == 0 { return nil }
    return try text(list, shown)
  }

  public static func setAccess(_ text: String, of descriptor: Int32, shown: String) throws {
    let list = try parsed(text, shown)
    defer { acl_free(UnsafeMutableRawPointer(list)) }
    _ = try check("set the ACL of", shown) { acl_set_fd(descriptor, list) }
  }

  public static func setInherited(_ text: String, of descriptor: Int32, shown: String) throws {
    let list = try parsed(text, shown)
    defer { acl_free(UnsafeMutableRawPointer(list)) }
    _ = try check("set the default ACL of", shown) {
      acl_set_file(reachable(descriptor), inheritedType, list)
    }
  }

  /// `ACL_TYPE_DEFAULT`, which Swift sees with another type than the calls want.
  private static let inheritedType = acl_type_t(ACL_TYPE_DEFAULT)

  /// libacl has no call for the default list of a descriptor; this path leads to the open folder.
  private static func reachable(_ descriptor: Int32) -> String { "/proc/self/fd/\(descriptor)" }

  /// A file system without ACLs has none; any other reason is an error. Reads errno first.
  private static func nothing(_ action: String, _ shown: String) throws -> String? {
    let code = errno
    if code == ENOTSUP || code == ENOSYS { return nil }
    throw StillError.system(action, shown, code)
  }

  private static func text(_ list: acl_t, _ shown: String) throws -> String {
    let named = try rendered(list, 0, shown).split(separator: ",")
    let numbered = try rendered(list, TEXT_NUMERIC_IDS, shown).split(separator: ",")
    return zip(named, numbered).map { name, number in
      let id = number.split(separator: ":", omittingEmptySubsequences: false)
      return name == number || id.count < 2 ? String(name) : "\(name):\(id[1])"
    }.joined(separator: ",")
  }

  private static func rendered(_ list: acl_t, _ options: Int32, _ shown: String) throws -> String {
    guard let text = acl_to_any_text(list, nil, CChar(UInt8(ascii: ",")), options) else {
      throw StillError.system("write down the ACL of", shown, errno)
    }
    defer { acl_free(text) }
    return String(cString: text)
  }

  /// Reads the form above, and what acl_to_text(3) writes: names where they are known here, else
  /// the numbers that go with them.
  private static func parsed(_ text: String, _ shown: String) throws -> acl_t {
    let entries = text.split { $0 == "," || $0 == "\n" }.map { entry in
      entry.prefix { $0 != "#" }.split(separator: ":", omittingEmptySubsequences: false)
    }
    let byName = entries.map { $0.prefix(3).joined(separator: ":") }
    if let list = acl_from_text(byName.joined(separator: ",")) { return list }
    let byNumber = entries.map { fields in
      fields.count == 4 ? "\(fields[0]):\(fields[3]):\(fields[2])" : fields.joined(separator: ":")
    }
    if let list = acl_from_text(byNumber.joined(separator: ",")) { return list }
    throw StillError(
      .failed, "cannot understand the ACL \"\(text)\" of \(shown)",
      hint: "A user or group in it may not exist on this host.")
  }
}
