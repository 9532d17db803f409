/* Writing histogram columns: rows become sections of one kind and one bucket scheme, a section
 * becomes one sub-column per bucket. Layout: docs/format/column.md, part 7. */
#include "narthex/tsdb/histogram_column.h"

#include <assert.h>
#include <math.h>
#include <string.h>

#include "histogram_section.h"
#include "int_stream.h"
#include "narthex/tsdb/histogram_codec.h"

enum { SIDES = 2 };

/* The buckets that any row of a section has. */
struct bucket_set {
    int32_t *indices; /* ascending */
    uint32_t count;
    struct histogram_span *spans; /* the same as spans */
    uint32_t span_count;
};

struct section {
    const struct histogram *rows;
    uint32_t row_count;
    const struct histogram *base; /* the first row that is no stale marker, or NULL */
    struct bucket_set sides[SIDES];
    struct arena *arena;
};

static const struct histogram_side *side_of(const struct histogram *histogram, uint32_t side)
{
    return side == 0 ? &histogram->positive : &histogram->negative;
}

static bool is_stale(const struct histogram *histogram)
{
    struct histogram stale = section_stale(histogram->kind);
    return histogram_identical(histogram, &stale);
}

/* Whether the spans describe as many distinct, ascending buckets as there are counts. */
static bool side_is_regular(const struct histogram_side *side)
{
    struct bucket_walk walk = bucket_walk_of(side);
    int64_t before = INT64_MIN;
    uint32_t count = 0;
    while (count <= SECTION_BUCKETS_MAX && bucket_walk_next(&walk)) {
        if (walk.index <= before || walk.index < -SECTION_INDEX_MAX ||
            walk.index > SECTION_INDEX_MAX)
            return false;
        before = walk.index;
        count++;
    }
    return count == side->bucket_count && count <= SECTION_BUCKETS_MAX;
}

static bool is_regular(const struct histogram *histogram)
{
    return histogram->custom_value_count <= SECTION_BUCKETS_MAX &&
           side_is_regular(&histogram->positive) && side_is_regular(&histogram->negative);
}

/* Whether two rows may be in one section. */
static bool same_scheme(const struct histogram *a, const struct histogram *b)
{
    return a->kind == b->kind && a->schema == b->schema &&
           double_bits(a->zero_threshold) == double_bits(b->zero_threshold) &&
           a->custom_value_count == b->custom_value_count &&
           (a->custom_value_count == 0 ||
            memcmp(a->custom_values, b->custom_values,
                   a->custom_value_count * sizeof *a->custom_values) == 0);
}

static bool same_spans(const struct histogram_side *a, const struct histogram_span *spans,
                       uint32_t span_count)
{
    return a->span_count == span_count &&
           (span_count == 0 || memcmp(a->spans, spans, span_count * sizeof *spans) == 0);
}

static bool same_layout(const struct histogram *a, const struct histogram *b)
{
    return same_spans(&a->positive, b->positive.spans, b->positive.span_count) &&
           same_spans(&a->negative, b->negative.spans, b->negative.span_count);
}

/* ---- sections ---- */

/* The set with the side's buckets added. */
static struct bucket_set set_add(const struct bucket_set *set, const struct histogram_side *side,
                                 struct arena *arena)
{
    struct bucket_set sum = {
        .indices = arena_alloc(arena, ((size_t)set->count + side->bucket_count) * sizeof(int32_t))};
    struct bucket_walk walk = bucket_walk_of(side);
    uint32_t i = 0;
    while (bucket_walk_next(&walk)) {
        while (i < set->count && set->indices[i] < walk.index)
            sum.indices[sum.count++] = set->indices[i++];
        if (i < set->count && set->indices[i] == walk.index)
            i++;
        sum.indices[sum.count++] = (int32_t)walk.index;
    }
    while (i < set->count)
        sum.indices[sum.count++] = set->indices[i++];
    return sum;
}

