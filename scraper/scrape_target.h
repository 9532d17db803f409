/* One target: its labels and URL, what the last scrape said, and the metadata it has shown.
 *
 * Made by the manager, scraped by one shard. Labels and URL never change; status and metadata are
 * guarded by the target's lock, since views read them. Reference counted.
 */
#pragma once

#include <stdatomic.h>

#include "narthex/base/arena.h"
#include "narthex/base/thread.h"
#include "narthex/scraper/scrape_manager.h"
#include "scrape_job.h"
#include "scrape_metadata.h"

struct scrape_loop;

struct scrape_target {
    /* constant */
    _Atomic uint32_t references;
    struct scrape_job *job;   /* holds a reference */
    struct labels all_labels; /* after relabeling, without __meta_*; one block of memory */
    struct labels labels;     /* public: on every sample; views of all_labels, a list of its own */
    struct str url;           /* owned */
    struct str unix_socket;
    int64_t interval_ms;
    int64_t timeout_ms;
    bool convert_classic_histograms;
    bool always_scrape_classic_histograms;
    bool scrape_native_histograms;
    uint64_t identity; /* stable hash of all labels and the URL: dedupe, phase */
    uint64_t
        sameness; /* the same without interval and timeout: matched at reload, storage source */
    uint32_t shard;

    /* guarded by the manager's lock */
    struct labels discovered_labels; /* one block of memory */

    struct mutex lock;
    /* guarded by lock */
    enum target_health health;
    struct strbuf last_error;
    int64_t last_scrape_ms;
    double last_scrape_duration_s;
    uint64_t samples_scraped; /* by the last scrape */
    uint64_t samples_kept;
    uint32_t cache_lines; /* in its loop */
    uint64_t failed_line; /* at which the last scrape failed, from 1; 0: at none */
    struct strbuf failed_text;
    bool failed_by_limit;
    struct scrape_metadata metadata;

    /* owned by the shard's thread */
    struct scrape_loop *loop;
};

enum target_outcome { TARGET_KEPT, TARGET_DROPPED, TARGET_REFUSED };

/* Makes a target from one address of a group (spec 2.1); `builder` is scratch. TARGET_KEPT: *target
 * is new, with one
 * reference. TARGET_DROPPED by relabeling: the same, but only its discovered labels are filled.
 * TARGET_REFUSED:
 * the reason is in *why. */
enum target_outcome scrape_target_create(struct scrape_job *job, struct labels own,
                                         struct labels group, struct label_builder *builder,
                                         struct scrape_target **target, struct strbuf *why);
struct scrape_target *scrape_target_ref(struct scrape_target *target);
void scrape_target_unref(struct scrape_target *target);

/* Same labels and URL, internal labels included. */
bool scrape_target_equal(const struct scrape_target *a, const struct scrape_target *b);
/* Takes over what was found of a target that is equal else; the manager's lock is held. */
void scrape_target_rediscover(struct scrape_target *target, struct scrape_target *found);
/* Takes over health, last scrape and metadata, for a loop that continues another. */
void scrape_target_inherit(struct scrape_target *target, struct scrape_target *from);

/* Memory of a target without texts of metadata, loop and cache; both locks are held. */
size_t scrape_target_bytes(const struct scrape_target *target);
/* A snapshot for the API, in `arena`; the manager's lock is held. */
void scrape_target_view(struct scrape_target *target, struct str pool, struct arena *arena,
                        struct target_view *view);

/* The URL of a target with these labels (spec 2.1). */
void scrape_target_write_url(const struct scrape_config *config, struct labels labels,
                             struct strbuf *out);
