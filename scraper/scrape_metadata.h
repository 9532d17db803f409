/* TYPE, HELP and UNIT of the families one target shows (spec 3.6): kept by family name, until ten
 * scrapes after a family disappeared. The shard's thread is the only writer and reads without a
 * lock; it holds the target's lock while it changes something, as other readers do while reading.
 */
#pragma once

#include <stdbool.h>

#include "narthex/base/htable.h"
#include "narthex/tsdb/storage.h"

enum { METADATA_SCRAPES_KEPT = 10 };

struct metadata_family {
    struct str name; /* empty: a free item; the strings are owned */
    struct str help;
    struct str unit;
    enum metadata_type type;
};

struct scrape_metadata {
    struct metadata_family *items;
    /* By item: number of the scrape that showed it last. Only the shard looks at it, and apart from
     * the items: each scrape writes all of these, and nothing else here. */
    uint32_t *seen;
    uint32_t count;
    uint32_t capacity;
    uint32_t free_count;
    struct htable index; /* family name -> item */
    bool has_index;
    size_t bytes; /* of the strings */
};

void scrape_metadata_deinit(struct scrape_metadata *metadata);
/* What is held besides the strings. */
size_t scrape_metadata_table_bytes(const struct scrape_metadata *metadata);
/* Item number of a family, or HTABLE_NONE. */
uint32_t scrape_metadata_find(const struct scrape_metadata *metadata, struct str name);
/* As above, made if new. */
uint32_t scrape_metadata_add(struct scrape_metadata *metadata, struct str name);
void scrape_metadata_set_help(struct scrape_metadata *metadata, uint32_t item, struct str help);
void scrape_metadata_set_unit(struct scrape_metadata *metadata, uint32_t item, struct str unit);
/* Removes families not seen in the last METADATA_SCRAPES_KEPT scrapes before `scrape`; the numbers
 * of the others stay. */
void scrape_metadata_expire(struct scrape_metadata *metadata, uint32_t scrape);
/* Whether that would remove any. */
bool scrape_metadata_has_expired(const struct scrape_metadata *metadata, uint32_t scrape);
