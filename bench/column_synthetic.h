/* bench/column_synthetic.h: the synthetic sets of the codec's size and speed goals. */
#pragma once

#include "column_corpus.h"

/* Name of set `index`, or NULL past the last. */
const char *column_synthetic_name(uint32_t index);

/* Fills *columns with full windows of the set; the same on every call. */
void column_synthetic_fill(struct corpus_columns *columns, uint32_t index);
