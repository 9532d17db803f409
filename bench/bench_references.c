/* tsdb-bench references: what columns would gain if they could be stored as the difference to an
 * earlier column of the same target and window, before and after LZ4.
 *
 * Only sizes are found out: nothing decodes such columns. A column may refer to one of the 16
 * before it that is not 16 references away from one without; both are decimals of one scale.
 */
#include <lz4hc.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "narthex/base/mem.h"
#include "narthex/tsdb/column.h"
#include "tsdb_bench.h"

enum { DISTANCE_MAX = 16, DEPTH_MAX = 16, PAGE_BYTES = 8192, COLUMN_BYTES_MAX = 2200 };

/* Columns one after another in pages. */
struct page_sizes {
    uint8_t page[PAGE_BYTES + COLUMN_BYTES_MAX];
    size_t used;
    uint64_t raw, packed;
};

struct kept_column {
    double values[COLUMN_ROWS_MAX];
    uint32_t depth;
};

struct reference_bench {
    struct page_sizes plain, referring;
    uint64_t samples, columns, references;
    struct kept_column kept[DISTANCE_MAX];
    uint32_t kept_count; /* ever, in this window */
};

static void end_page(struct page_sizes *pages)
{
    char packed[LZ4_COMPRESSBOUND(sizeof pages->page)];
    if (pages->used == 0)
        return;
    int size = LZ4_compress_HC((const char *)pages->page, packed, (int)pages->used,
                               (int)sizeof packed, LZ4HC_CLEVEL_DEFAULT);
    pages->raw += pages->used;
    pages->packed += size > 0 && (size_t)size < pages->used ? (size_t)size : pages->used;
    pages->used = 0;
}

static void add_bytes(struct page_sizes *pages, const uint8_t *bytes, size_t size)
{
    if (pages->used + size > PAGE_BYTES)
        end_page(pages);
    memcpy(pages->page + pages->used, bytes, size);
    pages->used += size;
}

/* values - base, exactly, as decimals of some scale; false: there is none. */
static bool difference(const double *values, const double *base, uint32_t count, double *out)
{
    static const double scales[] = {1, 10, 100, 1000, 1e6};
    for (size_t s = 0; s < sizeof scales / sizeof scales[0]; s++) {
        uint32_t i = 0;
        for (; i < count; i++) {
            double v = rint(values[i] * scales[s]), b = rint(base[i] * scales[s]);
            if (!(fabs(v) < 0x1p51 && fabs(b) < 0x1p51) || v / scales[s] != values[i] ||
                b / scales[s] != base[i])
                break;
            out[i] = (v - b) / scales[s];
        }
        if (i == count)
            return true;
    }
    return false;
}

static void add_column(struct reference_bench *bench, const double *values, uint32_t count)
{
    uint8_t plain[COLUMN_BYTES_MAX], best[COLUMN_BYTES_MAX], trial[COLUMN_BYTES_MAX];
    double constant, differences[COLUMN_ROWS_MAX];
    size_t size = column_seal_small(values, count, plain);
    bench->samples += count;
    if (column_peek_constant(plain, size, &constant))
        return;
    size_t best_size = size;
    uint32_t depth = 0;
    uint32_t reach = bench->kept_count < DISTANCE_MAX ? bench->kept_count : DISTANCE_MAX;
    memcpy(best, plain, size);
    for (uint32_t distance = 1; distance <= reach; distance++) {
        const struct kept_column *base =
            &bench->kept[(bench->kept_count - distance) % DISTANCE_MAX];
        if (base->depth >= DEPTH_MAX || !difference(values, base->values, count, differences))
            continue;
        size_t trial_size = 1 + column_seal_small(differences, count, trial + 1);
        trial[0] = (uint8_t)distance;
        if (trial_size * 100 >= best_size * 95)
            continue;
        best_size = trial_size;
        depth = base->depth + 1;
        memcpy(best, trial, trial_size);
    }
    struct kept_column *kept = &bench->kept[bench->kept_count++ % DISTANCE_MAX];
    memcpy(kept->values, values, count * sizeof *values);
    kept->depth = depth;
    bench->columns++;
    bench->references += depth > 0;
    add_bytes(&bench->plain, plain, size);
    add_bytes(&bench->referring, best, best_size);
}

static void add_job(struct reference_bench *bench, const struct corpus_job *job, bool buckets_only)
{
    for (uint32_t from = 0; from + COLUMN_ROWS_MAX <= job->row_count; from += COLUMN_ROWS_MAX) {
        bench->kept_count = 0;
        for (uint32_t slot = 0; slot < job->series_count; slot++) {
            double values[COLUMN_ROWS_MAX];
            uint32_t row = 0;
            if (buckets_only &&
                !str_ends_with(labels_get(job->series[slot].labels, STR("__name__")),
                               STR("_bucket")))
                continue;
            for (; row < COLUMN_ROWS_MAX; row++) {
                values[row] = job->values[(size_t)(from + row) * job->series_count + slot];
                if (corpus_is_absent(values[row]))
                    break;
            }
            if (row == COLUMN_ROWS_MAX)
                add_column(bench, values, COLUMN_ROWS_MAX);
        }
    }
}

static void measure(struct bench *bench, const char *set, bool buckets_only)
{
    const struct corpus *corpus = bench_corpus(bench);
    struct reference_bench *references = MEM_NEW(MEM_TEST, struct reference_bench);
    for (uint32_t i = 0; i < corpus->job_count; i++)
        add_job(references, &corpus->jobs[i], buckets_only);
    end_page(&references->plain);
    end_page(&references->referring);
    const struct {
        const char *what;
        double value;
    } figures[] = {
        {"columns that refer, of all",
         (double)references->references / (double)(references->columns + !references->columns)},
        {"plain", (double)references->plain.raw / (double)references->samples},
        {"plain, LZ4", (double)references->plain.packed / (double)references->samples},
        {"referring", (double)references->referring.raw / (double)references->samples},
        {"referring, LZ4", (double)references->referring.packed / (double)references->samples},
    };
    for (size_t i = 0; references->columns > 0 && i < sizeof figures / sizeof figures[0]; i++) {
        char name[64];
        snprintf(name, sizeof name, "references/%s %s", set, figures[i].what);
        report_add_value(bench->report, name, i == 0 ? "" : "B/sample", figures[i].value);
    }
    mem_free(MEM_TEST, references);
}

void bench_references(struct bench *bench)
{
    measure(bench, "corpus", false);
    measure(bench, "buckets", true);
}
