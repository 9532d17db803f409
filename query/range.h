/* query/range.h: functions over windows of samples (private to query/). */
#pragma once

#include "eval.h"
#include "samples.h"

/* What a kernel keeps from one window of a series to the next; all zero before the first. */
struct window_memory {
    uint32_t best; /* index of an extreme */
    uint32_t high; /* end of the window it was found in */
    /* What the last extrapolation was made from: windows over regular samples repeat it. */
    bool has_factor;
    uint32_t intervals;
    int64_t to_start_ms;
    int64_t to_end_ms;
    int64_t sampled_ms;
    double factor;
};

/* The samples of one series that one step sees: floats [low, high) and histograms
 * [histogram_low, histogram_high) of a buffer, start_ms < t <= end_ms. */
struct window {
    const struct sample_buffer *samples;
    uint32_t low;
    uint32_t high;
    uint32_t histogram_low;
    uint32_t histogram_high;
    int64_t start_ms;
    int64_t end_ms;
    int64_t eval_ms; /* the step itself, not shifted by offset or @ */
    uint32_t step;
    /* Floats after which the counter restarted: values[resets[i]] is the first of the new count.
     * Of the whole buffer; the first not before low is resets[reset_low]. */
    const uint32_t *resets;
    uint32_t reset_low;
    uint32_t reset_count;
    struct str metric; /* __name__, for annotations */
    struct arena *out; /* for histogram results */
    struct window_memory *memory;
    struct lane *lane; /* its err and why, for kernels that can fail */
};

static inline uint32_t window__floats(const struct window *w)
{
    return w->high - w->low;
}

/* As above, each summary counted as the samples it stands for. */
static inline uint32_t window__real_floats(const struct window *w)
{
    return samples__real(w->samples, w->low, w->high);
}

static inline uint32_t window__histograms(const struct window *w)
{
    return w->histogram_high - w->histogram_low;
}

struct cell {
    double v;
    const struct histogram *h; /* NULL: the float */
};

struct range_op;

/* False: no result at this step. */
typedef bool (*range_kernel)(const struct range_op *range, const struct window *w,
                             struct cell *cell);

struct range_op {
    struct op op;
    enum function_id id;
    range_kernel kernel;
    const struct expr *arg; /* the range vector, without parentheses */
    uint32_t position;      /* of arg 0, for annotations */
    struct select_times times;
    bool anchored;
    bool smoothed;
    bool wants_resets;
    bool keeps_name;
    bool counter;    /* rate, increase */
    bool stats_only; /* histograms without buckets will do */
    bool start_timestamps;
    enum summary_kind summary; /* how columns may stand in the buffer undecoded */
    struct summary_windows windows;
    struct name_check names;
    struct op *params[2];
    const double *param_columns[2];
    uint32_t param_count;
    /* a selector */
    struct lane_set lanes;
    /* or a subquery */
    struct op *child;
    struct row_set child_rows; /* when the child's rows may have to be merged */
    bool collected;
    uint32_t child_at;
    struct batch child_batch;
    struct lane lane;
    struct arena_mark scratch_mark; /* of an empty lane.scratch */
    struct row row;
    struct row_windows row_windows;
};

static inline double range__param(const struct range_op *range, const struct window *w, uint32_t i)
{
    return range->param_columns[i][w->step];
}

/* Sets kernel and what it needs from range->id. */
void range__set_function(struct range_op *range);
/* The info that a rate was taken of something whose name or type is not a counter's. */
void range__check_counter_name(const struct range_op *range, const struct row *row);
/* Where a subquery evaluates its expression; count 0 when no step falls into the window. */
err_t subquery__grid(const struct eval *eval, const struct expr *expr, const struct scope *scope,
                     struct grid *grid, struct strbuf *why);
/* The info that histograms were left out, when there are both kinds. */
void range__ignored_histograms(const struct range_op *range, const struct window *w);
/* rate.c */
bool range__rate(const struct range_op *range, const struct window *w, struct cell *cell);
bool range__instant_rate(const struct range_op *range, const struct window *w, struct cell *cell);
bool range__changes(const struct range_op *range, const struct window *w, struct cell *cell);
bool range__resets(const struct range_op *range, const struct window *w, struct cell *cell);
/* Whether the counter restarted by what the start timestamps say. */
bool range__start_reset(int64_t previous_st, int64_t previous_t, int64_t st, int64_t t);
/* The warning about start timestamps before the sample before them, once per series. */
void range__check_overlap(const struct range_op *range, const struct sample_buffer *samples,
                          struct str metric);
/* A whole row of rate, increase or delta over floats; true if there is any result. */
bool rate__planned_row(const struct range_op *range, struct lane *lane, struct row *row,
                       struct time_plan *plan, const uint32_t *resets, uint32_t reset_count);
void range__warn_mixed(const struct range_op *range, const struct window *w);

/* What rate knows of a window's ends. */
struct rate_span {
    uint32_t intervals; /* samples - 1 */
    double sampled_s;   /* first to last */
    double to_start_s;  /* window's start to first */
    double to_end_s;
    bool has_zero_point;
    double zero_ratio; /* first value / increase */
};
/* By what the difference of first and last is multiplied. */
double rate__factor(const struct range_op *range, struct rate_span *span);

/* The two newest samples of a window. */
struct rate_pair {
    int64_t t[2];
    int64_t st[2];
    double v[2];
    const struct histogram *h[2]; /* NULL: a float */
};

/* rate_histogram.c */
bool rate__histograms(const struct range_op *range, const struct window *w, struct cell *cell);
bool rate__instant_histograms(const struct range_op *range, const struct window *w,
                              const struct rate_pair *pair, struct cell *cell);
/* sum_over_time and avg_over_time with histograms in the window */
bool range__histogram_total(const struct range_op *range, const struct window *w,
                            struct cell *cell);
void range__warn_mixed_buckets(const struct range_op *range, const struct window *w);
/* extended_rate.c: anchored and smoothed */
/* Replaces the samples fetched by those of a top-level range vector: a point at both ends. */
err_t range__extend_window(struct sample_buffer *samples, int64_t t_ms,
                           const struct select_times *times, bool anchored, struct strbuf *why);
err_t range__check_modifiers(const struct range_op *range, struct strbuf *why);
bool range__extended_rate(const struct range_op *range, const struct window *w, struct cell *cell);
/* A row of irate or idelta over floats. */
void rate__planned_ends(const struct range_op *range, const struct lane *lane, struct row *row,
                        const struct time_plan *plan);
/* A row of changes or resets over floats. */
void rate__planned_pairs(const struct range_op *range, struct lane *lane, struct row *row,
                         const struct time_plan *plan);
/* window_lanes.c: whole rows of floats, several windows at a time */
bool range__has_lanes(const struct range_op *range);
err_t range__fill_lanes(const struct range_op *range, struct lane *lane, struct row *row,
                        const struct time_plan *plan);
/* regression.c */
/* Compensated sums: value, compensation. */
struct line_sums {
    uint32_t n;
    double x[2];
    double y[2];
    double xy[2];
    double xx[2];
};
void line_sums__add(struct line_sums *sums, double x, double y);
/* deriv or predict_linear; `values` are the y. */
double regression__result(const struct range_op *range, const struct line_sums *sums,
                          const double *values, uint32_t step);
bool range__deriv(const struct range_op *range, const struct window *w, struct cell *cell);
bool range__predict_linear(const struct range_op *range, const struct window *w, struct cell *cell);
bool range__smoothing(const struct range_op *range, const struct window *w, struct cell *cell);
/* Quantile of values, which are sorted in place. */
double range__quantile(double q, double *values, uint32_t count);
