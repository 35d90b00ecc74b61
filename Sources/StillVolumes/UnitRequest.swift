import StillModel
import StillSystem

/// What the coordinator may ask of the broker about the unit of a server. No request has the name of
/// a unit in it.
enum UnitRequest: Codable {
  case find(postmaster: Int32)
  case stop(postmaster: Int32)
  case start
  case isChanging
  case letBe
  case isUp
  case down
}

enum UnitReply: Codable {
  case found(ServerUnit?)
  case down([String])
  case isChanging(Bool)
  case done
}

extension BrokerClient: ServiceUnits {
  public var units: (any ServiceUnits)? { self }

  public func unit(ofPostmaster postmaster: Int32) throws -> ServerUnit? {
    guard case .found(let unit) = try ask(.find(postmaster: postmaster)) else { throw confused() }
    return unit
  }

  public func stopUnit(ofPostmaster postmaster: Int32) throws {
    guard case .done = try ask(.stop(postmaster: postmaster)) else { throw confused() }
  }

  public func startUnit() throws {
    guard case .done = try ask(.start) else { throw confused() }
  }

  public func unitIsChanging() throws -> Bool {
    guard case .isChanging(let answer) = try ask(.isChanging) else { throw confused() }
    return answer
  }

  public func letUnitBeDown() throws {
    guard case .done = try ask(.letBe) else { throw confused() }
  }

  public func unitIsUp() throws {
    guard case .done = try ask(.isUp) else { throw confused() }
  }

  public func dependantsThatAreDown() throws -> [String] {
    guard case .down(let names) = try ask(.down) else { throw confused() }
    return names
  }

  private func ask(_ request: UnitRequest) throws -> UnitReply {
    guard case .unit(let reply) = try ask(.unit(request)).reply else { throw confused() }
    return reply
  }
}