/* False if the section would have too many buckets with this row. */
static bool add_layout(struct section *section, const struct histogram *row)
{
    struct bucket_set sums[SIDES];
    for (uint32_t i = 0; i < SIDES; i++) {
        sums[i] = set_add(&section->sides[i], side_of(row, i), section->arena);
        if (sums[i].count > SECTION_BUCKETS_MAX)
            return false;
    }
    memcpy(section->sides, sums, sizeof sums);
    return true;
}

static void make_spans(struct bucket_set *set, struct arena *arena)
{
    set->spans = arena_alloc(arena, ((size_t)set->count + 1) * sizeof *set->spans);
    int32_t end = 0; /* after the last span */
    for (uint32_t i = 0; i < set->count; i++) {
        int32_t gap = set->indices[i] - end;
        if (i > 0 && gap == 0) {
            set->spans[set->span_count - 1].length++;
        } else {
            set->spans[set->span_count++] = (struct histogram_span){gap, 1};
        }
        end = set->indices[i] + 1;
    }
}

/* Takes rows from the front of rows[0..count) as long as they fit together. */
static struct section take_section(const struct histogram *rows, uint32_t count,
                                   struct arena *arena)
{
    struct section section = {.rows = rows, .arena = arena};
    const struct histogram *before = NULL;
    uint32_t i = 0;
    for (; i < count; i++) {
        const struct histogram *row = &rows[i];
        if (is_stale(row))
            continue;
        if (section.base == NULL ? !is_regular(row) : !same_scheme(section.base, row))
            break;
        if (before == NULL || !same_layout(before, row)) {
            if (!is_regular(row) || !add_layout(&section, row))
                break;
        } else if (row->positive.bucket_count != before->positive.bucket_count ||
                   row->negative.bucket_count != before->negative.bucket_count) {
            break;
        }
        if (section.base == NULL)
            section.base = row;
        before = row;
    }
    section.row_count = i;
    for (uint32_t side = 0; side < SIDES; side++)
        make_spans(&section.sides[side], arena);
    return section;
}

/* ---- description ---- */

static void put_spans(struct strbuf *out, const struct histogram_span *spans, uint32_t span_count)
{
    coding_put_uv(out, span_count);
    for (uint32_t i = 0; i < span_count; i++) {
        coding_put_zv(out, spans[i].offset);
        coding_put_uv(out, spans[i].length);
    }
}

static void put_float_column(struct strbuf *out, const double *values, uint32_t count)
{
    uint8_t bytes[sizeof(double) * COLUMN_ROWS_MAX + 256];
    assert(column_size_max(count) <= sizeof bytes);
    size_t size = column_seal(values, count, NULL, bytes);
    coding_put_uv(out, size);
    strbuf_add(out, bytes, size);
}

static void put_custom_values(struct strbuf *out, const struct histogram *base)
{
    coding_put_uv(out, base->custom_value_count);
    for (uint32_t i = 0; i < base->custom_value_count; i += COLUMN_ROWS_MAX) {
        uint32_t left = base->custom_value_count - i;
        put_float_column(out, base->custom_values + i,
                         left < COLUMN_ROWS_MAX ? left : COLUMN_ROWS_MAX);
    }
}

static uint8_t run_flags(const struct section *section, const struct histogram *row)
{
    if (is_stale(row))
        return (uint8_t)(row->kind == HISTOGRAM_FLOAT ? RUN_STALE | RUN_STALE_FLOAT : RUN_STALE);
    bool all = true;
    for (uint32_t i = 0; i < SIDES; i++)
        all = all &&
              same_spans(side_of(row, i), section->sides[i].spans, section->sides[i].span_count);
    return (uint8_t)((unsigned)row->hint | (all ? RUN_ALL_BUCKETS : 0u));
}

