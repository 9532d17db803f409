/* The label index while a block is written: postings grow compressed, pair by pair. */
#pragma once

#include "block_output.h"
#include "narthex/base/arena.h"
#include "narthex/base/htable.h"
#include "narthex/tsdb/block.h"

struct block__posting_part;

/* Series of one label pair, so far. */
struct block__posting_list {
    struct block_label label;
    uint32_t series_count;
    uint32_t size;      /* encoded bytes */
    uint32_t next;      /* one after the last number encoded */
    uint32_t run_first; /* numbers not yet encoded: [run_first, run_first + run_length) */
    uint32_t run_length;
    struct block__posting_part *first;
    struct block__posting_part *last;
};

struct block__postings {
    struct arena memory; /* the parts */
    struct block__posting_list *items;
    uint32_t count;
    uint32_t capacity;
    struct htable table;
    uint32_t *previous; /* lists of the series before, by position */
    uint32_t previous_count;
};

void block__postings_init(struct block__postings *postings);
void block__postings_deinit(struct block__postings *postings);
/* Series come in ascending order. */
void block__postings_add(struct block__postings *postings, uint32_t series,
                         const struct block_label *labels, uint32_t label_count);
/* Writes postings, pairs and names; `sections` (offset, size pairs by enum block__section) gets
 * their places. */
err_t block__postings_write(struct block__postings *postings, struct block__output *output,
                            uint64_t sections[][2], struct strbuf *why);
