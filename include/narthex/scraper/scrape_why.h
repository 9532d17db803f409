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
