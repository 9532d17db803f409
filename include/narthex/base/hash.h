/* base/hash.h: hashes and checksums. Pure functions. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "narthex/base/str.h"

/* Fast 64-bit hash for tables of this process (XXH3); the value may change between versions of the
 * program and never goes to disk. */
uint64_t hash_bytes(const void *data, size_t size);
uint64_t hash_bytes_seeded(const void *data, size_t size, uint64_t seed);
static inline uint64_t hash_str(struct str s)
{
    return hash_bytes(s.data, s.size);
}
/* Mixes one more 64-bit value into a hash. */
static inline uint64_t hash_mix(uint64_t hash, uint64_t value)
{
    hash ^= value + UINT64_C(0x9e3779b97f4a7c15) + (hash << 6) + (hash >> 2);
    hash *= UINT64_C(0xff51afd7ed558ccd);
    return hash ^ (hash >> 33);
}
/* xxHash64 with seed 0: fixed by the algorithm, used where Prometheus' own value matters. */
uint64_t hash_xxh64(const void *data, size_t size);
/* CRC-32C (Castagnoli) of data, continuing from `crc` (0 to begin). Goes to disk. */
uint32_t hash_crc32c(uint32_t crc, const void *data, size_t size);
