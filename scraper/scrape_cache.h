/* The positional cache of one target: what line i of its last scrape was.
 *
 * Targets expose their lines in the same order every time, so line i is compared with line i of the
 * last scrape by a seeded hash of its key (the text of name and labels; the text itself is not
 * kept). On a match no label is parsed, and a value whose text is the same is not converted. At the
 * first line that differs the cache is rewritten: from there on lines are also looked up in a table
 * of all lines, and what is found nowhere is parsed in full.
 *
 * Belongs to the target's loop; rewriting uses buffers of the shard (scrape_rewrite). One thread.
 */
#pragma once

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "narthex/base/htable.h"
#include "narthex/tsdb/storage.h"
#include "synthetic_starts.h"

enum cache_line_kind {
    CACHE_LINE_SERIES,
    CACHE_LINE_DROPPED, /* by relabeling */
    CACHE_LINE_COMMENT, /* TYPE, HELP, UNIT lines of one family: the key is all of them */
};

enum cache_line_flags {
    CACHE_LINE_DUPLICATE = 1,  /* the same key stands further up */
    CACHE_LINE_HISTOGRAM = 2,  /* its samples are native histograms */
    CACHE_LINE_NORMALISED = 4, /* le or quantile were rewritten: labels depend on the TYPE line */
    CACHE_LINE_TYPE = 16,      /* comment: a TYPE line, the type is in text_size */
    CACHE_LINE_TAKEN = 8,      /* while rewriting: found again in this scrape */
};

enum { CACHE_TEXT_BYTES = 13, CACHE_KNOWN_BITS = 1 << 15 };

struct cache_line {
    uint64_t key_hash;
    series_ref ref; /* of a comment: its item in the target's metadata */
    double value;
    uint32_t key_size;
    uint32_t seen; /* the scrape whose sample of this series was appended last; 0: none */
    char text[CACHE_TEXT_BYTES]; /* the value's, when it fits */
    uint8_t text_size;
    uint8_t kind;
    uint8_t flags;
};
static_assert(sizeof(struct cache_line) == 48, "part of the memory budget of a series");

struct scrape_cache {
    struct cache_line *lines;
    uint32_t count;
    uint64_t seed;
    int64_t t_ms;                    /* of the last scrape; 0: there was none */
    struct synthetic_starts *starts; /* NULL: none are made */
};

/* Buffers for rewriting one cache at a time. */
struct scrape_rewrite {
    bool active;
    struct cache_line *lines; /* of this scrape, so far */
    uint32_t count;
    uint32_t capacity;
    /* Old lines by number, lines of this scrape by number + old count; duplicates are not in it. */
    struct htable table;
    bool has_table; /* made when a key is neither near nor surely new */
    uint32_t *own;  /* before that: lines of this scrape that belong into it */
    uint32_t own_count;
    uint32_t own_capacity;
    uint64_t known[CACHE_KNOWN_BITS / 64]; /* a filter: bits of the hashes that the table has */
};

/* The hash of a key. Products of 16 bytes at a time, folded; both factors are mixed with what only
 * this process knows. XXH3 takes more than twice the instructions for the 30 to 150 bytes of a
 * series, and this one is part of the loop. */
static inline uint64_t scrape_key_fold(uint64_t a, uint64_t b)
{
    __extension__ unsigned __int128 product = (unsigned __int128)a * b;
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

static inline uint64_t scrape_key_load(const char *at, size_t size)
{
    uint64_t bytes = 0;
    memcpy(&bytes, at, size);
    return bytes;
}

static inline uint64_t scrape_key_hash(const char *key, size_t size, uint64_t seed)
{
    const uint64_t secret = seed * UINT64_C(0x9e3779b97f4a7c15) ^ UINT64_C(0xd6e8feb86659fd93);
    uint64_t hash = seed ^ size;
    if (size >= 16) {
        const char *last = key + size - 16;
        for (; key < last; key += 16)
            hash = scrape_key_fold(scrape_key_load(key, 8) ^ secret,
                                   scrape_key_load(key + 8, 8) ^ hash);
        hash =
            scrape_key_fold(scrape_key_load(last, 8) ^ secret, scrape_key_load(last + 8, 8) ^ hash);
    } else if (size >= 8) {
        hash = scrape_key_fold(scrape_key_load(key, 8) ^ secret,
                               scrape_key_load(key + size - 8, 8) ^ hash);
    } else if (size >= 4) {
        hash = scrape_key_fold(scrape_key_load(key, 4) ^ secret,
                               scrape_key_load(key + size - 4, 4) ^ hash);
    } else {
        hash = scrape_key_fold(scrape_key_load(key, size) ^ secret, hash);
    }
    return scrape_key_fold(hash ^ secret, size ^ UINT64_C(0xa0761d6478bd642f));
}

void scrape_cache_deinit(struct scrape_cache *cache);
void scrape_rewrite_init(struct scrape_rewrite *rewrite);
void scrape_rewrite_deinit(struct scrape_rewrite *rewrite);

/* Starts rewriting: the first `matched` lines were found in place. */
void scrape_rewrite_begin(struct scrape_rewrite *rewrite, struct scrape_cache *cache,
                          uint32_t matched);
/* The line with this key, old or of this scrape (then *is_new), or NULL. Old lines from `near` on
 * are looked at first: when series end, the next line is not far behind. */
struct cache_line *scrape_rewrite_find(struct scrape_rewrite *rewrite, struct scrape_cache *cache,
                                       uint32_t near, uint64_t key_hash, uint32_t key_size,
                                       bool *is_new);
/* Appends a line to this scrape's; one with a key of its own is put into the table. */
struct cache_line *scrape_rewrite_push(struct scrape_rewrite *rewrite,
                                       const struct scrape_cache *cache,
                                       const struct cache_line *line, bool own_key);
/* Ends rewriting: the lines of this scrape become the cache's. Old lines that were not found again
 * are appended when `keep_lost` (the scrape failed), else forgotten. */
void scrape_rewrite_end(struct scrape_rewrite *rewrite, struct scrape_cache *cache, bool keep_lost);
