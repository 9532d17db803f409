/* query/match.h: signatures of vector matching (private to query/; spec promql.md 4.2). */
#pragma once

#include "eval.h"

struct match_group {
    struct labels signature;
    uint64_t *present;  /* steps at which any row of the table has a sample */
    uint64_t *matched;  /* steps at which a row of the other side met it; NULL: none */
    uint32_t first_row; /* chain of rows through next_row; UINT32_MAX: end */
    uint32_t last_row;
};

/* Groups by signature. Has a fixed address. */
struct match_table {
    struct eval *eval;
    const struct vector_matching *matching;
    uint32_t steps;
    struct arena *arena;
    struct match_group *groups;
    uint32_t count;
    uint32_t capacity;
    struct htable index;
    struct label *scratch;
    uint32_t scratch_capacity;
    uint32_t *recent; /* MATCH_RECENT places: group + 1 by where its texts are; 0: none */
};

void match_table__init(struct match_table *table, struct eval *eval,
                       const struct vector_matching *matching, uint32_t steps);
/* The group of these labels, or NULL; made when `create`. Valid until the next creation. */
struct match_group *match_table__find(struct match_table *table, struct labels labels, bool create);
