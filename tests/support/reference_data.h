/* The reference store's arrays. Everything is guarded by the store's mutex. */
#pragma once

#include "narthex/base/htable.h"
#include "narthex/base/thread.h"
#include "narthex/tsdb/storage.h"

struct reference_sample {
    int64_t t_ms;
    int64_t start_t_ms;
    double value;
    const struct histogram *histogram; /* NULL: a float; in the store's arena, hint as read */
    uint64_t transaction;              /* who wrote it */
    uint64_t committed;                /* commit number, 0 before the commit */
    uint64_t deleted;                  /* commit number of its deletion, 0 while it lives */
    bool late;                         /* older than the newest one when it came */
};

struct reference_exemplar {
    struct exemplar exemplar;
    uint64_t transaction;
    uint64_t committed;
};

struct reference_series {
    struct labels labels;
    struct reference_sample *samples; /* ascending in time */
    size_t count;
    size_t capacity;
    bool has_last;
    struct reference_sample original_last; /* the newest one in order, as it was written */
    struct reference_exemplar *exemplars;
    size_t exemplar_count;
    size_t exemplar_capacity;
    struct metadata metadata;
};

struct reference_store {
    struct storage storage;
    struct mutex mutex;
    struct arena arena; /* labels, histograms, the series themselves */
    struct reference_series **series;
    size_t count;
    size_t capacity;
    struct htable by_labels;
    uint64_t commit_last;
    uint64_t transaction_last;
    int64_t out_of_order_window_ms;
    int64_t window_range_ms; /* 0: samples of any age can be appended */
    int64_t floor_ms;
    int64_t newest_ms; /* committed in order */
};

static inline bool reference_sample_visible(const struct reference_sample *sample, uint64_t commit)
{
    return sample->committed != 0 && sample->committed <= commit &&
           (sample->deleted == 0 || sample->deleted > commit);
}

/* Number (from 1) of the series with these labels, made if new. */
series_ref reference_store__series(struct reference_store *store, struct labels labels,
                                   bool *created);
/* Copies the sample's histogram and gives it the hint that readers will see. */
void reference_series__append(struct reference_store *store, struct reference_series *series,
                              struct reference_sample sample);
/* Puts a late sample at its time, unless one is there that was not deleted. */
void reference_series__insert(struct reference_store *store, struct reference_series *series,
                              struct reference_sample sample);
/* Drops what a transaction wrote and did not commit. */
void reference_series__forget(struct reference_series *series, uint64_t transaction);

/* reference_querier.c */
err_t reference_store__querier_open(struct storage *storage, int64_t min_t_ms, int64_t max_t_ms,
                                    struct querier **querier, struct strbuf *why);
err_t reference_store__cardinality(struct storage *storage, size_t limit, struct arena *arena,
                                   struct cardinality *result, struct strbuf *why);
