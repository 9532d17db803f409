/* tsdb/label_index.h: label names, label pairs and the series that carry them (head only).
 *
 *     name ─► pairs (append-only)          "job" ─► [job=a, job=b]
 *     pair ─► series ordinals, ascending   job=a ─► [0, 3, 4, 9]
 *     all  ─► series ordinals
 *
 * Pairs are interned: a pair is a u32 and a label set an array of them, sorted by name. A pair
 * counts the series that carry it and goes away when a sweep finds none; so does a name without
 * pairs.
 *
 * Threads: adding and sweeping by one thread at a time (the head's write lock); everything else by
 * any thread that keeps the retirer from freeing (an open head reader). Readers see every series
 * that was added before they began, and maybe later ones.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "narthex/base/arena.h"
#include "narthex/base/err.h"
#include "narthex/model/labels.h"
#include "narthex/model/matcher.h"
#include "narthex/tsdb/id_set.h"
#include "narthex/tsdb/retire.h"

struct label_index;

enum { LABEL_PAIR_NONE = UINT32_MAX };

struct label_index *label_index_create(struct retirer retirer);
void label_index_destroy(struct label_index *index);

/* While set (at first) there must be no readers, and series may come in any order cheaply: for the
 * replay of the log. */
void label_index_set_exclusive(struct label_index *index, bool exclusive);

/* ---- writing ---- */

/* The pair's number, made if new; LABEL_PAIR_NONE: there are too many names or pairs. New pairs
 * carry no series until label_index_add_series. */
uint32_t label_index_pair(struct label_index *index, struct str name, struct str value);
/* Adds a series; its ordinal must be above all others unless the index is exclusive. */
void label_index_add_series(struct label_index *index, const uint32_t *pairs, uint32_t count,
                            uint32_t ordinal);
/* The series is gone: its pairs are counted down. Its ordinal stays in the postings until the next
 * sweep; readers leave it out because the head says so. */
void label_index_drop_series(struct label_index *index, const uint32_t *pairs, uint32_t count);
/* Rebuilds all postings without the ordinals in `dead` (ascending), and removes pairs that no
 * series carries. */
void label_index_sweep(struct label_index *index, struct id_view dead);

/* ---- reading ---- */

/* Strings live as long as a series with the pair, or the reader. */
struct label label_index_label(const struct label_index *index, uint32_t pair);
/* Number of a label name, below label_index_name_count; its text, of a name with pairs only. */
uint32_t label_index_pair_name(const struct label_index *index, uint32_t pair);
uint32_t label_index_name_count(const struct label_index *index);
struct str label_index_name(const struct label_index *index, uint32_t name);
/* UINT32_MAX when there is no such name. */
uint32_t label_index_find_name(struct label_index *index, struct str name);
/* Pairs of a name, in order of their first use; dead ones (label_index_pair_series 0) included. */
struct id_view label_index_name_pairs(const struct label_index *index, uint32_t name);
/* Series that carry the pair now. */
uint32_t label_index_pair_series(const struct label_index *index, uint32_t pair);

/* Ordinals of all series for which all matchers hold, dead ones included, ascending, in the arena.
 * ERR_LIMIT when the arena cannot take it. */
err_t label_index_select(struct label_index *index, const struct matcher *matchers,
                         size_t matcher_count, struct arena *arena, struct id_view *ordinals,
                         struct strbuf *why);

/* For /api/v1/status/tsdb. */
uint64_t label_index_pair_count(const struct label_index *index);
