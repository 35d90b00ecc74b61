#include "still.h"

#include <string.h>

// PostgreSQL's checksum of a page, as src/include/storage/checksum_impl.h describes it: the page is
// 32 columns of 32-bit words, each column hashed for itself (FNV-1a with one more mixing step), so
// that a compiler can do several columns with one instruction.

enum { COLUMNS = 32, CHECKSUM_OFFSET = 8 };

static const uint32_t PRIME = 16777619;

// What each column's hash begins with; part of the format of every page on every disk.
static const uint32_t BEGINNINGS[COLUMNS] = {
    0x5B1F36E9, 0xB8525960, 0x02AB50AA, 0x1DE66D2A, 0x79FF467A, 0x9BB9F8A3, 0x217E7CD2,
    0x83E13D2C, 0xF8D4474F, 0xE39EB970, 0x42C6AE16, 0x993216FA, 0x7B093B5D, 0x98DAFF3C,
    0xF718902A, 0x0B1C9CDB, 0xE58F764B, 0x187636BC, 0x5D7B3BB1, 0xE73DE7DE, 0x92BEC979,
    0xCCA6C0B2, 0x304A0979, 0x85AA43D4, 0x783125BB, 0x6CA8EAA2, 0xE407EAC6, 0x4B5CFC3E,
    0x9FBF8C76, 0x15CA20BE, 0xF2CA9FD3, 0x959BD756};

static inline void mix(uint32_t sums[COLUMNS], const uint32_t row[COLUMNS]) {
  for (int column = 0; column < COLUMNS; column++) {
    uint32_t value = sums[column] ^ row[column];
    sums[column] = value * PRIME ^ (value >> 17);
  }
}

uint16_t still_page_checksum(const void *page, size_t size, uint32_t block) {
  uint32_t sums[COLUMNS];
  uint32_t row[COLUMNS];
  memcpy(sums, BEGINNINGS, sizeof sums);
  for (size_t offset = 0; offset + sizeof row <= size; offset += sizeof row) {
    memcpy(row, (const unsigned char *)page + offset, sizeof row);
    // The checksum itself counts as zero.
    if (offset == 0) memset((unsigned char *)row + CHECKSUM_OFFSET, 0, sizeof(uint16_t));
    mix(sums, row);
  }
  memset(row, 0, sizeof row);
  mix(sums, row);
  mix(sums, row);
  uint32_t result = block;
  for (int column = 0; column < COLUMNS; column++) result ^= sums[column];
  // Never zero, which stands for a page without a checksum.
  return (uint16_t)(result % 65535 + 1);
}
