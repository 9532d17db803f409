/* What a discovery mechanism is: one table of functions a mechanism, one file each.
 *
 * A mechanism gives the whole list of its target groups whenever it is asked (`refresh`), or when
 * something changed (`watch`). It is used by one thread at a time (discovery_run.c) and may block;
 * it must give up soon once *cancel is set. */
#pragma once

#include <stdatomic.h>

#include "narthex/base/arena.h"
#include "narthex/base/err.h"
#include "narthex/base/metrics.h"
#include "narthex/scraper/scrape_config.h"

/* A list with a target of more labels is refused. */
enum { DISCOVERY_TARGET_LABELS_MAX = 4096 };

/* Groups in the making; everything is in the arena. */
struct discovered_groups {
    struct arena *arena;
    struct target_group_config *items;
    uint32_t count;
    uint32_t capacity;
};

/* Reads a list of {targets: […], labels: {…}}, strictly; `extra` is added to each group's labels.
 * ERR_INVALID says what is wrong; nothing was added then. */
err_t discovered_groups_read_json(struct discovered_groups *groups, struct str text,
                                  const struct label *extra, struct strbuf *why);
err_t discovered_groups_read_yaml(struct discovered_groups *groups, struct str text,
                                  const struct label *extra, struct strbuf *why);

/* What a mechanism may use as long as it lives. */
struct discovery_env {
    const _Atomic bool *cancel; /* once it is set: give up with ERR_CANCELED */
    int stop_fd;                /* readable once cancel is set, for polling; -1: there is none */
    struct metrics *metrics;    /* NULL: count nothing */
};

struct discovery_mechanism {
    struct str name; /* "file" */
    /* Registers the mechanism's own metrics, so that they are shown before it is used; `create`
     * gets them by registering them again. NULL: it has none. */
    void (*register_metrics)(struct metrics *metrics);
    /* `settings` is the mechanism's part of the configuration; it and `env` outlive the state. */
    err_t (*create)(const void *settings, const struct discovery_env *env, void **state,
                    struct strbuf *why);
    void (*destroy)(void *state);

    /* Either: asked at every interval. Adds all groups; on an error those of last time stay. */
    err_t (*refresh)(void *state, struct discovered_groups *groups, struct strbuf *why);
    int64_t (*interval_ms)(const void *state);
    /* Readable when it is worth refreshing before the interval is over; NULL: never. */
    int (*wake_fd)(const void *state);
    /* Empties wake_fd; whether to refresh. */
    bool (*woken)(void *state);

    /* Or, with a NULL refresh: waits until the groups differ from those it added last, then adds
     * all of them. It is called again at once, so it waits a little for more changes to come. Its
     * own faults it logs, counts and tries again; an error other than ERR_CANCELED ends it. */
    err_t (*watch)(void *state, struct discovered_groups *groups, struct strbuf *why);
};

extern const struct discovery_mechanism discovery_consul;
extern const struct discovery_mechanism discovery_dns;
extern const struct discovery_mechanism discovery_docker;
extern const struct discovery_mechanism discovery_dockerswarm;
extern const struct discovery_mechanism discovery_file;
extern const struct discovery_mechanism discovery_http;
extern const struct discovery_mechanism discovery_kubernetes;

/* NULL when this build does not have it. */
const struct discovery_mechanism *discovery_mechanism_find(struct str name);
/* Registers what all mechanisms count. */
void discovery_mechanisms_register(struct metrics *metrics);
