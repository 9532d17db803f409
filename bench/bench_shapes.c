/* Synthetic corpora. */
#include <math.h>
#include <string.h>

#include "bench_corpus.h"
#include "narthex/model/histogram.h"

enum {
    JOB_SERIES = 1000,
    RANGES_SERIES = 1444,
    SET_SERIES = 100,
    INTERVAL_MS = 15000,
    HOSTILE_KINDS = 8
};

struct generator {
    uint64_t state;
    double v;
    double rate;
};

/* splitmix64 */
static uint64_t next_u64(struct generator *generator)
{
    uint64_t x = generator->state += UINT64_C(0x9e3779b97f4a7c15);
    x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
    return x ^ (x >> 31);
}

static double uniform(struct generator *generator)
{
    return (double)(next_u64(generator) >> 11) * 0x1p-53;
}

/* Standard normal, Box and Muller. */
static double gauss(struct generator *generator)
{
    double u = 1 - uniform(generator);
    return sqrt(-2 * log(u)) * cos(6.283185307179586 * uniform(generator));
}

static double counter(struct generator *generator)
{
    return generator->v += floor(generator->rate * (1 + 0.1 * gauss(generator)));
}

static double cpu_seconds(struct generator *generator)
{
    generator->v += generator->rate / 1000 * (1 + 0.3 * gauss(generator));
    return round(generator->v * 100) / 100;
}

static double gauge_1_decimal(struct generator *generator)
{
    generator->v += gauss(generator) * 0.3;
    return round(generator->v * 10) / 10;
}

static double gauge_2_decimals(struct generator *generator)
{
    generator->v += gauss(generator) * 0.3;
    return round(generator->v * 100) / 100;
}

static double memory_pages(struct generator *generator)
{
    generator->v += round(gauss(generator) * generator->rate / 4);
    return 4096 * (1e6 + generator->v);
}

static double random_double(struct generator *generator)
{
    return uniform(generator);
}

static double ratio_walk(struct generator *generator)
{
    return generator->v = fmin(1, fmax(0, generator->v + 0.001 * gauss(generator)));
}

static double constant(struct generator *generator)
{
    return generator->rate;
}

static double sparse_counter(struct generator *generator)
{
    return generator->v += uniform(generator) < 0.01;
}

static double float_sum(struct generator *generator)
{
    return generator->v += floor(1e6 * (1 + uniform(generator))) * 1e-9;
}

static double reset_counter(struct generator *generator)
{
    generator->v = uniform(generator) < 0.005 ? 0 : generator->v + floor(60 * uniform(generator));
    return generator->v;
}

static const struct {
    const char *name;
    double (*next)(struct generator *generator);
} sets[] = {
    {"counter", counter},           {"cpu 2dp", cpu_seconds},
    {"gauge 1dp", gauge_1_decimal}, {"gauge 2dp", gauge_2_decimals},
    {"memory 4k", memory_pages},    {"random", random_double},
    {"ratio walk", ratio_walk},     {"constant", constant},
    {"resets", reset_counter},      {"sparse", sparse_counter},
    {"float sums", float_sum},
};

/* Everything that is legal and unpleasant. */
static double hostile(struct generator *generator)
{
    switch (next_u64(generator) % HOSTILE_KINDS) {
    case 0:
        return double_from_bits(UINT64_C(0x7ff8000000000000) | next_u64(generator) >> 13);
    case 1:
        return uniform(generator) < 0.5 ? INFINITY : -INFINITY;
    case 2:
        return -0.0;
    case 3:
        return double_from_bits(next_u64(generator) >> 12); /* denormal */
    case 4:
        return 0x1p53 * (1 + uniform(generator));
    case 5:
        return reset_counter(generator);
    default:
        return uniform(generator);
    }
}

typedef double (*next_fn)(struct generator *generator);

static struct generator generator_make(uint64_t seed, uint64_t number)
{
    struct generator generator = {.state = seed * UINT64_C(0x9e3779b97f4a7c15) + number, .v = 0.5};
    generator.rate = floor(100 * exp(2 * gauss(&generator)));
    return generator;
}

static void fill_slot(struct corpus_job *job, uint32_t slot, next_fn next, uint64_t seed)
{
    struct generator generator = generator_make(seed, slot);
    for (uint32_t row = 0; row < job->row_count; row++)
        job->values[(size_t)row * job->series_count + slot] = next(&generator);
}

