import StillModel
import SystemPackage

/// Further names of files, found while an archive is verified: each is as good as the file, once it
/// is known what became of that.
struct FoundLinks {
  private var links: [(path: FilePath, target: FilePath, listed: ManifestFile?)] = []
  /// The names of files in an archive that no manifest lists.
  private var files: Set<FilePath> = []

  mutating func add(_ path: FilePath, to target: FilePath, _ listed: ManifestFile?) {
    links.append((path, target, listed))
  }

  /// False where the archive holds it already.
  mutating func addUnlisted(_ file: FilePath) -> Bool { files.insert(file).inserted }

  /// Completes the findings on everything else.
  mutating func judge(_ expected: ExpectedFiles?, _ findings: inout VerifyFindings) throws {
    guard !links.isEmpty else { return }
    let listed = try expected?.entries(of: Set(links.map(\.target))) ?? [:]
    var bad = Set(findings.bad.map(\.path))
    let missing = Set(findings.missing)
    var unread = Set(findings.unread)
    for link in links {
      let isHeld = expected == nil ? files.contains(link.target) : listed[link.target] != nil
      if unread.contains(link.target) {
        findings.unread.append(link.path)
        unread.insert(link.path)
        continue
      }
      let fault: String? =
        if !isHeld || missing.contains(link.target) {
          "which is not there"
        } else if bad.contains(link.target) {
          "which is bad"
        } else if let own = link.listed, let its = listed[link.target],
          own.size != its.size || own.checksum != its.checksum
        {
          "which has other content"
        } else {
          nil
        }
      if let fault {
        findings.bad.append(
          .init(path: link.path, fault: "it is another name of \(link.target), \(fault)"))
        bad.insert(link.path)
      } else {
        findings.goodFiles += 1
        files.insert(link.path)
      }
    }
  }
}
