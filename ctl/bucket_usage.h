/* ctl/bucket_usage.h: how much of a histogram's buckets is in use, scrape by scrape. */
#pragma once

#include <stdint.h>

#include "narthex/base/htable.h"
#include "narthex/base/strbuf.h"

/* All zero is empty. */
struct usage_spread {
    double min, max, sum;
    uint64_t count;
};

/* One histogram: usage_init, then for each scrape usage_set for its buckets and usage_end_scrape.
 * One owner. */
struct bucket_usage {
    struct htable by_key;
    struct str *keys; /* owned */
    double *now;      /* count of each bucket, not cumulative */
    double *before;
    uint32_t bucket_count; /* that were ever seen */
    uint32_t capacity;
    uint64_t scrape_count;
    struct usage_spread populated; /* buckets that are not empty, of each scrape */
    struct usage_spread changed;   /* buckets with another count than a scrape before */
    struct usage_spread delta;     /* by how much, summed up */
};

void usage_init(struct bucket_usage *usage);
void usage_deinit(struct bucket_usage *usage);
/* `key` names the bucket by its bounds. */
void usage_set(struct bucket_usage *usage, struct str key, double count);
void usage_end_scrape(struct bucket_usage *usage);
double usage_average(const struct usage_spread *spread);
