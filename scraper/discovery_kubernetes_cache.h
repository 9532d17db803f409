/* All objects of a Kubernetes mechanism, by kind, namespace and name. One owner thread.
 *
 * A list is staged object by object and takes effect as a whole when it is complete, so that a
 * list that breaks off changes nothing; events of a watch take effect one by one. Several sources
 * (one a namespace) fill one kind; a list replaces only what its own source said. */
#pragma once

#include "discovery_kubernetes_object.h"
#include "narthex/base/htable.h"

struct kubernetes_entry {
    struct kubernetes_object *now;    /* NULL: only staged so far */
    struct kubernetes_object *staged; /* what replaces it; NULL: it stays as it is */
    uint32_t source;
    bool listed; /* by the list in progress */
};

struct kubernetes_shelf {
    struct htable table;
    struct kubernetes_entry *entries;
    uint32_t count;
    uint32_t capacity;
};

struct kubernetes_cache {
    struct kubernetes_shelf shelves[KUBERNETES_KINDS];
    struct arena scratch;
    size_t bytes; /* of all objects, staged ones too */
    size_t bytes_max;
    bool nodes_need_address; /* a node that lost its address stays as it was */
    uint64_t version;        /* grows with every change of what is in force */
};

/* What events did, for the counters. */
struct kubernetes_changes {
    uint64_t added;
    uint64_t updated;
    uint64_t deleted;
};

void kubernetes_cache_init(struct kubernetes_cache *cache, size_t bytes_max);
void kubernetes_cache_deinit(struct kubernetes_cache *cache);

/* NULL when there is none in force. The object lives until the cache is changed. */
const struct kubernetes_object *kubernetes_cache_find(const struct kubernetes_cache *cache,
                                                      enum kubernetes_kind kind, struct str space,
                                                      struct str name);
/* Walk over a kind: entries below the count; NULL where one is only staged. */
uint32_t kubernetes_cache_count(const struct kubernetes_cache *cache, enum kubernetes_kind kind);
const struct kubernetes_object *kubernetes_cache_at(const struct kubernetes_cache *cache,
                                                    enum kubernetes_kind kind, uint32_t index);

/* Takes one object of a list. ERR_INVALID for a nameless one, ERR_LIMIT when bytes_max is passed.
 */
err_t kubernetes_cache_stage(struct kubernetes_cache *cache, enum kubernetes_kind kind,
                             uint32_t source, json_t *object, struct strbuf *why);
/* The list is complete: what it did not name is gone. */
void kubernetes_cache_finish_list(struct kubernetes_cache *cache, enum kubernetes_kind kind,
                                  uint32_t source, struct kubernetes_changes *changes);
/* The list broke off: nothing of it remains. */
void kubernetes_cache_abandon_list(struct kubernetes_cache *cache, enum kubernetes_kind kind,
                                   uint32_t source);
/* ADDED or MODIFIED, and DELETED; errors as with stage. */
err_t kubernetes_cache_put(struct kubernetes_cache *cache, enum kubernetes_kind kind,
                           uint32_t source, json_t *object, struct kubernetes_changes *changes,
                           struct strbuf *why);
err_t kubernetes_cache_remove(struct kubernetes_cache *cache, enum kubernetes_kind kind,
                              const json_t *object, struct kubernetes_changes *changes,
                              struct strbuf *why);
