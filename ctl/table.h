/* ctl/table.h: columns of text, each as wide as its widest cell. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "narthex/base/arena.h"

enum { TABLE_COLUMNS_MAX = 8 };

/* All zero but the first four is empty; one owner. Cells live in the arena. */
struct ctl_table {
    struct arena *arena;
    uint32_t column_count; /* at most TABLE_COLUMNS_MAX */
    int gap;               /* blanks behind the widest cell of a column */
    int width_min;         /* of a column with its gap; 0: none */
    bool last_ragged;      /* the last column is not filled up */
    const char **cells;    /* row after row */
    uint32_t count;
    uint32_t capacity;
};

/* The next cell, from left to right, row after row. */
void ctl_table_add(struct ctl_table *table, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* Prints whole rows. Frees the table. */
void ctl_table_print(struct ctl_table *table, FILE *out);