static void set_labels(struct corpus *corpus, struct corpus_series *series, const char *metric,
                       const struct label *labels, uint32_t count)
{
    struct label_builder builder = {0};
    label_builder_set(&builder, LABEL_NAME, str_from_cstr(metric));
    for (uint32_t i = 0; i < count; i++)
        label_builder_set(&builder, labels[i].name, labels[i].value);
    series->labels = labels_copy(&corpus->arena, label_builder_labels(&builder));
    label_builder_deinit(&builder);
}

static struct str number_text(struct corpus *corpus, const char *format, uint32_t number)
{
    /* The format is one of this file's literals with one %u. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    return arena_printf(&corpus->arena, format, number);
#pragma GCC diagnostic pop
}

/* A host: processors' seconds, network counters, gauges, and two thirds that never change. */
static void node_series(struct corpus *corpus, struct corpus_job *job, uint32_t slot, uint64_t seed)
{
    static const char *const modes[] = {"idle", "iowait", "irq", "nice", "steal", "system", "user"};
    struct corpus_series *series = &job->series[slot];
    struct label labels[2] = {{STR("device"), number_text(corpus, "dev%u", slot)}};
    if (slot % 10 == 0) {
        uint32_t number = slot / 10;
        labels[0] = (struct label){STR("cpu"), number_text(corpus, "%u", number / 7)};
        labels[1] = (struct label){STR("mode"), str_from_cstr(modes[number % 7])};
        set_labels(corpus, series, "node_cpu_seconds_total", labels, 2);
        fill_slot(job, slot, cpu_seconds, seed);
    } else if (slot % 10 == 1) {
        set_labels(corpus, series, "node_network_receive_bytes_total", labels, 1);
        fill_slot(job, slot, counter, seed);
    } else if (slot % 10 == 2) {
        set_labels(corpus, series, "node_memory_used_bytes", labels, 1);
        fill_slot(job, slot, memory_pages, seed);
    } else if (slot % 10 == 3) {
        set_labels(corpus, series, "node_load", labels, 1);
        fill_slot(job, slot, gauge_2_decimals, seed);
    } else {
        set_labels(corpus, series, "node_filesystem_size_bytes", labels, 1);
        fill_slot(job, slot, constant, seed);
    }
}

static void wide_series(struct corpus *corpus, struct corpus_job *job, uint32_t slot, uint64_t seed)
{
    struct label labels[2] = {{STR("zone"), number_text(corpus, "zone-%u", slot % 8)},
                              {STR("id"), number_text(corpus, "%u", slot)}};
    set_labels(corpus, &job->series[slot], "wide_metric", labels, 2);
    fill_slot(job, slot, gauge_1_decimal, seed);
}

/* A pod: histograms of 40 buckets for each of its routes. */
static void k8s_series(struct corpus *corpus, struct corpus_job *job, uint32_t slot, uint64_t seed)
{
    enum { BUCKETS = 40 };
    struct label labels[2] = {{STR("route"), number_text(corpus, "/api/%u", slot / BUCKETS)},
                              {STR("le"), number_text(corpus, "%u", 1 + slot % BUCKETS)}};
    set_labels(corpus, &job->series[slot], "http_request_duration_seconds_bucket", labels, 2);
    struct generator generator = generator_make(seed, slot / BUCKETS);
    double sum = 0;
    double share = 1 - exp(-(double)(1 + slot % BUCKETS) / 6);
    for (uint32_t row = 0; row < job->row_count; row++) {
        sum += floor(200 * uniform(&generator));
        job->values[(size_t)row * job->series_count + slot] = floor(sum * share);
    }
}

/* Every series lives for a part of the time only. */
static void churn_series(struct corpus *corpus, struct corpus_job *job, uint32_t slot,
                         uint64_t seed)
{
    node_series(corpus, job, slot, seed);
    struct generator generator = generator_make(seed, slot + UINT32_MAX);
    uint32_t start = (uint32_t)(uniform(&generator) * job->row_count) / 2;
    uint32_t end = start + job->row_count / 2;
    for (uint32_t row = 0; row < job->row_count; row++) {
        if (row >= start && row < end)
            continue;
        job->values[(size_t)row * job->series_count + slot] =
            double_from_bits(row == end ? STALE_NAN_BITS : CORPUS_ABSENT_BITS);
    }
}

static void hostile_series(struct corpus *corpus, struct corpus_job *job, uint32_t slot,
                           uint64_t seed)
{
    struct label label = {STR("id"), number_text(corpus, "%u", slot)};
    set_labels(corpus, &job->series[slot], "hostile_metric", &label, 1);
    fill_slot(job, slot, hostile, seed);
}

/* Counters by ones, tens and hundreds, plain and as histograms of eleven buckets, and one series
 * with a sample now and then: what range queries are measured with (D7). */
static void ranges_series(struct corpus *corpus, struct corpus_job *job, uint32_t slot,
                          uint64_t seed)
{
    enum { BUCKETS = 11, SPARSE_ROWS = 20 };
    static const struct {
        const char *name;
        uint32_t count;
        bool histogram;
    } families[] = {
        {"a_one", 1, false},       {"b_one", 1, false},        {"a_ten", 10, false},
        {"b_ten", 10, false},      {"a_hundred", 100, false},  {"b_hundred", 100, false},
        {"h_one_bucket", 1, true}, {"h_ten_bucket", 10, true}, {"h_hundred_bucket", 100, true},
        {"sparse", 1, false}};
    (void)seed;
    uint32_t rest = slot, family = 0;
    while (rest >= families[family].count * (families[family].histogram ? BUCKETS : 1u)) {
        rest -= families[family].count * (families[family].histogram ? BUCKETS : 1u);
        family++;
    }
    uint32_t bucket = families[family].histogram ? rest % BUCKETS : 0;
    uint32_t number = families[family].histogram ? rest / BUCKETS : rest;
    struct label labels[2] = {
        {STR("l"), number_text(corpus, "%u", number)},
        {STR("le"), bucket == BUCKETS - 1 ? STR("+Inf") : number_text(corpus, "%u", bucket)}};
    set_labels(corpus, &job->series[slot], families[family].name, labels,
               families[family].histogram ? 2 : 1);
    bool sparse = strcmp(families[family].name, "sparse") == 0;
    for (uint32_t row = 0; row < job->row_count; row++) {
        double v = (double)row * (bucket + 1) + (double)slot / RANGES_SERIES;
        job->values[(size_t)row * job->series_count + slot] =
            sparse && row % SPARSE_ROWS != 0 ? double_from_bits(CORPUS_ABSENT_BITS) : v;
    }
}

static void finish(struct corpus *corpus, struct corpus_job *job)
{
    for (uint32_t row = 0; row < job->row_count; row++)
        job->times_ms[row] = (int64_t)row * INTERVAL_MS;
    corpus_job_finish(corpus, job);
}

static void make_sets(struct corpus *corpus, uint32_t row_count, uint64_t seed)
{
    for (size_t i = 0; i < sizeof sets / sizeof *sets; i++) {
        struct corpus_job *job = corpus_job_add(corpus, sets[i].name, SET_SERIES, row_count);
        for (uint32_t slot = 0; slot < SET_SERIES; slot++) {
            struct label label = {STR("id"), number_text(corpus, "%u", slot)};
            set_labels(corpus, &job->series[slot], "set", &label, 1);
            fill_slot(job, slot, sets[i].next, seed);
        }
        finish(corpus, job);
    }
}

static const struct {
    const char *name;
    void (*fill)(struct corpus *corpus, struct corpus_job *job, uint32_t slot, uint64_t seed);
} shapes[] = {{"node", node_series},   {"k8s", k8s_series},         {"wide", wide_series},
              {"churn", churn_series}, {"hostile", hostile_series}, {"ranges", ranges_series}};

err_t corpus_make_shape(struct corpus *corpus, const char *shape, uint32_t series_count,
                        uint32_t row_count, uint64_t seed, struct strbuf *why)
{
    corpus_init(corpus, shape);
    if (strcmp(shape, "sets") == 0) {
        make_sets(corpus, row_count, seed);
        return OK;
    }
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        if (strcmp(shape, shapes[i].name) != 0)
            continue;
        uint32_t width = series_count < JOB_SERIES ? series_count : JOB_SERIES;
        if (shapes[i].fill == ranges_series)
            width = RANGES_SERIES;
        struct corpus_job *job = corpus_job_add(corpus, shape, width, row_count);
        for (uint32_t slot = 0; slot < width; slot++)
            shapes[i].fill(corpus, job, slot, seed);
        finish(corpus, job);
        return OK;
    }
    return err_fail(why, ERR_NOT_FOUND, "unknown shape %s", shape);
}
