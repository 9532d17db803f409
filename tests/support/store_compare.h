/* store_compare.h: whether two stores answer alike. */
#pragma once

#include "narthex/tsdb/storage.h"

/* Fails the running cmocka test unless both stores hold the same series (of those that match) with
 * the same samples in the range. Series without samples in the range are passed over. */
void store_compare(struct storage *a, struct storage *b, int64_t min_t_ms, int64_t max_t_ms,
                   struct selector selector);
/* The same with integer histograms given as floats, as queries see them. */
void store_compare_floats(struct storage *a, struct storage *b, int64_t min_t_ms, int64_t max_t_ms,
                          struct selector selector);
/* The same for the newest samples not after the range, without labels beside the metric's name,
 * when `a` may leave out everything else; returns the number of columns that it did leave out. */
size_t store_compare_newest(struct storage *a, struct storage *b, int64_t min_t_ms,
                            int64_t max_t_ms, struct selector selector);
/* The same for label names and the values of `name`. */
void store_compare_labels(struct storage *a, struct storage *b, struct str name,
                          struct selector selector);
