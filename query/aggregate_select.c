/* Aggregations that keep input series: topk, bottomk, limitk, limit_ratio. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "aggregate.h"
#include "narthex/base/hash.h"
#include "narthex/base/number.h"

/* ---- parameters ---- */

static void add_general(struct strbuf *out, double v)
{
    char text[NUMBER_TEXT_MAX];
    strbuf_add(out, text, number_format_general(v, 6, text));
}

static err_t fail_scalar(struct strbuf *why, double v, const char *what)
{
    struct strbuf number = STRBUF_INIT;
    add_general(&number, v);
    err_t err =
        err_fail(why, ERR_EXECUTION, "Scalar value %s %s int64", strbuf_cstr(&number), what);
    strbuf_deinit(&number);
    return err;
}

/* k of every step: none above 1 is no result, NaN and what is no int64 are errors. */
static err_t check_k(struct aggregate_op *aggregate, struct strbuf *why)
{
    const double *k = aggregate->param_column;
    double max = -INFINITY;
    bool nan_found = false;
    for (uint32_t i = 0; i < aggregate->steps; i++) {
        if (isnan(k[i]))
            nan_found = true;
        else if (k[i] > max)
            max = k[i];
    }
    if (nan_found)
        return err_fail(why, ERR_EXECUTION, "Parameter value is NaN");
    if (max < 1)
        aggregate->empty = true;
    for (uint32_t i = 0; i < aggregate->steps && !aggregate->empty; i++) {
        if (k[i] <= -0x1p63)
            return fail_scalar(why, k[i], "underflows");
        if (k[i] >= 9223372036854774784.0)
            return fail_scalar(why, k[i], "overflows");
    }
    return OK;
}

static err_t check_ratio(struct aggregate_op *aggregate, struct strbuf *why)
{
    const double *ratio = aggregate->param_column;
    bool all_zero = true;
    for (uint32_t i = 0; i < aggregate->steps; i++) {
        if (isnan(ratio[i]))
            return err_fail(why, ERR_EXECUTION, "Ratio value is NaN");
        all_zero = all_zero && ratio[i] == 0;
        if (ratio[i] >= -1 && ratio[i] <= 1)
            continue;
        struct strbuf text = STRBUF_INIT;
        strbuf_add_cstr(&text, "ratio value should be between -1 and 1, got ");
        add_general(&text, ratio[i]);
        strbuf_add_cstr(&text, ratio[i] > 1 ? ", capping to 1" : ", capping to -1");
        annotations__warn(&aggregate->op.eval->annotations,
                          expr_strip_parens(aggregate->aggregation->param)->start,
                          strbuf_cstr(&text));
        strbuf_deinit(&text);
    }
    aggregate->empty = all_zero;
    return OK;
}

static err_t check_param(struct aggregate_op *aggregate, struct strbuf *why)
{
    if (aggregate->checked)
        return OK;
    aggregate->checked = true;
    TRY(op__scalar(aggregate->param, &aggregate->param_column, why));
    return aggregate->aggregation->op == AGGREGATION_LIMIT_RATIO ? check_ratio(aggregate, why)
                                                                 : check_k(aggregate, why);
}

/* What the parameter leaves nothing of is evaluated all the same: it may fail. */
static err_t drain(struct aggregate_op *aggregate, struct strbuf *why)
{
    struct batch child;
    do
        TRY(op__next(aggregate->child, &child, why));
    while (child.count > 0);
    return OK;
}

static uint64_t k_at(const struct aggregate_op *aggregate, uint32_t step)
{
    double k = aggregate->param_column[step];
    return k < 1 ? 0 : (uint64_t)k;
}

/* ---- topk, bottomk ---- */

struct heap_entry {
    double v;
    uint32_t row; /* ordinal */
};

/* The worst entry is first. */
struct aggregate_heap {
    struct heap_entry *items;
    uint32_t count;
    uint32_t capacity;
};

/* Whether a is to be thrown out before b: NaN first, then the smaller (topk), then the later row.
 */
static bool is_worse(struct heap_entry a, struct heap_entry b, bool bottom)
{
    if (isnan(a.v) || isnan(b.v)) {
        if (isnan(a.v) && isnan(b.v))
            return a.row > b.row;
        return isnan(a.v);
    }
    if (a.v != b.v)
        return bottom ? a.v > b.v : a.v < b.v;
    return a.row > b.row;
}

