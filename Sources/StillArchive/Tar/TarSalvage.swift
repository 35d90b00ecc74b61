import StillModel

/// Who takes what is left of a damaged archive.
protocol SalvageSink: TarSink {
  /// Something is wrong that is not, or not only, with the content of one file.
  func found(_ damage: StillError)

  /// Whether a member may stand here. Asked where headers were lost, for what looks like one may be
  /// the content of a file.
  func expects(_ member: TarMember) throws -> Bool
}

extension TarReader {
  /// Reads all of the archive that can be read, whatever is damaged: of a file that lies across a
  /// damaged frame the sink is told so, and where headers were lost, reading goes on with the next
  /// one.
  ///
  /// - Throws: what reading the file or the sink throws.
  func salvage(into sink: any SalvageSink) throws {
    var isLost = false
    while true {
      do {
        guard let member = try isLost ? search(sink) : nextMember() else {
          if !isLost { try expectOnlyZeros() }
          break
        }
        isLost = false
        try cancellation?.checkpoint()
        let file = try sink.begin(member)
        if member.kind == .file { try salvageContent(of: member, to: file) }
        lastWhole = member.path
      } catch let damage as DamagedStream {
        sink.found(error(damage))
        isLost = true
      }
    }
    try source.finish()
  }

  /// The next member that the sink expects; nil at the end.
  private func search(_ sink: any SalvageSink) throws -> TarMember? {
    while true {
      do {
        guard try findHeader() else { return nil }
        let header = try TarHeaderFields(try bytes(UInt64(TarFormat.blockSize), of: "a header"))
        if let member = try nextMember(header), try sink.expects(member) { return member }
      } catch let damage as DamagedStream {
        // No header, for all it looked like one; but what is lost counts.
        if damage.gap != nil { sink.found(error(damage)) }
      }
    }
  }

  /// Passes over everything up to the next block that looks like a header; false at the end.
  private func findHeader() throws -> Bool {
    let size = TarFormat.blockSize
    let rest = Int(source.position % UInt64(size))
    if rest > 0 { try passIfThere(size - rest) }
    while true {
      let piece = try ahead(.max)
      if piece.isEmpty { return false }
      // A block may lie across two pieces; then it has to be looked at when it is read.
      if piece.count < size { return true }
      var offset = 0
      while offset + size <= piece.count {
        let magic = offset + TarFormat.magic.lowerBound
        if piece[magic..<magic + 5].elementsEqual("ustar".utf8) {
          source.take(offset)
          return true
        }
        offset += size
      }
      source.take(offset)
    }
  }

  private func passIfThere(_ count: Int) throws {
    var left = count
    while left > 0 {
      let piece = try ahead(UInt64(left))
      if piece.isEmpty { return }
      source.take(piece.count)
      left -= piece.count
    }
  }

  /// - Throws: `DamagedStream` where what follows the content is lost too.
  private func salvageContent(of member: TarMember, to file: ArchivedFile?) throws {
    let size = member.storedSize
    var loss = Loss()
    if size == 0, let file { source.take(0, as: 0, of: file, at: 0) }
    var number = 0
    for part in member.sparse?.data ?? [0..<size] {
      var offset = part.lowerBound
      while offset < part.upperBound {
        offset = loss.pass(from: offset, to: part.upperBound)
        if offset == part.upperBound { break }
        do {
          let piece = try ahead(part.upperBound - offset)
          if piece.isEmpty { throw DamagedStream(reason: "it ends within a file") }
          if let file, loss.isEmpty {
            source.take(piece.count, as: number, of: file, at: offset)
          } else {
            source.take(piece.count)
          }
          offset += UInt64(piece.count)
          number += 1
        } catch let damage as DamagedStream {
          guard loss.add(damage) else {
            if !loss.isEmpty { try file?.lose(loss.description) }
            throw damage
          }
        }
      }
    }
    if !loss.isEmpty { try file?.lose(loss.description) }
    try loss.passPadding(UInt64(TarFormat.padding(size)), self)
  }
}

/// What of a file's content could not be read.
private struct Loss {
  private var parts: [Range<UInt64>] = []
  private var damage: DamagedStream?
  /// Bytes of a gap that are still to be counted against what stands in it.
  private var left: UInt64 = 0

  var isEmpty: Bool { parts.isEmpty }

  /// False where nothing is left behind the damage.
  mutating func add(_ damage: DamagedStream) -> Bool {
    guard let gap = damage.gap else { return false }
    self.damage = damage
    left = gap
    return true
  }

  /// How far the gap goes, of content from `offset` to `end`.
  mutating func pass(from offset: UInt64, to end: UInt64) -> UInt64 {
    let count = min(left, end - offset)
    guard count > 0 else { return offset }
    left -= count
    if let last = parts.last, last.upperBound == offset {
      parts[parts.count - 1] = last.lowerBound..<offset + count
    } else {
      parts.append(offset..<offset + count)
    }
    return offset + count
  }

  /// - Throws: `DamagedStream` where the gap goes on into the headers behind.
  mutating func passPadding(_ count: UInt64, _ reader: TarReader) throws {
    var rest = count - min(left, count)
    left -= count - rest
    if rest > 0 {
      do {
        try reader.pass(rest, of: "a file") { rest -= UInt64($0.count) }
      } catch let damage as DamagedStream {
        guard let gap = damage.gap, gap <= rest else { throw damage }
      }
    }
    if left > 0, let damage { throw DamagedStream(reason: damage.reason) }
  }
}

extension Loss: CustomStringConvertible {
  /// Bytes are counted from 0.
  var description: String {
    let places = parts.prefix(3).map { "\($0.lowerBound) to \($0.upperBound - 1)" }
    let more = parts.count > 3 ? " and others" : ""
    return "bytes \(places.joined(separator: ", "))\(more) cannot be decompressed: "
      + (damage?.reason ?? "")
  }
}
