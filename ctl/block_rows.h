/* ctl/block_rows.h: what there is to say of blocks, a row each. */
#pragma once

#include "ctl.h"
#include "narthex/tsdb/block.h"

struct ctl_block_row {
    struct block_ulid ulid;
    int64_t min_t_ms;
    int64_t max_t_ms;
    struct block_counts counts;
    uint64_t bytes;
};

/* All zero is empty; one owner. */
struct ctl_block_rows {
    struct ctl_block_row *items;
    uint32_t count;
    uint32_t capacity;
};

/* As block_open; says of a block of Prometheus that it is one. */
err_t ctl_block_open(const char *path, struct block **block, struct strbuf *why);
/* Adds the block in the folder `path`; 1 and a line on stderr when it cannot be read. */
int ctl_block_rows_add(struct ctl_block_rows *rows, const char *path);
/* All blocks below a data folder by time; how many could not be read. */
int ctl_block_rows_read(struct ctl_block_rows *rows, const char *folder);
/* As a table, or as JSON with --format=json; --human-readable spells times and sizes out. Frees the
 * rows. */
void ctl_block_rows_print(struct ctl_block_rows *rows, const struct ctl_arguments *arguments);
/* As Go writes durations: "2h0m0s", "59m45.001s", "1ms". */
void ctl_go_duration_add(struct strbuf *out, int64_t ms);