static void swap(struct heap_entry *a, struct heap_entry *b)
{
    struct heap_entry t = *a;
    *a = *b;
    *b = t;
}

static void sift_up(struct aggregate_heap *heap, bool bottom)
{
    uint32_t at = heap->count - 1;
    while (at > 0 && is_worse(heap->items[at], heap->items[(at - 1) / 2], bottom)) {
        swap(&heap->items[at], &heap->items[(at - 1) / 2]);
        at = (at - 1) / 2;
    }
}

static void sift_down(struct aggregate_heap *heap, bool bottom)
{
    uint32_t at = 0;
    for (;;) {
        uint32_t worst = at;
        for (uint32_t child = 2 * at + 1; child <= 2 * at + 2 && child < heap->count; child++) {
            if (is_worse(heap->items[child], heap->items[worst], bottom))
                worst = child;
        }
        if (worst == at)
            return;
        swap(&heap->items[at], &heap->items[worst]);
        at = worst;
    }
}

static void offer(struct aggregate_op *aggregate, struct aggregate_heap *heap, uint64_t k,
                  struct heap_entry entry)
{
    bool bottom = aggregate->aggregation->op == AGGREGATION_BOTTOMK;
    if (heap->count < k) {
        heap->items = aggregate__grow(aggregate->arena, heap->items, heap->count, &heap->capacity,
                                      sizeof *heap->items);
        heap->items[heap->count++] = entry;
        sift_up(heap, bottom);
    } else if (k > 0 && is_worse(heap->items[0], entry, bottom)) {
        heap->items[0] = entry;
        sift_down(heap, bottom);
    }
}

static void offer_row(struct aggregate_op *aggregate, const struct row *row)
{
    struct aggregate_group *group = aggregate__group(aggregate, row);
    if (group->heaps == NULL)
        group->heaps =
            arena_calloc(aggregate->arena, aggregate->steps, sizeof(struct aggregate_heap));
    aggregate->seen = aggregate__grow(aggregate->arena, aggregate->seen, aggregate->seen_count,
                                      &aggregate->seen_capacity, sizeof *aggregate->seen);
    uint32_t ordinal = aggregate->seen_count++;
    aggregate->seen[ordinal] = (struct row){.labels = row->labels, .drop_name = row->drop_name};
    bool ignored = false;
    for (uint32_t i = 0; i < aggregate->steps; i++) {
        if (!bits__get(row->present, i))
            continue;
        if (row__histogram(row, i) != NULL)
            ignored = true;
        else
            offer(aggregate, &group->heaps[i], k_at(aggregate, i),
                  (struct heap_entry){row->values[i], ordinal});
    }
    if (ignored)
        aggregate__ignored_histogram(aggregate, aggregate->op.expr->start);
}

static int compare_entries(const void *a, const void *b, void *context)
{
    bool bottom = *(const bool *)context;
    struct heap_entry x = *(const struct heap_entry *)a;
    struct heap_entry y = *(const struct heap_entry *)b;
    return is_worse(y, x, bottom) ? -1 : is_worse(x, y, bottom);
}

static void put_entry(struct aggregate_op *aggregate, struct heap_entry entry, uint32_t step)
{
    struct row *row = &aggregate->seen[entry.row];
    if (row->values == NULL) {
        struct row made;
        row__init(&made, aggregate->arena, aggregate->steps);
        made.labels = row->labels;
        made.drop_name = row->drop_name;
        *row = made;
    }
    row__set(row, step, entry.v);
}

