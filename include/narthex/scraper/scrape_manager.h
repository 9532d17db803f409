/* scraper/scrape_manager.h: finds and scrapes targets.
 *
 * scrape_manager_apply hands a set of jobs to the discovery thread and the scrape shards; unchanged
 * jobs keep their connections, caches and schedule. The views below are snapshots in the caller's
 * arena. All calls may come from any thread.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "narthex/base/arena.h"
#include "narthex/base/clock.h"
#include "narthex/base/err.h"
#include "narthex/base/metrics.h"
#include "narthex/base/str.h"
#include "narthex/model/labels.h"
#include "narthex/scraper/scrape_config.h"
#include "narthex/tsdb/storage.h"

struct scrape_manager;

enum { SCRAPE_BODY_BYTES_MAX = 256 << 20 };

struct scrape_manager_options {
    struct storage *storage;
    const struct clock *clock;       /* NULL: the real one */
    struct metrics *metrics;         /* NULL: none */
    uint32_t shards;                 /* threads; 0: one per core, at most 8 */
    int64_t timestamp_tolerance_ms;  /* --scrape.timestamp-tolerance, 2 */
    bool adjust_timestamps;          /* --scrape.adjust-timestamps, true */
    bool exemplar_storage;           /* feature exemplar-storage */
    bool created_timestamp_zero;     /* feature created-timestamp-zero-ingestion */
    bool start_timestamps;           /* feature st-storage: kept with each sample */
    bool start_synthesis;            /* feature st-synthesis: made up where none is exposed */
    bool type_and_unit_labels;       /* feature type-and-unit-labels */
    size_t body_bytes_max;           /* of one decompressed body, whatever the job's own limit is;
                                        0: SCRAPE_BODY_BYTES_MAX */
    struct str external_labels_text; /* printed; with the host name it seeds the phase offsets */
};

err_t scrape_manager_create(const struct scrape_manager_options *options,
                            struct scrape_manager **manager, struct strbuf *why);
/* Ends all loops without writing staleness markers (server shutdown); at most one second. */
void scrape_manager_destroy(struct scrape_manager *manager);

/* Replaces the set of jobs. The configuration that owns them must stay alive until `release` is
 * called with `context` (from any thread, once nothing uses it any more; may be NULL). */
err_t scrape_manager_apply(struct scrape_manager *manager, const struct scrape_config *jobs,
                           uint32_t job_count, void (*release)(void *context), void *context,
                           struct strbuf *why);

enum target_health { TARGET_UNKNOWN, TARGET_UP, TARGET_DOWN };

struct target_view {
    struct labels discovered_labels;
    struct labels labels;   /* public */
    struct str scrape_pool; /* job name */
    struct str scrape_url;
    struct str last_error;
    int64_t last_scrape_ms; /* wall clock; 0: never */
    double last_scrape_duration_s;
    enum target_health health;
    int64_t interval_ms;
    int64_t timeout_ms;
};

struct dropped_target_view {
    struct labels discovered_labels;
    struct str scrape_pool;
};

struct pool_view {
    struct str name;
    uint64_t dropped_count; /* all, not cut by keep_dropped_targets */
};

struct targets_view {
    const struct target_view *active; /* by pool, then labels */
    size_t active_count;
    const struct dropped_target_view *dropped;
    size_t dropped_count;
    const struct pool_view *pools; /* by name */
    size_t pool_count;
};
void scrape_manager_targets(struct scrape_manager *manager, struct arena *arena,
                            struct targets_view *view);

/* Metadata the active targets have shown, grouped by target. */
struct target_metadata_view {
    struct labels target_labels;
    struct str scrape_pool;
    struct str metric;
    struct metadata metadata;
};
struct metadata_view {
    const struct target_metadata_view *items; /* by target, then metric name */
    size_t count;
};
/* metric: only this family, or empty for all. */
void scrape_manager_metadata(struct scrape_manager *manager, struct str metric, struct arena *arena,
                             struct metadata_view *view);
