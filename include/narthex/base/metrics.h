/* base/metrics.h: own metrics and their registry.
 *
 * A layer registers its families at creation and keeps pointers to their series; updating one is a
 * relaxed atomic operation. The text form is written by model/exposition_writer.h, which walks the
 * registry. Names and types follow Prometheus where it has them; HELP is in our own words.
 * Registering the same name again with the same type returns the family already there.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "narthex/base/clock.h"
#include "narthex/base/str.h"

/* METRIC_UNTYPED is for exporters only: a registry holds none. */
enum metric_type {
    METRIC_COUNTER,
    METRIC_GAUGE,
    METRIC_SUMMARY,
    METRIC_HISTOGRAM,
    METRIC_UNTYPED,
};

enum { METRIC_LABELS_MAX = 8, METRIC_BUCKETS_MAX = 24 };

struct metrics;       /* a registry */
struct metric_family; /* one name */

/* One series of a counter or gauge. The value is the double's bit pattern. */
struct metric {
    _Atomic uint64_t bits;
};

/* One series of a histogram or summary: count, sum and cumulative-on-writing buckets. Summaries
 * with quantiles keep a sliding sample of observations (see metrics.c). */
struct metric_distribution;

struct metrics *metrics_create(void);
/* As metrics_create; the clock ages the observations of summaries and outlives the registry. */
struct metrics *metrics_create_with_clock(const struct clock *clock);
void metrics_destroy(struct metrics *metrics);

/* `label_names` is a NULL-terminated list of static strings or NULL; name and help are static. */
struct metric_family *metrics_counter(struct metrics *metrics, const char *name, const char *help,
                                      const char *const *label_names);
struct metric_family *metrics_gauge(struct metrics *metrics, const char *name, const char *help,
                                    const char *const *label_names);
/* bounds: ascending upper bounds without +Inf. */
struct metric_family *metrics_histogram(struct metrics *metrics, const char *name, const char *help,
                                        const char *const *label_names, const double *bounds,
                                        size_t bound_count);
/* quantiles such as .5 .9 .99; none: only _sum and _count. */
struct metric_family *metrics_summary(struct metrics *metrics, const char *name, const char *help,
                                      const char *const *label_names, const double *quantiles,
                                      size_t quantile_count);

/* The series with these label values (as many as label_names), made on first use; valid until it is
 * removed or the registry dies. Any thread; takes a lock, so keep the pointer. */
struct metric *metric_with(struct metric_family *family, const struct str *label_values);
struct metric_distribution *metric_distribution_with(struct metric_family *family,
                                                     const struct str *label_values);
/* Series of a family without labels. */
struct metric *metric_only(struct metric_family *family);
struct metric_distribution *metric_distribution_only(struct metric_family *family);
/* Drops one series, if it is there; its pointer must not be used again. */
void metric_remove(struct metric_family *family, const struct str *label_values);
/* For series with several owners that come and go at their own times: metric_hold is metric_with,
 * and the pointer is valid until the holder's metric_drop; the last drop removes the series. */
struct metric *metric_hold(struct metric_family *family, const struct str *label_values);
struct metric_distribution *metric_distribution_hold(struct metric_family *family,
                                                     const struct str *label_values);
void metric_drop(struct metric_family *family, const struct str *label_values);

void metric_add(struct metric *metric, double by);
void metric_set(struct metric *metric, double value);
double metric_value(const struct metric *metric);
void metric_observe(struct metric_distribution *distribution, double value);

/* A function called before each walk, to set gauges that are cheaper to compute on demand. */
void metrics_on_collect(struct metrics *metrics, void (*collect)(void *context), void *context);

/* Walks all samples, families sorted by name, series in order of creation. Calls family() once per
 * family and sample() per sample: suffix is "", "_bucket", "_sum" or "_count"; names/values are the
 * labels including le or quantile. The views live until the callback returns. The walk holds the
 * registry's lock: callbacks of a visitor call nothing of this header. */
struct metrics_visitor {
    void (*family)(void *context, struct str name, enum metric_type type, struct str help);
    void (*sample)(void *context, struct str name, const char *suffix, const struct str *names,
                   const struct str *values, size_t label_count, double value);
    void *context;
};
void metrics_visit(struct metrics *metrics, const struct metrics_visitor *visitor);
