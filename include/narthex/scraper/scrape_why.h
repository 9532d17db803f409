/* scraper/scrape_why.h: at which stage a target or a series was lost, and what relabeling does step
 * by step.
 *
 * The answers are made when asked for; nothing is traced while scraping, apart from the line at
 * which a target's last scrape failed. Views live in the caller's arena. Any thread.
 */
#pragma once

#include "narthex/scraper/scrape_manager.h"

/* One rule and the labels after it. */
struct relabel_step_view {
    struct relabel_rule rule; /* to be shown: it has no compiled regex and is not deinitialised */
    struct labels output;     /* empty after a drop */
    bool keep;
};

/* The relabel rules of a pool on `labels`, each step with all rules up to it; false if there is no
 * such pool. */
bool scrape_manager_relabel_steps(struct scrape_manager *manager, struct str pool,
                                  struct labels labels, struct arena *arena,
                                  const struct relabel_step_view **steps, size_t *count);

enum why_stage {
    WHY_NOTHING,      /* not lost */
    WHY_RELABEL,      /* a relabel rule dropped the target */
    WHY_INVALID,      /* relabeling left something that is no target */
    WHY_DUPLICATE,    /* another target of the pool has the same labels and URL */
    WHY_TARGET_LIMIT, /* the pool has more targets than target_limit */
    WHY_WAITING,      /* not scraped yet */
    WHY_LIMIT,        /* a limit of the job failed the last scrape */
    WHY_SCRAPE,       /* the last scrape failed otherwise */
};
const char *why_stage_name(enum why_stage stage);

/* A target that was found and what became of it. */
struct target_why_view {
    enum why_stage stage;
    struct str scrape_pool;
    struct labels discovered_labels;
    struct str reason;       /* INVALID, TARGET_LIMIT, LIMIT, SCRAPE */
    uint32_t rule;           /* RELABEL: number of the rule, from 0 … */
    struct labels before;    /* … the labels it saw … */
    struct relabel_rule cut; /* … and what it says, to be shown as above */
    /* Of targets that are scraped: */
    bool active;
    struct target_view target;
    uint64_t samples_scraped; /* by the last scrape */
    uint64_t samples_kept;    /* after metric relabeling */
    uint64_t line;            /* at which the last scrape failed, from 1; 0: at none */
    struct str line_text;     /* its beginning */
};

enum { WHY_TARGETS_MAX = 100 };

struct targets_why_view {
    const struct target_why_view *items; /* at most WHY_TARGETS_MAX */
    size_t count;
    uint64_t matched;    /* all that the text names */
    uint64_t discovered; /* all that were looked at */
};

/* Targets of which `text` is the scrape URL or the value of any label, before relabeling or after;
 * `pool`: only in this one, empty for all. */
void scrape_manager_why_target(struct scrape_manager *manager, struct str text, struct str pool,
                               struct arena *arena, struct targets_why_view *view);

/* A sample of a page that the question is about. */
enum sample_stage {
    SAMPLE_STORED,
    SAMPLE_RELABELED, /* a metric relabel rule dropped it, or it no longer matches since */
    SAMPLE_COVERED,   /* the target's own label of that name covers the exposed one */
    SAMPLE_REFUSED,   /* its labels break a limit or a rule of names, which fails the scrape */
    SAMPLE_REPEATED,  /* a sample with the same labels stands before it */
    SAMPLE_CONVERTED, /* part of a classic histogram that is stored as a native one */
};
const char *sample_stage_name(enum sample_stage stage);

struct sample_why_view {
    enum sample_stage stage;
    uint64_t line;         /* 0: the page has none (protobuf) */
    struct labels exposed; /* with the target's, before metric relabeling */
    struct labels labels;  /* after it; empty when it was dropped */
    double value;
    bool has_timestamp; /* and honor_timestamps, so that it is stored at: */
    int64_t timestamp_ms;
    struct str reason;       /* REFUSED */
    uint32_t rule;           /* RELABELED: number of the metric relabel rule, from 0 … */
    struct labels before;    /* … the labels it saw … */
    struct relabel_rule cut; /* … and what it says, to be shown as above */
};

enum { WHY_PROBES_MAX = 8, WHY_SAMPLES_MAX = 20, WHY_PROBES_MS = 20000 };

/* A target's page, fetched now and read as a scrape would. */
struct probe_why_view {
    struct target_view target;
    enum why_stage stage; /* NOTHING: the page is whole and within the limits; SCRAPE; LIMIT */
    struct str reason;
    uint64_t line; /* where it was refused, as above */
    struct str line_text;
    uint64_t samples;    /* on the page, up to the failure */
    uint64_t same_name;  /* of them with the name that is asked for */
    uint64_t matched;    /* samples the question is about; those of `items` and more */
    struct labels other; /* a sample with the name and other labels, when nothing matched */
    const struct sample_why_view *items; /* at most WHY_SAMPLES_MAX */
    size_t count;
};

struct probes_why_view {
    const struct probe_why_view *items; /* at most WHY_PROBES_MAX */
    size_t count;
    uint64_t not_asked; /* targets that might expose it, for which there was no room or time */
};

/* Asks the targets that might expose a series that matches, for WHY_PROBES_MS at most: those whose
 * labels do not contradict the selector, first those that have shown the metric before. Nothing is
 * stored. `pool`: only this one, empty for all. Ends early once *cancel is set.
 * False while another call runs: pages may be large. */
bool scrape_manager_why_series(struct scrape_manager *manager, struct selector selector,
                               struct str pool, const _Atomic bool *cancel, struct arena *arena,
                               struct probes_why_view *view);
