/// Numbers in the files of a server on a little-endian machine, which is every machine that this
/// program runs on; a control file of another byte order fails its checksum.
extension Array where Element == UInt8 {
  /// The number whose lowest byte stands at `offset`; the caller has checked that it is all there.
  func littleEndian<Number: FixedWidthInteger>(at offset: Int, as: Number.Type = Number.self)
    -> Number
  {
    withUnsafeBytes {
      Number(littleEndian: $0.loadUnaligned(fromByteOffset: offset, as: Number.self))
    }
  }
}
