/* The samples of an OpenMetrics file with their series numbered.
 *
 * The file stays mapped from open to close; keys are views of it. It is walked any number of times;
 * numbers of series and sources stay. One owner.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "narthex/base/fs.h"
#include "narthex/base/htable.h"
#include "narthex/model/exposition.h"
#include "narthex/tsdb/storage.h"

/* A series as the file spells it: two spellings of one series are two of these. */
struct import_key {
    struct str text;
    enum metadata_type type; /* decides how le and quantile are read */
    uint32_t source;
    series_ref ref; /* 0: not asked for yet */
};

struct import_series {
    const char *file_name; /* for errors */
    struct fs_mapping file;
    struct exposition *exposition;
    const char *place;  /* the latest entry, NULL before the first */
    struct arena arena; /* of one call */
    struct label_builder builder;
    struct htable keys_by_text;
    struct import_key *keys;
    uint32_t key_count;
    uint32_t key_capacity;
    struct htable sources_by_key;
    uint64_t *sources;
    uint32_t source_count;
    uint32_t source_capacity;
};

struct import_entry {
    bool ended; /* nothing follows; the rest is not set */
    int64_t t_ms;
    double value;
    uint32_t series;
    uint32_t source; /* what shares job and instance, and so probably timestamps */
};

/* Maps the file; `name` stands for it in errors. Close it only when OK was returned. */
err_t import_series_open(struct import_series *series, const char *path, const char *name,
                         struct strbuf *why);
void import_series_close(struct import_series *series);
/* Back to the beginning of the file. */
void import_series_rewind(struct import_series *series);
/* The next sample. ERR_INVALID, with file and line, when the file is malformed or a sample has no
 * timestamp. */
err_t import_series_next(struct import_series *series, struct import_entry *entry,
                         struct strbuf *why);
/* The series as the file spells it. */
struct str import_series_key(const struct import_series *series, uint32_t number);
/* Key of a source for storage_source_open. */
uint64_t import_series_source(const struct import_series *series, uint32_t source);
/* The store's name for the series, asked for at most once between two calls of forget. */
err_t import_series_ref(struct import_series *series, uint32_t number, struct appender *appender,
                        series_ref *ref, struct strbuf *why);
/* The appender's store is another one from now on. */
void import_series_forget_refs(struct import_series *series);
