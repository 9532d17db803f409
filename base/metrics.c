/* One lock a registry guards its shape: families, series, labels. Values are atomics of their own.
 *
 *     registry ── families sorted by name ── series in order of creation (holes after removal)
 *                                            └ hash table by label values ─ index of the series
 */
#include "narthex/base/metrics.h"

#include <assert.h>
#include <string.h>

#include "narthex/base/hash.h"
#include "narthex/base/htable.h"
#include "narthex/base/mem.h"
#include "narthex/base/number.h"
#include "narthex/base/thread.h"
#include "narthex/base/vec.h"
#include "summary_window.h"

enum { METRIC_QUANTILES_MAX = 8 };

struct metric_distribution {
    struct metric_family *family;  /* constant */
    struct summary_window *window; /* constant; of summaries with quantiles, else NULL */
    struct metric sum;
    _Atomic uint64_t buckets[]; /* one per bound and the rest; a summary has only the rest */
};

struct series {
    struct str values[METRIC_LABELS_MAX];
    struct metric metric;
    struct metric_distribution *distribution; /* NULL in counters and gauges */
    uint32_t holders;                         /* guarded by metrics->lock */
};

struct metric_family {
    /* constant */
    struct metrics *metrics;
    struct str name;
    struct str help;
    enum metric_type type;
    struct str label_names[METRIC_LABELS_MAX];
    size_t label_count;
    double limits[METRIC_BUCKETS_MAX]; /* bucket bounds or quantiles */
    size_t limit_count;
    /* guarded by metrics->lock */
    struct series **series; /* NULL where one was removed */
    uint32_t series_count;  /* holes included */
    uint32_t series_capacity;
    struct htable by_values;
};

struct collector {
    void (*collect)(void *context);
    void *context;
};

struct metrics {
    const struct clock *clock; /* constant */
    struct mutex lock;
    /* guarded by lock */
    struct metric_family **families; /* sorted by name */
    uint32_t family_count;
    uint32_t family_capacity;
    struct collector *collectors;
    uint32_t collector_count;
    uint32_t collector_capacity;
};

struct metrics *metrics_create(void)
{
    return metrics_create_with_clock(clock_system());
}

struct metrics *metrics_create_with_clock(const struct clock *clock)
{
    struct metrics *metrics = MEM_NEW(MEM_BASE, struct metrics);
    metrics->clock = clock;
    mutex_init(&metrics->lock);
    return metrics;
}

static void series_destroy(struct metric_family *family, struct series *series)
{
    if (series == NULL)
        return;
    for (size_t i = 0; i < family->label_count; i++)
        mem_free(MEM_BASE, (char *)series->values[i].data);
    if (series->distribution != NULL)
        mem_free(MEM_BASE, series->distribution->window);
    mem_free(MEM_BASE, series->distribution);
    mem_free(MEM_BASE, series);
}

void metrics_destroy(struct metrics *metrics)
{
    if (metrics == NULL)
        return;
    for (uint32_t i = 0; i < metrics->family_count; i++) {
        struct metric_family *family = metrics->families[i];
        for (uint32_t at = 0; at < family->series_count; at++)
            series_destroy(family, family->series[at]);
        mem_free(MEM_BASE, family->series);
        htable_deinit(&family->by_values);
        mem_free(MEM_BASE, family);
    }
    mem_free(MEM_BASE, metrics->families);
    mem_free(MEM_BASE, metrics->collectors);
    mutex_deinit(&metrics->lock);
    mem_free(MEM_BASE, metrics);
}

/* Registering */

