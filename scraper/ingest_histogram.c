/* Limits of native histograms (spec 3.3): fewer buckets by a coarser schema, or none at all. */
#include <math.h>

#include "narthex/model/histogram_math.h"
#include "scrape_ingest.h"

/* Highest schema whose buckets grow by at least the factor: 2^(2^-schema) >= factor. */
static int32_t schema_max(double factor)
{
    if (!(factor > 1))
        return HISTOGRAM_SCHEMA_MAX;
    double schema = floor(-log2(log2(factor)));
    if (schema > HISTOGRAM_SCHEMA_MAX)
        return HISTOGRAM_SCHEMA_MAX;
    return schema < HISTOGRAM_SCHEMA_MIN ? HISTOGRAM_SCHEMA_MIN : (int32_t)schema;
}

static bool has_room(const struct histogram *h, int64_t limit)
{
    return limit <= 0 || (int64_t)h->positive.bucket_count + h->negative.bucket_count <= limit;
}

const struct histogram *ingest__limit_histogram(struct scrape_ingest *ingest,
                                                const struct histogram *h)
{
    const struct scrape_config *config = ingest->task->target->job->config;
    int64_t limit = config->native_histogram_bucket_limit;
    bool custom = h->schema == HISTOGRAM_SCHEMA_CUSTOM;
    arena_reset_to(&ingest->arena, ingest->arena_start);
    int32_t highest = schema_max(config->native_histogram_min_bucket_factor);
    if (!custom && h->schema > highest)
        h = histogram_reduce(&ingest->arena, h, highest);
    while (!has_room(h, limit)) {
        if (custom || h->schema <= HISTOGRAM_SCHEMA_MIN)
            return NULL;
        h = histogram_reduce(&ingest->arena, h, h->schema - 1);
    }
    return h;
}
