#include "still.h"

#include <string.h>

// The polynomial 0x1EDC6F41, bits reversed.
static const uint32_t POLYNOMIAL = 0x82F63B78;

static uint32_t byte_wise(uint32_t crc, const unsigned char *bytes, size_t count) {
  while (count-- > 0) {
    crc ^= *bytes++;
    for (int bit = 0; bit < 8; bit++) crc = (crc >> 1) ^ (crc & 1 ? POLYNOMIAL : 0);
  }
  return crc;
}

#if defined(__x86_64__)
#include <nmmintrin.h>

__attribute__((target("sse4.2"))) static uint32_t with_instruction(uint32_t crc,
                                                                    const unsigned char *bytes,
                                                                    size_t count) {
  uint64_t wide = crc;
  for (; count >= 8; count -= 8, bytes += 8) {
    uint64_t word;
    memcpy(&word, bytes, 8);
    wide = _mm_crc32_u64(wide, word);
  }
  crc = (uint32_t)wide;
  while (count-- > 0) crc = _mm_crc32_u8(crc, *bytes++);
  return crc;
}

static uint32_t advance(uint32_t crc, const unsigned char *bytes, size_t count) {
  return __builtin_cpu_supports("sse4.2") ? with_instruction(crc, bytes, count)
                                          : byte_wise(crc, bytes, count);
}
#else
static uint32_t advance(uint32_t crc, const unsigned char *bytes, size_t count) {
  return byte_wise(crc, bytes, count);
}
#endif

uint32_t still_crc32c(uint32_t crc, const void *bytes, size_t count) {
  return ~advance(~crc, bytes, count);
}
