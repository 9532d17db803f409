/* What merging asks a cursor beyond the public calls; for the column next stopped at. */
#pragma once

#include "narthex/tsdb/block.h"

/* Whether tombstones took samples out of the column. */
bool block__cursor_is_filtered(const struct block_cursor *cursor);
/* Rows of the samples that are left. */
void block__cursor_present(const struct block_cursor *cursor,
                           uint64_t present[BLOCK_PRESENT_WORDS]);
