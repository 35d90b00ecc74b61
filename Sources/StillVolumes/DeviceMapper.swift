import CDeviceMapper
import StillModel
import StillSystem
import SystemPackage

/// Calls of libdevmapper on one device, by its name in `/dev/mapper`. For everything outside the
/// freeze window; inside it there are only prepared ioctl calls (see CFreeze).
struct DeviceMapper {
  /// A line of a device's table or status; lengths in sectors of 512 bytes.
  struct Line: Equatable {
    var start: UInt64
    var length: UInt64
    var target: String
    var parameters: String
  }

  var name: String

  func table() throws -> [Line] { try lines(DM_DEVICE_TABLE, "read the table of") }

  func status() throws -> [Line] { try lines(DM_DEVICE_STATUS, "ask for the status of") }

  /// Of the table that waits in it.
  func waitingStatus() throws -> [Line] {
    try lines(DM_DEVICE_STATUS, "ask for the waiting table of", isWaiting: true)
  }

  /// How many times the device is open now; 0 if it does not exist.
  func openCount() throws -> Int { try info().map { Int($0.open_count) } ?? 0 }

  /// nil if it does not exist.
  func number() throws -> DeviceNumber? {
    try info().map { DeviceNumber(major: $0.major, minor: $0.minor) }
  }

  /// An unmount ends a moment after the last descriptor is closed.
  ///
  /// - Throws: `.leftBehind` where somebody keeps it open, and who that is.
  func waitUntilClosed() throws {
    for _ in 0..<100 {
      if try openCount() == 0 { return }
      Clock.sleep(milliseconds: 50)
    }
    let holders = try number().map { DeviceHolders.of($0) } ?? []
    throw StillError(
      .leftBehind,
      holders.isEmpty
        ? "it is still open, by somebody who does not show"
        : "it is still open: " + DeviceHolders.sentence(holders))
  }

  /// Whether somebody may wait for its resume. A device without a table in place cannot be resumed, and
  /// nobody waits for it.
  func isSuspended() throws -> Bool {
    try info().map { $0.suspended != 0 && $0.live_table != 0 } ?? false
  }

  /// Whether a table waits in it for the next resume.
  func hasInactiveTable() throws -> Bool { try info().map { $0.inactive_table != 0 } ?? false }

  func exists() throws -> Bool { try info() != nil }

  private func info() throws -> dm_info? {
    try run(DM_DEVICE_INFO, "examine") { task in
      var info = dm_info()
      return dm_task_get_info(task, &info) != 0 && info.exists != 0 ? info : nil
    }
  }

  /// Puts a table into the device's inactive slot.
  func load(_ line: Line) throws {
    try run(DM_DEVICE_RELOAD, "load a table into") { task in
      guard dm_task_add_target(task, line.start, line.length, line.target, line.parameters) != 0
      else { throw failure("load a table into", .noMemory) }
    } then: { _ in
    }
  }

  /// Drops the inactive table, if there is one.
  func clear() throws { try run(DM_DEVICE_CLEAR, "clear the inactive table of") { _ in } }

  /// Takes the device away; nobody may have it open.
  func remove() throws {
    var cookie: UInt32 = 0
    try run(DM_DEVICE_REMOVE, "remove") { task in
      guard dm_task_set_cookie(task, &cookie, 0) != 0 else { throw failure("remove", .ioError) }
    } then: { _ in
    }
    dm_udev_wait(cookie)
  }

  /// Puts the inactive table in place, if there is one, and lets the device run.
  ///
  /// - Parameter isHidden: whether it shows nothing, so that no rule of udev's has any business with
  ///   it. Never for a device in use: udev takes away the links of one that its rules pass over.
  func resume(isHidden: Bool = false) throws {
    var cookie: UInt32 = 0
    try run(DM_DEVICE_RESUME, "resume") { task in
      let flags =
        isHidden
        ? DM_UDEV_DISABLE_SUBSYSTEM_RULES_FLAG | DM_UDEV_DISABLE_DISK_RULES_FLAG
          | DM_UDEV_DISABLE_OTHER_RULES_FLAG : 0
      guard dm_task_set_cookie(task, &cookie, UInt16(flags)) != 0 else {
        throw failure("resume", .ioError)
      }
    } then: { _ in
    }
    dm_udev_wait(cookie)
  }

  /// Sends a message to the target at the device's first sector.
  func send(_ message: String) throws {
    try run(DM_DEVICE_TARGET_MSG, "send \"\(message)\" to") { task in
      guard dm_task_set_sector(task, 0) != 0, dm_task_set_message(task, message) != 0 else {
        throw failure("send \"\(message)\" to", .noMemory)
      }
    } then: { _ in
    }
  }

  private func lines(_ kind: Int, _ action: String, isWaiting: Bool = false) throws -> [Line] {
    try run(kind, action) { task in
      guard !isWaiting || dm_task_query_inactive_table(task) != 0 else {
        throw failure(action, .noMemory)
      }
    } then: { task in
      var lines: [Line] = []
      var next: UnsafeMutableRawPointer?
      repeat {
        var start: UInt64 = 0
        var length: UInt64 = 0
        var target: UnsafeMutablePointer<CChar>?
        var parameters: UnsafeMutablePointer<CChar>?
        next = dm_get_next_target(task, next, &start, &length, &target, &parameters)
        if let target {
          lines.append(
            Line(
              start: start, length: length, target: String(cString: target),
              parameters: parameters.map { String(cString: $0) } ?? ""))
        }
      } while next != nil
      return lines
    }
  }

  private func run<Result>(
    _ kind: Int, _ action: String, then body: (OpaquePointer) throws -> Result
  ) throws -> Result {
    try run(kind, action, prepare: { _ in }, then: body)
  }

  private func run<Result>(
    _ kind: Int, _ action: String, prepare: (OpaquePointer) throws -> Void,
    then body: (OpaquePointer) throws -> Result
  ) throws -> Result {
    guard let task = dm_task_create(Int32(kind)) else { throw failure(action, .noMemory) }
    defer { dm_task_destroy(task) }
    guard dm_task_set_name(task, name) != 0 else { throw failure(action, .invalidArgument) }
    try prepare(task)
    guard dm_task_run(task) != 0 else {
      throw failure(action, Errno(rawValue: dm_task_get_errno(task)))
    }
    return try body(task)
  }

  private func failure(_ action: String, _ reason: Errno) -> StillError {
    StillError(
      .volumes, "device-mapper could not \(action) \(name): \(StillError.reason(reason.rawValue))")
  }
}
