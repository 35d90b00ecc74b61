import Foundation
import StillSystem
import SystemPackage

/// A real Chromium without a window: what it draws of a page, and what it complains of.
public struct Browser: Sendable {
  public enum Scheme: String, Sendable, CaseIterable { case light, dark }

  /// nil where there is none; scripts/setup installs it.
  public static let program: String? = ["/usr/bin/chromium", "/usr/bin/chromium-browser"]
    .first { FileManager.default.isExecutableFile(atPath: $0) }

  public var scheme: Scheme

  public init(_ scheme: Scheme = .light) { self.scheme = scheme }

  /// A window is never narrower than this, so a phone is a frame in one.
  private static let least = 500

  /// Lets a script, `measure(window)`, look at the page as it is, from outside: nothing is added to the page.
  ///
  /// - Parameter widths: of the page's windows, in CSS pixels.
  /// - Returns: what it returned for each.
  public func measure<Value: Decodable>(
    _ page: String, widths: [Int], _ script: String
  ) throws -> [Value] {
    let frames = widths.map {
      "<iframe style=\"width:\($0)px;height:900px\" srcdoc=\"\(Browser.escaped(page))\"></iframe>"
    }
    let whole = """
      <!DOCTYPE html><meta charset="utf-8"><style>body{margin:0}iframe{border:0}</style>
      \(frames.joined(separator: "\n"))
      <script>
      \(script)
      onload = () => {
        const frames = Array.from(document.querySelectorAll('iframe'));
        const found = JSON.stringify(frames.map(f => measure(f.contentWindow)));
        const bytes = new TextEncoder().encode(found);
        document.body.dataset.found = Array.from(bytes, b => b.toString(16).padStart(2, '0')).join('');
      };
      </script>

      """
    let outcome = try run(whole, ["--dump-dom"])
    let parts = outcome.output.components(separatedBy: "data-found=\"")
    guard parts.count == 2, let digits = parts[1].components(separatedBy: "\"").first else {
      throw Trouble("the page was not measured: \(outcome.talk)")
    }
    var bytes: [UInt8] = []
    var rest = Substring(digits)
    while let byte = UInt8(rest.prefix(2), radix: 16) {
      bytes.append(byte)
      rest = rest.dropFirst(2)
    }
    return try JSONDecoder().decode([Value].self, from: Data(bytes))
  }

  /// What the browser has to say of a page that it opens by itself: scripts that fail, content that the page's
  /// policy forbids.
  public func complaints(of page: String) throws -> [String] {
    try run(page, ["--dump-dom"]).talk
      .split(separator: "\n").map(String.init).filter { $0.contains("CONSOLE") }
  }

  /// Keeps a picture of the whole page.
  ///
  /// - Parameter size: of the page, in CSS pixels.
  public func picture(
    of page: String, size: (width: Int, height: Int), at path: FilePath
  ) throws {
    let (width, height) = size
    let isFramed = width < Browser.least
    let frame = """
      <!DOCTYPE html><meta charset="utf-8"><style>body{margin:0;background:#888}iframe{border:0;display:block;\
      margin:0 auto}</style><iframe style="width:\(width)px;height:\(height)px" srcdoc="\(Browser.escaped(page))"></iframe>
      """
    _ = try run(
      isFramed ? frame : page, ["--hide-scrollbars", "--screenshot=\(path)"],
      width: max(width, Browser.least), height: height)
  }

  /// Keeps the page as it is printed.
  public func print(_ page: String, at path: FilePath) throws {
    _ = try run(page, ["--no-pdf-header-footer", "--print-to-pdf=\(path)"])
  }

  private func run(
    _ page: String, _ words: [String], width: Int = 1000, height: Int = 900
  ) throws -> Tool.Outcome {
    guard let program = Browser.program else { throw Trouble("there is no Chromium here") }
    let place = try TestFolder(on: .disk)
    let file = place.path.appending("page.html")
    try page.write(toFile: file.string, atomically: false, encoding: .utf8)
    let home = try place.folder("home")
    let outcome = try Tool.run(
      [
        // One that hangs ends.
        "timeout", "180", program, "--headless=new", "--no-sandbox", "--disable-gpu",
        "--user-data-dir=\(home)/data", "--no-first-run", "--disable-extensions",
        "--disable-background-networking", "--host-resolver-rules=MAP * ~NOTFOUND",
        "--enable-logging=stderr", "--window-size=\(width),\(height)",
        // 0 is dark, 1 light (third_party/blink/public/mojom/css/preferred_color_scheme.mojom).
        "--blink-settings=preferredColorScheme=\(scheme == .dark ? 0 : 1)",
      ] + words + ["file://\(file)"],
      environment: ["PATH": "/usr/bin:/bin", "HOME": home.string, "LC_ALL": "C.UTF-8"])
    guard outcome.status == 0 else {
      throw Trouble("\(program) ended with \(outcome.status): \(outcome.talk)")
    }
    return outcome
  }

  private static func escaped(_ page: String) -> String {
    page.replacing("&", with: "&amp;").replacing("\"", with: "&quot;")
  }
}
