import ArgumentParser
import StillModel
import StillSystem
import StillTransfer
import SystemPackage

/// How another host is reached.
struct SSHOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "ssh with options, for another host. Words are parted by blanks.",
      valueName: "command"))
  var ssh = RemoteShell.standardWords.joined(separator: " ")

  var words: [String] { ssh.split(separator: " ").map(String.init) }
}

extension Destination {
  /// Reads what an option says; a folder of this host is made absolute.
  init(option: String, _ text: String) throws {
    guard let destination = Destination(text) else {
      throw ValidationError(
        "\(option) wants DIR, [USER@]HOST:DIR or rsync://HOST[:PORT]/MODULE/DIR.")
    }
    guard case .folder(let path) = destination else {
      self = destination
      return
    }
    self = .folder(try FilePath(path).absolute().string)
  }
}
