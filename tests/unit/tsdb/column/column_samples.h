/* Seeded columns of all the shapes the encodings were made for, and of none. */
#pragma once

#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct random_source {
    uint64_t state;
};

/* Seed from NARTHEX_SEED or the given one, printed. */
static inline struct random_source random_source_seeded(uint64_t seed)
{
    const char *text = getenv("NARTHEX_SEED");
    if (text != NULL)
        seed = strtoull(text, NULL, 10);
    printf("seed %llu (NARTHEX_SEED)\n", (unsigned long long)seed);
    return (struct random_source){.state = seed};
}

/* splitmix64 */
static inline uint64_t random_u64(struct random_source *source)
{
    uint64_t x = source->state += UINT64_C(0x9e3779b97f4a7c15);
    x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
    return x ^ (x >> 31);
}

static inline uint64_t random_below(struct random_source *source, uint64_t bound)
{
    return random_u64(source) % bound;
}

static inline double sample_from_bits(uint64_t bits)
{
    double v;
    memcpy(&v, &bits, sizeof v);
    return v;
}

static inline uint64_t sample_bits(double v)
{
    uint64_t bits;
    memcpy(&bits, &v, sizeof bits);
    return bits;
}

/* One odd value of any kind. */
static inline double sample_garbage(struct random_source *source)
{
    static const uint64_t bits[] = {
        0x7ff0000000000002, 0x7ff8000000000001, 0x7ff8000000000000, 0xfff8dead00000000,
        0x7ff0000000000000, 0xfff0000000000000, 0x8000000000000000, 0x0000000000000000,
        0x0000000000000001, 0x800fffffffffffff, 0x7fefffffffffffff, 0xffefffffffffffff,
        0x4340000000000000, 0x4340000000000001, 0xc340000000000000, 0x43e0000000000000,
        0xc3e0000000000000, 0x43f0000000000000, 0x3fb999999999999a, 0x3fd3333333333334,
    };
    uint64_t choice = random_below(source, 3);
    if (choice == 0)
        return sample_from_bits(random_u64(source));
    if (choice == 1)
        return (double)(int64_t)random_u64(source);
    return sample_from_bits(bits[random_below(source, sizeof bits / sizeof *bits)]);
}

enum { SAMPLE_SHAPES = 16 };

static inline void sample_plain(struct random_source *source, uint32_t shape, double *values,
                                uint32_t count)
{
    double v = (double)random_below(source, 1000000);
    double scale = (double[]){1, 10, 100, 1000, 1e6, 1e9}[random_below(source, 6)];
    uint64_t width = random_below(source, 64);
    int64_t step = (int64_t)random_below(source, 50);
    double unit = (double[]){1, 2, 8, 4096, 1000, 12}[random_below(source, 6)];
    for (uint32_t i = 0; i < count; i++) {
        uint64_t noise = random_u64(source);
        switch (shape) {
        case 0: /* constant */
            break;
        case 1: /* counter */
            v += (double)(step + (int64_t)(noise % 7));
            break;
        case 2: /* counter with resets */
            v = noise % 60 == 0 ? 0 : v + (double)(noise % 1000);
            break;
        case 3: /* decimal gauge */
            v = round(v * scale + (double)(noise % 41) - 20) / scale;
            break;
        case 4: /* page multiples */
            v += unit * ((double)(noise % 100) - 50);
            break;
        case 5: /* random mantissas */
            v = sample_from_bits((noise >> 12) | 0x3ff0000000000000);
            break;
        case 6: /* float accumulation */
            v += (double)(noise % 1000) / 100;
            break;
        case 7: /* any width of difference */
            v = (double)(int64_t)(noise >> width);
            break;
        case 8: /* constant slope */
            v += (double)step;
            break;
        case 9: /* bursts */
            v += noise % 20 == 0 ? (double)(noise >> 40) : 0;
            break;
        case 10: /* parabola */
            v += (double)i * (double)step;
            break;
        case 11: /* negative decimals */
            v = -round((double)(noise % 100000)) / scale;
            break;
        case 12: /* any bits */
            v = sample_from_bits(noise);
            break;
        case 13: /* ratio walk */
            v *= 1 + ((double)(noise % 1000) - 500) / 1e6;
            break;
        case 14: /* flags */
            v = (double)(noise & 1);
            break;
        default: /* near the limits of exact integers */
            v = 9007199254740000.0 + (double)(noise % 2000);
            break;
        }
        values[i] = v;
    }
}

/* A column of any length and shape; some have odd values in them, some are of mixed shapes. */
static inline uint32_t sample_column(struct random_source *source, double *values)
{
    uint32_t count = random_below(source, 4) == 0 ? 240 : 1 + (uint32_t)random_below(source, 240);
    uint32_t shape = (uint32_t)random_below(source, SAMPLE_SHAPES);
    sample_plain(source, shape, values, count);
    if (random_below(source, 10) == 0) {
        uint32_t cut = (uint32_t)random_below(source, count);
        sample_plain(source, (uint32_t)random_below(source, SAMPLE_SHAPES), values + cut,
                     count - cut);
    }
    uint64_t odd = random_below(source, 6);
    if (odd == 0)
        for (uint64_t i = random_below(source, 40); i > 0; i--)
            values[random_below(source, count)] = sample_garbage(source);
    if (odd == 1)
        for (uint64_t i = random_below(source, 5); i > 0; i--)
            values[random_below(source, count)] = sample_from_bits(0x7ff0000000000002);
    return count;
}
