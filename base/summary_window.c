#include "summary_window.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "narthex/base/hash.h"

static int64_t epoch_at(int64_t now_ns)
{
    /* One up, so that 0 stays free for windows that were never used. */
    return now_ns / 1000000000 / SUMMARY_WINDOW_SECONDS + 1;
}

/* All orders are relaxed: a value stands alone, and a reader that sees a count before its value
 * reads the slot's older value, which is an observation too (or 0.0 in a window's first round). */
void summary_window_observe(struct summary_window *window, int64_t now_ns, double value)
{
    int64_t epoch = epoch_at(now_ns);
    struct summary_age *age = &window->ages[epoch % SUMMARY_AGE_WINDOWS];
    int64_t seen = atomic_load_explicit(&age->epoch, memory_order_relaxed);
    if (seen != epoch && atomic_compare_exchange_strong_explicit(
                             &age->epoch, &seen, epoch, memory_order_relaxed, memory_order_relaxed))
        atomic_store_explicit(&age->count, 0, memory_order_relaxed);

    uint64_t index = atomic_fetch_add_explicit(&age->count, 1, memory_order_relaxed);
    /* Reservoir sampling (Vitter's algorithm R); a hash of the position is random enough. */
    if (index >= SUMMARY_SAMPLES_MAX)
        index = hash_mix((uint64_t)epoch, index) % (index + 1);
    if (index >= SUMMARY_SAMPLES_MAX)
        return;
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    atomic_store_explicit(&age->values[index], bits, memory_order_relaxed);
}

struct weighted {
    double value;
    double weight;
};

static int compare_values(const void *a, const void *b)
{
    double x = ((const struct weighted *)a)->value;
    double y = ((const struct weighted *)b)->value;
    return x < y ? -1 : x > y;
}

static size_t gather(const struct summary_window *window, int64_t now_ns, struct weighted *out,
                     double *total)
{
    int64_t epoch = epoch_at(now_ns);
    size_t size = 0;
    *total = 0;
    for (int i = 0; i < SUMMARY_AGE_WINDOWS; i++) {
        const struct summary_age *age = &window->ages[i];
        int64_t seen = atomic_load_explicit(&age->epoch, memory_order_relaxed);
        if (seen == 0 || seen <= epoch - SUMMARY_AGE_WINDOWS || seen > epoch)
            continue;
        uint64_t count = atomic_load_explicit(&age->count, memory_order_relaxed);
        uint64_t kept = count < SUMMARY_SAMPLES_MAX ? count : SUMMARY_SAMPLES_MAX;
        for (uint64_t at = 0; at < kept; at++) {
            uint64_t bits = atomic_load_explicit(&age->values[at], memory_order_relaxed);
            memcpy(&out[size].value, &bits, sizeof bits);
            out[size++].weight = (double)count / (double)kept;
        }
        *total += (double)count;
    }
    return size;
}

void summary_window_quantiles(const struct summary_window *window, int64_t now_ns,
                              const double *quantiles, size_t quantile_count, double *results)
{
    struct weighted samples[SUMMARY_AGE_WINDOWS * SUMMARY_SAMPLES_MAX];
    double total;
    size_t size = gather(window, now_ns, samples, &total);
    if (size > 0)
        qsort(samples, size, sizeof *samples, compare_values);
    for (size_t i = 0; i < quantile_count; i++) {
        double rank = ceil(quantiles[i] * total);
        double passed = 0;
        results[i] = size == 0 ? NAN : samples[size - 1].value;
        for (size_t at = 0; at < size; at++) {
            passed += samples[at].weight;
            /* Half an observation of slack for the rounding of the weights. */
            if (passed >= rank - 0.5) {
                results[i] = samples[at].value;
                break;
            }
        }
    }
}
