import ArgumentParser
import StillModel

/// A time on the command line: `30m`.
struct Seconds: ExpressibleByArgument {
  var value: Double

  init(_ value: Double) { self.value = value }

  init?(argument: String) {
    guard let value = TimeSpan.parse(argument) else { return nil }
    self.value = value
  }

  var defaultValueDescription: String { Figures.duration(value) }
}
