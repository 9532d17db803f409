/* tsdb/head_files.h: the head's files as tools see them (docs/format/sealed.md, series.md). Nothing
 * is changed; any bytes are safe. Data must be aligned to 8 bytes, as a mapping is. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "narthex/base/strbuf.h"

struct head_file_check {
    uint64_t record_count;  /* whole ones that can be used */
    uint64_t item_count;    /* their rows × slots, or their series */
    uint64_t damaged_bytes; /* with what cannot be used because of them */
    uint64_t damaged_places;
    uint64_t first_damage_at; /* offset of the first of them */
    uint64_t torn_bytes;      /* the unfinished end a crash leaves; not among the damaged ones */
};

/* A file of sealed/. `whole` (NULL: not wanted) gets a file of that number with all whole records.
 */
void head_check_sealed(const void *data, size_t size, uint32_t number,
                       struct head_file_check *check, struct strbuf *whole);
/* A file of series/; only the last one may have a torn end. */
void head_check_series(const void *data, size_t size, uint32_t number, bool last,
                       struct head_file_check *check);
