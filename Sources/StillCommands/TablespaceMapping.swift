import ArgumentParser

/// `OLD=NEW`; an equals sign in a path is written `\=`, as pg_basebackup has it.
struct TablespaceMapping: ExpressibleByArgument {
  var old: String
  var new: String

  init?(argument: String) {
    var parts = [""]
    var isEscaped = false
    for character in argument {
      switch character {
      case "\\" where !isEscaped: isEscaped = true
      case "=" where !isEscaped: parts.append("")
      default:
        if isEscaped, character != "=" { parts[parts.count - 1].append("\\") }
        parts[parts.count - 1].append(character)
        isEscaped = false
      }
    }
    guard parts.count == 2, parts[0].hasPrefix("/"), !parts[1].isEmpty else { return nil }
    (old, new) = (parts[0], parts[1])
  }
}
