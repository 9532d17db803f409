/* ctl/table.h: columns of text, each as wide as its widest cell. */
#pragma once

#include <stdint.h>
#include <stdio.h>

#include "narthex/base/arena.h"

enum { TABLE_COLUMNS_MAX = 8 };

/* All zero but column_count and the arena is empty; one owner. Cells live in the arena. */
struct ctl_table {
    struct arena *arena;
    uint32_t column_count; /* at most TABLE_COLUMNS_MAX */
    const char **cells;    /* row after row */
    uint32_t count;
    uint32_t capacity;
};

/* The next cell, from left to right, row after row. */
void ctl_table_add(struct ctl_table *table, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* Prints whole rows: cells with `gap` blanks behind the widest of the column, the last one too, as
 * promtool does. Frees the table. */
void ctl_table_print(struct ctl_table *table, int gap, FILE *out);