/* Instant queries show each group from best to worst; ranges are in the order of the input. */
static struct batch top_rows(struct aggregate_op *aggregate)
{
    bool bottom = aggregate->aggregation->op == AGGREGATION_BOTTOMK;
    struct row *rows = arena_alloc(aggregate->arena, (aggregate->seen_count + 1) * sizeof *rows);
    uint32_t count = 0;
    for (uint32_t g = 0; g < aggregate->table.count; g++) {
        for (uint32_t i = 0; i < aggregate->steps; i++) {
            struct aggregate_heap *heap = &aggregate->groups[g].heaps[i];
            if (heap->count > 1)
                qsort_r(heap->items, heap->count, sizeof *heap->items, compare_entries, &bottom);
            for (uint32_t e = 0; e < heap->count; e++) {
                put_entry(aggregate, heap->items[e], i);
                if (aggregate->steps == 1)
                    rows[count++] = aggregate->seen[heap->items[e].row];
            }
        }
    }
    for (uint32_t r = 0; r < aggregate->seen_count && aggregate->steps > 1; r++) {
        if (aggregate->seen[r].values != NULL)
            rows[count++] = aggregate->seen[r];
    }
    return (struct batch){rows, count};
}

err_t aggregate__next_top(struct op *op, struct batch *batch, struct strbuf *why)
{
    struct aggregate_op *aggregate = (struct aggregate_op *)op;
    TRY(check_param(aggregate, why));
    if (aggregate->done)
        return OK;
    aggregate->done = true;
    if (aggregate->empty)
        return drain(aggregate, why);
    struct batch child;
    for (;;) {
        TRY(op__next(aggregate->child, &child, why));
        if (child.count == 0)
            break;
        for (uint32_t i = 0; i < child.count; i++) {
            if (bits__any(child.rows[i].present, aggregate->steps))
                offer_row(aggregate, &child.rows[i]);
        }
    }
    *batch = top_rows(aggregate);
    return OK;
}

/* ---- limitk ---- */

err_t aggregate__next_limit(struct op *op, struct batch *batch, struct strbuf *why)
{
    struct aggregate_op *aggregate = (struct aggregate_op *)op;
    TRY(check_param(aggregate, why));
    if (aggregate->empty)
        return drain(aggregate, why);
    TRY(op__next(aggregate->child, batch, why));
    for (uint32_t r = 0; r < batch->count; r++) {
        struct row *row = &batch->rows[r];
        struct aggregate_group *group = aggregate__group(aggregate, row);
        if (group->taken == NULL)
            group->taken = arena_calloc(aggregate->arena, aggregate->steps, sizeof(uint32_t));
        for (uint32_t i = 0; i < aggregate->steps; i++) {
            if (!bits__get(row->present, i))
                continue;
            if (group->taken[i] < k_at(aggregate, i))
                group->taken[i]++;
            else
                bits__clear(row->present, i);
        }
    }
    return OK;
}

/* ---- limit_ratio ---- */

static void add_sized(struct strbuf *bytes, struct str s)
{
    if (s.size < 255) {
        strbuf_add_char(bytes, (char)s.size);
    } else {
        char size[4] = {(char)0xff, (char)(s.size & 0xff), (char)(s.size >> 8 & 0xff),
                        (char)(s.size >> 16 & 0xff)};
        strbuf_add(bytes, size, sizeof size);
    }
    strbuf_add_str(bytes, s);
}

/* Prometheus' own hash of a label set, as a fraction of its range: the sample that a ratio keeps
 * must be the same everywhere. */
static double label_offset(struct labels labels)
{
    struct strbuf bytes = STRBUF_INIT;
    for (uint32_t i = 0; i < labels.count; i++) {
        add_sized(&bytes, labels.items[i].name);
        add_sized(&bytes, labels.items[i].value);
    }
    uint64_t hash = hash_xxh64(bytes.data, bytes.size);
    strbuf_deinit(&bytes);
    return (double)hash / 0x1p64;
}

static bool is_kept(double ratio, double offset)
{
    ratio = fmax(-1, fmin(1, ratio));
    return ratio >= 0 ? offset < ratio : offset >= 1 + ratio;
}

err_t aggregate__next_ratio(struct op *op, struct batch *batch, struct strbuf *why)
{
    struct aggregate_op *aggregate = (struct aggregate_op *)op;
    TRY(check_param(aggregate, why));
    if (aggregate->empty)
        return drain(aggregate, why);
    TRY(op__next(aggregate->child, batch, why));
    for (uint32_t r = 0; r < batch->count; r++) {
        struct row *row = &batch->rows[r];
        double offset = label_offset(row->labels);
        for (uint32_t i = 0; i < aggregate->steps; i++) {
            if (!is_kept(aggregate->param_column[i], offset))
                bits__clear(row->present, i);
        }
    }
    return OK;
}
