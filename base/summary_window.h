/* base/summary_window.h: the observations of the last minutes, for quantiles.
 *
 *     age window:   [ 0–2 min ) [ 2–4 ) [ 4–6 ) [ 6–8 ) [ 8–10 )     a ring by epoch = time / 2 min
 *     each:         count, and a uniform sample of at most 256 of the observations
 *
 * Quantiles are read from the samples of all live windows, each weighted by count / kept. Updates
 * take no lock: two threads that meet when a window is reused may lose an observation of it.
 */
#pragma once

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

enum {
    SUMMARY_AGE_WINDOWS = 5,
    SUMMARY_WINDOW_SECONDS = 120, /* together ten minutes, as the client libraries have it */
    SUMMARY_SAMPLES_MAX = 256,    /* 10 KiB a series */
};

struct summary_age {
    _Atomic int64_t epoch; /* 0: never used */
    _Atomic uint64_t count;
    _Atomic uint64_t values[SUMMARY_SAMPLES_MAX]; /* bit patterns of doubles */
};

struct summary_window {
    struct summary_age ages[SUMMARY_AGE_WINDOWS];
};

/* Any thread. */
void summary_window_observe(struct summary_window *window, int64_t now_ns, double value);

/* results[i] = value at quantiles[i] (0 to 1), NaN if nothing was observed in the last ten minutes.
 * Any thread. */
void summary_window_quantiles(const struct summary_window *window, int64_t now_ns,
                              const double *quantiles, size_t quantile_count, double *results);
