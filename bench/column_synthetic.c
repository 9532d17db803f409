#include "column_synthetic.h"

#include <math.h>
#include <string.h>

#include "narthex/tsdb/column.h"

enum { SLOTS = 100, WINDOWS = 17 };

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

const char *column_synthetic_name(uint32_t index)
{
    return index < sizeof sets / sizeof *sets ? sets[index].name : NULL;
}

void column_synthetic_fill(struct corpus_columns *columns, uint32_t index)
{
    struct generator generators[SLOTS];
    for (uint32_t slot = 0; slot < SLOTS; slot++) {
        generators[slot] = (struct generator){.state = slot, .v = 0.5};
        generators[slot].rate = floor(100 * exp(2 * gauss(&generators[slot])));
    }
    columns->slot_count = SLOTS;
    for (uint32_t window = 0; window < WINDOWS; window++) {
        for (uint32_t slot = 0; slot < SLOTS; slot++) {
            double values[COLUMN_ROWS_MAX];
            for (uint32_t row = 0; row < COLUMN_ROWS_MAX; row++)
                values[row] = sets[index].next(&generators[slot]);
            corpus_columns_add(columns, slot, values, COLUMN_ROWS_MAX);
        }
    }
}