static uint32_t family_position_locked(const struct metrics *metrics, struct str name)
{
    uint32_t low = 0;
    uint32_t high = metrics->family_count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (str_compare(metrics->families[middle]->name, name) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static struct metric_family *family_register(struct metrics *metrics,
                                             const struct metric_family *wanted)
{
    mutex_lock(&metrics->lock);
    uint32_t at = family_position_locked(metrics, wanted->name);
    struct metric_family *family = at < metrics->family_count ? metrics->families[at] : NULL;
    if (family != NULL && str_equal(family->name, wanted->name)) {
        assert(family->type == wanted->type);
        assert(family->label_count == wanted->label_count);
    } else {
        family = MEM_NEW(MEM_BASE, struct metric_family);
        *family = *wanted;
        family->metrics = metrics;
        htable_init(&family->by_values, MEM_BASE);
        VEC_RESERVE(MEM_BASE, metrics->families, metrics->family_capacity,
                    (size_t)metrics->family_count + 1);
        memmove(metrics->families + at + 1, metrics->families + at,
                (metrics->family_count - at) * sizeof(struct metric_family *));
        metrics->families[at] = family;
        metrics->family_count++;
    }
    mutex_unlock(&metrics->lock);
    return family;
}

static struct metric_family *family_add(struct metrics *metrics, enum metric_type type,
                                        const char *name, const char *help,
                                        const char *const *label_names, const double *limits,
                                        size_t limit_count)
{
    struct metric_family wanted = {
        .name = str_from_cstr(name),
        .help = str_from_cstr(help),
        .type = type,
        .limit_count = limit_count,
    };
    while (label_names != NULL && label_names[wanted.label_count] != NULL) {
        assert(wanted.label_count < METRIC_LABELS_MAX);
        wanted.label_names[wanted.label_count] = str_from_cstr(label_names[wanted.label_count]);
        wanted.label_count++;
    }
    assert(limit_count <= METRIC_BUCKETS_MAX);
    for (size_t i = 0; i < limit_count; i++)
        wanted.limits[i] = limits[i];
    return family_register(metrics, &wanted);
}

struct metric_family *metrics_counter(struct metrics *metrics, const char *name, const char *help,
                                      const char *const *label_names)
{
    return family_add(metrics, METRIC_COUNTER, name, help, label_names, NULL, 0);
}

struct metric_family *metrics_gauge(struct metrics *metrics, const char *name, const char *help,
                                    const char *const *label_names)
{
    return family_add(metrics, METRIC_GAUGE, name, help, label_names, NULL, 0);
}

struct metric_family *metrics_histogram(struct metrics *metrics, const char *name, const char *help,
                                        const char *const *label_names, const double *bounds,
                                        size_t bound_count)
{
    for (size_t i = 1; i < bound_count; i++)
        assert(bounds[i - 1] < bounds[i]);
    return family_add(metrics, METRIC_HISTOGRAM, name, help, label_names, bounds, bound_count);
}

struct metric_family *metrics_summary(struct metrics *metrics, const char *name, const char *help,
                                      const char *const *label_names, const double *quantiles,
                                      size_t quantile_count)
{
    assert(quantile_count <= METRIC_QUANTILES_MAX);
    return family_add(metrics, METRIC_SUMMARY, name, help, label_names, quantiles, quantile_count);
}

/* Series */

/* Label values of a family without labels. */
static const struct str no_values[1];

static uint64_t hash_values(const struct metric_family *family, const struct str *values)
{
    uint64_t hash = 0;
    for (size_t i = 0; i < family->label_count; i++)
        hash = hash_mix(hash, hash_str(values[i]));
    return hash;
}

static bool series_has_values(const void *owner, uint32_t item, const void *key)
{
    const struct metric_family *family = owner;
    const struct str *values = key;
    for (size_t i = 0; i < family->label_count; i++) {
        if (!str_equal(family->series[item]->values[i], values[i]))
            return false;
    }
    return true;
}

static size_t bucket_count(const struct metric_family *family)
{
    return family->type == METRIC_HISTOGRAM ? family->limit_count + 1 : 1;
}

static struct series *series_create(struct metric_family *family, const struct str *values)
{
    struct series *series = MEM_NEW(MEM_BASE, struct series);
    for (size_t i = 0; i < family->label_count; i++) {
        char *copy = mem_dup(MEM_BASE, values[i].data, values[i].size);
        series->values[i] = str_from(copy, values[i].size);
    }
    if (family->type == METRIC_HISTOGRAM || family->type == METRIC_SUMMARY) {
        struct metric_distribution *distribution = mem_calloc(
            MEM_BASE, 1, sizeof *distribution + bucket_count(family) * sizeof(_Atomic uint64_t));
        distribution->family = family;
        if (family->type == METRIC_SUMMARY && family->limit_count > 0)
            distribution->window = MEM_NEW(MEM_BASE, struct summary_window);
        series->distribution = distribution;
    }
    return series;
}

static struct series *series_with(struct metric_family *family, const struct str *values,
                                  uint32_t holders)
{
    uint64_t hash = hash_values(family, values);
    mutex_lock(&family->metrics->lock);
    uint32_t at = htable_find(&family->by_values, hash, series_has_values, family, values);
    if (at == HTABLE_NONE) {
        at = family->series_count;
        VEC_PUSH(MEM_BASE, family->series, family->series_count, family->series_capacity,
                 series_create(family, values));
        htable_insert(&family->by_values, hash, at);
    }
    struct series *series = family->series[at];
    series->holders += holders;
    mutex_unlock(&family->metrics->lock);
    return series;
}

struct metric *metric_with(struct metric_family *family, const struct str *label_values)
{
    assert(family->type == METRIC_COUNTER || family->type == METRIC_GAUGE);
    return &series_with(family, label_values, 0)->metric;
}

struct metric_distribution *metric_distribution_with(struct metric_family *family,
                                                     const struct str *label_values)
{
    assert(family->type == METRIC_SUMMARY || family->type == METRIC_HISTOGRAM);
    return series_with(family, label_values, 0)->distribution;
}

struct metric *metric_only(struct metric_family *family)
{
    assert(family->label_count == 0);
    return metric_with(family, no_values);
}

struct metric_distribution *metric_distribution_only(struct metric_family *family)
{
    assert(family->label_count == 0);
    return metric_distribution_with(family, no_values);
}

/* Closes the holes once they are the larger part, so that churn of series stays linear. */
static void compact_locked(struct metric_family *family)
{
    if (family->by_values.count * 2 > family->series_count)
        return;
    uint32_t kept = 0;
    htable_clear(&family->by_values);
    for (uint32_t i = 0; i < family->series_count; i++) {
        struct series *series = family->series[i];
        if (series == NULL)
            continue;
        htable_insert(&family->by_values, hash_values(family, series->values), kept);
        family->series[kept++] = series;
    }
    family->series_count = kept;
}

static void remove_at_locked(struct metric_family *family, uint64_t hash, uint32_t at)
{
    htable_remove(&family->by_values, hash, at);
    series_destroy(family, family->series[at]);
    family->series[at] = NULL;
    compact_locked(family);
}

void metric_remove(struct metric_family *family, const struct str *label_values)
{
    uint64_t hash = hash_values(family, label_values);
    mutex_lock(&family->metrics->lock);
    uint32_t at = htable_find(&family->by_values, hash, series_has_values, family, label_values);
    if (at != HTABLE_NONE)
        remove_at_locked(family, hash, at);
    mutex_unlock(&family->metrics->lock);
}

struct metric *metric_hold(struct metric_family *family, const struct str *label_values)
{
    assert(family->type == METRIC_COUNTER || family->type == METRIC_GAUGE);
    return &series_with(family, label_values, 1)->metric;
}

struct metric_distribution *metric_distribution_hold(struct metric_family *family,
                                                     const struct str *label_values)
{
    assert(family->type == METRIC_SUMMARY || family->type == METRIC_HISTOGRAM);
    return series_with(family, label_values, 1)->distribution;
}

void metric_drop(struct metric_family *family, const struct str *label_values)
{
    uint64_t hash = hash_values(family, label_values);
    mutex_lock(&family->metrics->lock);
    uint32_t at = htable_find(&family->by_values, hash, series_has_values, family, label_values);
    assert(at != HTABLE_NONE && family->series[at]->holders > 0);
    if (--family->series[at]->holders == 0)
        remove_at_locked(family, hash, at);
    mutex_unlock(&family->metrics->lock);
}

/* Values. Every order is relaxed: a value stands alone and publishes nothing else. */

void metric_add(struct metric *metric, double by)
{
    uint64_t seen = atomic_load_explicit(&metric->bits, memory_order_relaxed);
    uint64_t wanted;
    do {
        double v;
        memcpy(&v, &seen, sizeof v);
        v += by;
        memcpy(&wanted, &v, sizeof wanted);
    } while (!atomic_compare_exchange_weak_explicit(&metric->bits, &seen, wanted,
                                                    memory_order_relaxed, memory_order_relaxed));
}

void metric_set(struct metric *metric, double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    atomic_store_explicit(&metric->bits, bits, memory_order_relaxed);
}

double metric_value(const struct metric *metric)
{
    uint64_t bits = atomic_load_explicit(&metric->bits, memory_order_relaxed);
    double v;
    memcpy(&v, &bits, sizeof v);
    return v;
}

void metric_observe(struct metric_distribution *distribution, double value)
{
    const struct metric_family *family = distribution->family;
    size_t bucket = 0;
    if (family->type == METRIC_HISTOGRAM) {
        /* Not (value <= bound): NaN belongs to the last bucket. */
        while (bucket < family->limit_count && !(value <= family->limits[bucket]))
            bucket++;
    }
    atomic_fetch_add_explicit(&distribution->buckets[bucket], 1, memory_order_relaxed);
    metric_add(&distribution->sum, value);
    if (distribution->window != NULL)
        summary_window_observe(distribution->window, clock_monotonic_ns(family->metrics->clock),
                               value);
}

/* Walking */

void metrics_on_collect(struct metrics *metrics, void (*collect)(void *context), void *context)
{
    mutex_lock(&metrics->lock);
    VEC_PUSH(MEM_BASE, metrics->collectors, metrics->collector_count, metrics->collector_capacity,
             (struct collector){collect, context});
    mutex_unlock(&metrics->lock);
}

/* One walk of one series. */
struct walk {
    const struct metrics_visitor *visitor;
    const struct metric_family *family;
    struct str names[METRIC_LABELS_MAX + 1];
    struct str values[METRIC_LABELS_MAX + 1];
};

static void visit_sample(struct walk *walk, const char *suffix, size_t label_count, double value)
{
    walk->visitor->sample(walk->visitor->context, walk->family->name, suffix, walk->names,
                          walk->values, label_count, value);
}

static void visit_with_limit(struct walk *walk, const char *suffix, const char *label, double limit,
                             double value)
{
    char text[NUMBER_TEXT_MAX];
    size_t at = walk->family->label_count;
    walk->names[at] = str_from_cstr(label);
    walk->values[at] = str_from(text, number_format_general(limit, 6, text));
    visit_sample(walk, suffix, at + 1, value);
}

static void visit_histogram(struct walk *walk, const struct metric_distribution *distribution)
{
    const struct metric_family *family = walk->family;
    uint64_t count = 0;
    for (size_t i = 0; i <= family->limit_count; i++) {
        count += atomic_load_explicit(&distribution->buckets[i], memory_order_relaxed);
        double bound = i == family->limit_count ? __builtin_inf() : family->limits[i];
        visit_with_limit(walk, "_bucket", "le", bound, (double)count);
    }
    visit_sample(walk, "_sum", family->label_count, metric_value(&distribution->sum));
    visit_sample(walk, "_count", family->label_count, (double)count);
}

static void visit_summary(struct walk *walk, const struct metric_distribution *distribution)
{
    const struct metric_family *family = walk->family;
    double results[METRIC_QUANTILES_MAX] = {0};
    assert(distribution->window != NULL || family->limit_count == 0);
    if (distribution->window != NULL)
        summary_window_quantiles(distribution->window, clock_monotonic_ns(family->metrics->clock),
                                 family->limits, family->limit_count, results);
    for (size_t i = 0; i < family->limit_count; i++)
        visit_with_limit(walk, "", "quantile", family->limits[i], results[i]);
    uint64_t count = atomic_load_explicit(&distribution->buckets[0], memory_order_relaxed);
    visit_sample(walk, "_sum", family->label_count, metric_value(&distribution->sum));
    visit_sample(walk, "_count", family->label_count, (double)count);
}

static void visit_family(const struct metric_family *family, const struct metrics_visitor *visitor)
{
    if (family->by_values.count == 0)
        return;
    visitor->family(visitor->context, family->name, family->type, family->help);
    struct walk walk = {.visitor = visitor, .family = family};
    for (uint32_t i = 0; i < family->series_count; i++) {
        const struct series *series = family->series[i];
        if (series == NULL)
            continue;
        memcpy(walk.names, family->label_names, sizeof family->label_names);
        memcpy(walk.values, series->values, sizeof series->values);
        if (family->type == METRIC_HISTOGRAM)
            visit_histogram(&walk, series->distribution);
        else if (family->type == METRIC_SUMMARY)
            visit_summary(&walk, series->distribution);
        else
            visit_sample(&walk, "", family->label_count, metric_value(&series->metric));
    }
}

void metrics_visit(struct metrics *metrics, const struct metrics_visitor *visitor)
{
    /* Collectors make series, so they run without the lock; they are never taken away. */
    mutex_lock(&metrics->lock);
    uint32_t count = metrics->collector_count;
    mutex_unlock(&metrics->lock);
    for (uint32_t i = 0; i < count; i++) {
        mutex_lock(&metrics->lock);
        struct collector collector = metrics->collectors[i];
        mutex_unlock(&metrics->lock);
        collector.collect(collector.context);
    }
    mutex_lock(&metrics->lock);
    for (uint32_t i = 0; i < metrics->family_count; i++)
        visit_family(metrics->families[i], visitor);
    mutex_unlock(&metrics->lock);
}
