import StillModel
import StillSystem
import SystemPackage

/// Everything about a tree that a backup keeps, one line a name, to compare two trees with.
func listing(_ folder: OpenFolder, withTimes: Bool = true) throws -> [String] {
  var lines: [String] = []
  func line(_ path: FilePath, _ metadata: FileMetadata, _ rest: String) {
    let time =
      withTimes ? " \(metadata.modifiedSeconds).\(metadata.modifiedNanoseconds)" : ""
    let mode = metadata.kind == .link ? "" : " \(String(metadata.mode, radix: 8))"
    lines.append(
      "\(path.bytes) \(metadata.kind)\(mode) \(metadata.owner):\(metadata.group)\(time) \(rest)")
  }
  func attributes(_ descriptor: Int32, _ all: [ExtendedAttribute], isFolder: Bool) throws -> String
  {
    let access = try AccessLists.access(of: descriptor, shown: "") ?? "-"
    let inherited = isFolder ? try AccessLists.inherited(of: descriptor, shown: "") ?? "-" : "-"
    return "\(all.map { "\($0.name)=\($0.value)" }) \(access) \(inherited)"
  }
  func walk(_ folder: OpenFolder, _ path: FilePath) throws {
    line(
      path, try folder.metadata(),
      try attributes(folder.descriptor, try folder.extendedAttributes(), isFolder: true))
    for name in try folder.names() {
      let metadata = try folder.metadata(of: name)
      let child = path.appending(name.components)
      switch metadata.kind {
      case .folder: try walk(try folder.folder(name), child)
      case .link: line(child, metadata, "\(try folder.target(ofLink: name))")
      case .file:
        let file = try folder.file(name)
        let content = try file.readAll(limit: 1 << 30)
        line(
          child, metadata,
          "\(content.count) \(content.hashValue) "
            + (try attributes(file.descriptor, try file.extendedAttributes(), isFolder: false)))
      case .other: line(child, metadata, "other")
      }
    }
  }
  try walk(folder, FilePath(""))
  return lines
}