/* Runs of rows with the same hint and spans; a stale marker is a run without anything. */
static void put_runs(struct strbuf *out, const struct section *section)
{
    for (uint32_t from = 0, end; from < section->row_count; from = end) {
        const struct histogram *row = &section->rows[from];
        uint8_t flags = run_flags(section, row);
        for (end = from + 1; end < section->row_count; end++) {
            const struct histogram *next = &section->rows[end];
            if (run_flags(section, next) != flags || !same_layout(row, next))
                break;
        }
        coding_put_u8(out, flags);
        coding_put_u8(out, (uint8_t)(end - from - 1));
        if ((flags & (RUN_ALL_BUCKETS | RUN_STALE)) == 0) {
            put_spans(out, row->positive.spans, row->positive.span_count);
            put_spans(out, row->negative.spans, row->negative.span_count);
        }
    }
}

/* ---- sub-columns ---- */

/* numbers[i] gets count i of every row; rows without it repeat the row before. */
static void gather_side(const struct section *section, uint32_t side, uint64_t *numbers)
{
    const struct bucket_set *set = &section->sides[side];
    uint32_t stride = section->row_count;
    for (uint32_t row = 0; row < stride; row++) {
        const struct histogram_side *own = side_of(&section->rows[row], side);
        struct bucket_walk walk = bucket_walk_of(own);
        uint32_t position = 0;
        bool more = bucket_walk_next(&walk);
        for (uint32_t i = 0; i < set->count; i++) {
            uint64_t *at = &numbers[(size_t)i * stride + row];
            if (more && walk.index == set->indices[i]) {
                *at = own->counts[position++].i;
                more = bucket_walk_next(&walk);
            } else {
                *at = row == 0 ? 0 : at[-1];
            }
        }
    }
}

static void gather_scalar(const struct section *section, size_t offset, uint64_t *numbers)
{
    for (uint32_t row = 0; row < section->row_count; row++) {
        if (row > 0 && is_stale(&section->rows[row]))
            numbers[row] = numbers[row - 1];
        else
            memcpy(&numbers[row], (const char *)&section->rows[row] + offset, sizeof numbers[row]);
    }
}

/* Whether the count of every row is what a reader gets by adding its other counts. Not for NaNs:
 * which of two is their sum differs from machine to machine. */
static bool count_is_derived(const struct section *section)
{
    for (uint32_t i = 0; i < section->row_count; i++) {
        const struct histogram *row = &section->rows[i];
        if (is_stale(row))
            continue;
        if ((row->kind == HISTOGRAM_FLOAT && isnan(row->count.f)) ||
            section__count_sum(row).i != row->count.i)
            return false;
    }
    return true;
}

static bool all_same(const uint64_t *numbers, uint32_t count)
{
    for (uint32_t i = 1; i < count; i++) {
        if (numbers[i] != numbers[0])
            return false;
    }
    return true;
}

static void put_stream(struct strbuf *out, const uint64_t *numbers, uint32_t count)
{
    int64_t integers[COLUMN_ROWS_MAX];
    memcpy(integers, numbers, count * sizeof *integers);
    struct int_plan plan = int_plan_search(integers, count, false);
    size_t size_max = 1 + (size_t)(plan.size_bits / 8) + 8 + COLUMN_SLACK_BYTES;
    uint8_t *start = (uint8_t *)strbuf_reserve(out, size_max);
    *start = (uint8_t)(int_plan_flags(&plan) | plan.zigzag);
    uint8_t *end = int_plan_write(&plan, integers, count, start + 1);
    assert((size_t)(end - start) + COLUMN_SLACK_BYTES <= size_max);
    strbuf_commit(out, (size_t)(end - start));
}

/* `columns` times row_count integers: a bit per column says which are constant. */
static void put_integers(struct strbuf *out, const uint64_t *numbers, uint32_t columns,
                         uint32_t row_count)
{
    size_t bitmap_size = (columns + 7) / 8, bitmap_at = out->size;
    memset(strbuf_reserve(out, bitmap_size), 0, bitmap_size);
    strbuf_commit(out, bitmap_size);
    for (uint32_t i = 0; i < columns; i++) {
        const uint64_t *column = numbers + (size_t)i * row_count;
        if (all_same(column, row_count)) {
            uint8_t *byte = (uint8_t *)out->data + bitmap_at + i / 8;
            *byte |= (uint8_t)(1u << i % 8);
            coding_put_uv(out, column[0]);
        } else {
            put_stream(out, column, row_count);
        }
    }
}

