/* What a discovery mechanism is: one table of functions a mechanism, one file each.
 *
 * A mechanism gives the whole list of its target groups whenever it is asked. It is used by one
 * thread at a time (discovery_run.c) and may block; it must give up soon once *cancel is set. */
#pragma once

#include <stdatomic.h>

#include "narthex/base/arena.h"
#include "narthex/base/err.h"
#include "narthex/scraper/scrape_config.h"

/* Groups in the making; everything is in the arena. */
struct discovered_groups {
    struct arena *arena;
    struct target_group_config *items;
    uint32_t count;
    uint32_t capacity;
};

/* Adds a group whose targets have only an address. `labels` need not be sorted, an empty value is
 * no label; all strings are copied. */
void discovered_groups_add(struct discovered_groups *groups, const struct str *addresses,
                           uint32_t address_count, const struct label *labels,
                           uint32_t label_count);

/* Reads a list of {targets: […], labels: {…}}, strictly; `extra` is added to each group's labels.
 * ERR_INVALID says what is wrong; nothing was added then. */
err_t discovered_groups_read_json(struct discovered_groups *groups, struct str text,
                                  const struct label *extra, struct strbuf *why);
err_t discovered_groups_read_yaml(struct discovered_groups *groups, struct str text,
                                  const struct label *extra, struct strbuf *why);

struct discovery_mechanism {
    struct str name; /* "file" */
    /* `settings` is the mechanism's part of the configuration and outlives the state. */
    err_t (*create)(const void *settings, const _Atomic bool *cancel, void **state,
                    struct strbuf *why);
    void (*destroy)(void *state);
    /* Adds all groups. On an error those of last time stay in force. */
    err_t (*refresh)(void *state, struct discovered_groups *groups, struct strbuf *why);
    int64_t (*interval_ms)(const void *state);
    /* Readable when it is worth refreshing before the interval is over; NULL: never. */
    int (*wake_fd)(const void *state);
    /* Empties wake_fd; whether to refresh. */
    bool (*woken)(void *state);
    /* Faults that refresh passed over (a broken file beside good ones) since the last call; NULL:
     * it has none. */
    uint64_t (*take_faults)(void *state);
};

extern const struct discovery_mechanism discovery_file;
extern const struct discovery_mechanism discovery_http;

/* NULL when this build does not have it. */
const struct discovery_mechanism *discovery_mechanism_find(struct str name);