static void put_doubles(struct strbuf *out, const uint64_t *numbers, uint32_t columns,
                        uint32_t row_count)
{
    double values[COLUMN_ROWS_MAX];
    for (uint32_t i = 0; i < columns; i++) {
        memcpy(values, numbers + (size_t)i * row_count, row_count * sizeof *values);
        put_float_column(out, values, row_count);
    }
}

static void put_section(struct strbuf *out, const struct section *section)
{
    static const struct histogram none;
    const struct histogram *base = section->base == NULL ? &none : section->base;
    uint32_t rows = section->row_count;
    bool usual = double_bits(base->zero_threshold) == double_bits(SECTION_THRESHOLD);
    bool derived = count_is_derived(section);
    coding_put_u8(out,
                  (uint8_t)(SECTION_COLUMNS | (base->kind == HISTOGRAM_FLOAT ? SECTION_FLOAT : 0) |
                            (derived ? SECTION_COUNT_DERIVED : 0) |
                            (usual ? SECTION_USUAL_THRESHOLD : 0)));
    coding_put_u8(out, (uint8_t)(rows - 1));
    coding_put_zv(out, base->schema);
    if (!usual)
        coding_put_double(out, base->zero_threshold);
    put_custom_values(out, base);
    for (uint32_t i = 0; i < SIDES; i++)
        put_spans(out, section->sides[i].spans, section->sides[i].span_count);
    put_runs(out, section);

    uint32_t positive = section->sides[0].count, negative = section->sides[1].count;
    uint32_t columns = (derived ? 1 : 2) + positive + negative;
    uint64_t *numbers = arena_alloc(section->arena, (size_t)(columns + 1) * rows * sizeof *numbers);
    uint64_t *at = numbers;
    gather_scalar(section, offsetof(struct histogram, sum), at);
    put_doubles(out, at, 1, rows);
    gather_scalar(section, offsetof(struct histogram, zero_count), at += rows);
    if (!derived)
        gather_scalar(section, offsetof(struct histogram, count), at += rows);
    gather_side(section, 0, at += rows);
    gather_side(section, 1, at + (size_t)positive * rows);
    if (base->kind == HISTOGRAM_FLOAT)
        put_doubles(out, numbers + rows, columns, rows);
    else
        put_integers(out, numbers + rows, columns, rows);
}

/* Rows that no layout can describe, as they are. */
static uint32_t put_records(struct strbuf *out, const struct histogram *rows, uint32_t count)
{
    uint32_t end = 1;
    while (end < count && !is_regular(&rows[end]))
        end++;
    coding_put_u8(out, SECTION_RECORDS);
    coding_put_u8(out, (uint8_t)(end - 1));
    struct strbuf record = STRBUF_INIT;
    for (uint32_t i = 0; i < end; i++) {
        strbuf_clear(&record);
        histogram_encode(&record, &rows[i]);
        coding_put_str(out, strbuf_str(&record));
    }
    strbuf_deinit(&record);
    return end;
}

void histogram_column_encode(struct strbuf *out, const struct histogram *histograms, uint32_t count)
{
    assert(count >= 1 && count <= COLUMN_ROWS_MAX);
    struct arena arena;
    arena_init(&arena, MEM_HEAD, SIZE_MAX);
    for (uint32_t i = 0; i < count;) {
        struct arena_mark mark = arena_mark(&arena);
        struct section section = take_section(histograms + i, count - i, &arena);
        if (section.row_count > 0)
            put_section(out, &section);
        i +=
            section.row_count > 0 ? section.row_count : put_records(out, histograms + i, count - i);
        arena_reset_to(&arena, mark);
    }
    arena_deinit(&arena);
    memset(strbuf_reserve(out, COLUMN_SLACK_BYTES), 0, COLUMN_SLACK_BYTES);
}
