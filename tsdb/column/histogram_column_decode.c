/* Reading histogram columns: everything is validated before it is used. Layout:
 * docs/format/column.md, part 7. */
#include <assert.h>
#include <string.h>

#include "histogram_section.h"
#include "int_stream.h"
#include "narthex/tsdb/histogram_codec.h"
#include "narthex/tsdb/histogram_column.h"

/* A section on its way into rows of histograms. */
struct section_reader {
    struct byte_reader in;
    struct arena *arena;
    struct histogram *rows;
    uint8_t *run_flags; /* per row */
    uint32_t row_count;
    uint8_t head;
    struct histogram base;         /* scheme, and the spans of all buckets */
    union histogram_count *counts; /* of row i: [i * buckets, (i + 1) * buckets) */
    uint32_t buckets;
};

union histogram_count section__count_sum(const struct histogram *histogram)
{
    const struct histogram_side *sides[] = {&histogram->positive, &histogram->negative};
    union histogram_count sum = histogram->zero_count;
    for (int side = 0; side < 2; side++) {
        for (uint32_t i = 0; i < sides[side]->bucket_count; i++) {
            if (histogram->kind == HISTOGRAM_INTEGER)
                sum.i += sides[side]->counts[i].i;
            else
                sum.f += sides[side]->counts[i].f;
        }
    }
    return sum;
}

/* ---- description ---- */

/* A side's spans, with as many counts as they say; the counts are not there yet. */
static void read_spans(struct byte_reader *in, struct arena *arena, struct histogram_side *side)
{
    uint32_t span_count = (uint32_t)byte_reader_uv_max(in, byte_reader_left(in) / 2);
    struct histogram_span *spans = arena_alloc(arena, (span_count + 1) * sizeof *spans);
    uint64_t buckets = 0;
    for (uint32_t i = 0; i < span_count; i++) {
        int64_t offset = byte_reader_zv(in);
        if (offset < INT32_MIN || offset > INT32_MAX)
            in->failed = true;
        spans[i].offset = (int32_t)offset;
        spans[i].length = (uint32_t)byte_reader_uv_max(in, SECTION_BUCKETS_MAX);
        buckets += spans[i].length;
    }
    if (buckets > SECTION_BUCKETS_MAX)
        in->failed = true;
    *side = (struct histogram_side){
        .spans = spans, .span_count = span_count, .bucket_count = (uint32_t)buckets};
}

static err_t read_float_column(struct byte_reader *in, uint32_t count, double *values)
{
    size_t size = (size_t)byte_reader_uv_max(in, byte_reader_left(in));
    const uint8_t *bytes = byte_reader_take(in, size);
    return bytes == NULL ? ERR_CORRUPT : column_decode(bytes, size, count, values);
}

static err_t read_custom_values(struct section_reader *self)
{
    struct byte_reader *in = &self->in;
    uint32_t count = (uint32_t)byte_reader_uv_max(in, SECTION_BUCKETS_MAX);
    double *values = arena_alloc(self->arena, ((size_t)count + 1) * sizeof *values);
    for (uint32_t i = 0; i < count; i += COLUMN_ROWS_MAX) {
        uint32_t left = count - i;
        TRY(read_float_column(in, left < COLUMN_ROWS_MAX ? left : COLUMN_ROWS_MAX, values + i));
    }
    self->base.custom_values = values;
    self->base.custom_value_count = count;
    return OK;
}

static err_t read_scheme(struct section_reader *self)
{
    struct byte_reader *in = &self->in;
    self->base.kind = (self->head & SECTION_FLOAT) != 0 ? HISTOGRAM_FLOAT : HISTOGRAM_INTEGER;
    int64_t schema = byte_reader_zv(in);
    if (schema < INT8_MIN || schema > INT8_MAX)
        return ERR_CORRUPT;
    self->base.schema = (int32_t)schema;
    self->base.zero_threshold =
        (self->head & SECTION_USUAL_THRESHOLD) != 0 ? SECTION_THRESHOLD : byte_reader_double(in);
    TRY(read_custom_values(self));
    read_spans(in, self->arena, &self->base.positive);
    read_spans(in, self->arena, &self->base.negative);
    return in->failed ? ERR_CORRUPT : OK;
}

/* The rows with their hints and spans. */
static err_t read_runs(struct section_reader *self)
{
    struct byte_reader *in = &self->in;
    for (uint32_t row = 0; row < self->row_count;) {
        uint8_t flags = byte_reader_u8(in);
        uint32_t count = byte_reader_u8(in) + 1u;
        if (in->failed || flags > RUN_MAX || count > self->row_count - row)
            return ERR_CORRUPT;
        struct histogram run = self->base;
        if ((flags & RUN_STALE) != 0) {
            run =
                section_stale((flags & RUN_STALE_FLOAT) != 0 ? HISTOGRAM_FLOAT : HISTOGRAM_INTEGER);
        } else if ((flags & RUN_ALL_BUCKETS) == 0) {
            read_spans(in, self->arena, &run.positive);
            read_spans(in, self->arena, &run.negative);
        }
        run.hint = (enum histogram_hint)(flags & RUN_HINT_MASK);
        if (in->failed || ((flags & RUN_STALE) != 0 && run.hint != HISTOGRAM_HINT_UNKNOWN))
            return ERR_CORRUPT;
        for (; count > 0; count--, row++) {
            self->rows[row] = run;
            self->run_flags[row] = flags;
        }
    }
    return OK;
}

/* ---- sub-columns ---- */

/* Where sub-column number `column` goes: zero count, count unless derived, buckets. */
static void store_numbers(struct section_reader *self, uint32_t column, const uint64_t *numbers)
{
    uint32_t scalars = (self->head & SECTION_COUNT_DERIVED) != 0 ? 1 : 2;
    for (uint32_t row = 0; column < scalars && row < self->row_count; row++) {
        struct histogram *histogram = &self->rows[row];
        if ((self->run_flags[row] & RUN_STALE) != 0)
            continue;
        if (column == 0)
            histogram->zero_count.i = numbers[row];
        else
            histogram->count.i = numbers[row];
    }
    if (column < scalars)
        return;
    union histogram_count *at = self->counts + (column - scalars);
    for (uint32_t row = 0; row < self->row_count; row++, at += self->buckets)
        at->i = numbers[row];
}

static err_t read_integers(struct section_reader *self, uint32_t columns)
{
    struct byte_reader *in = &self->in;
    const uint8_t *constant = byte_reader_take(in, (columns + 7) / 8);
    if (constant == NULL)
        return ERR_CORRUPT;
    uint64_t numbers[COLUMN_ROWS_MAX];
    int64_t integers[COLUMN_ROWS_MAX];
    for (uint32_t i = 0; i < columns; i++) {
        if ((constant[i / 8] >> i % 8 & 1) != 0) {
            uint64_t number = byte_reader_uv(in);
            if (in->failed)
                return ERR_CORRUPT;
            for (uint32_t row = 0; row < self->row_count; row++)
                numbers[row] = number;
        } else {
            uint8_t flags = byte_reader_u8(in);
            struct int_stream stream;
            if (in->failed || (flags & COLUMN_KIND_MASK & ~1) != 0)
                return ERR_CORRUPT;
            TRY(int_stream_parse(in, flags, flags & 1, self->row_count, &stream));
            int_stream_decode(&stream, integers);
            memcpy(numbers, integers, self->row_count * sizeof *numbers);
        }
        store_numbers(self, i, numbers);
    }
    return OK;
}

static err_t read_doubles(struct section_reader *self, uint32_t columns)
{
    double values[COLUMN_ROWS_MAX];
    uint64_t numbers[COLUMN_ROWS_MAX];
    for (uint32_t i = 0; i < columns; i++) {
        TRY(read_float_column(&self->in, self->row_count, values));
        memcpy(numbers, values, self->row_count * sizeof *numbers);
        store_numbers(self, i, numbers);
    }
    return OK;
}

/* Moves the counts of the side's own buckets, out of those of all buckets, to the front. */
static err_t keep_own(const struct histogram_side *all, const struct histogram_side *own,
                      union histogram_count *counts)
{
    struct bucket_walk walk = bucket_walk_of(all), own_walk = bucket_walk_of(own);
    uint32_t position = 0, kept = 0;
    while (bucket_walk_next(&own_walk)) {
        do {
            if (!bucket_walk_next(&walk))
                return ERR_CORRUPT;
            position++;
        } while (walk.index < own_walk.index);
        if (walk.index != own_walk.index)
            return ERR_CORRUPT;
        counts[kept++] = counts[position - 1];
    }
    return OK;
}

/* Gives the rows their counts. */
static err_t finish_rows(struct section_reader *self)
{
    for (uint32_t row = 0; row < self->row_count; row++) {
        struct histogram *histogram = &self->rows[row];
        if ((self->run_flags[row] & RUN_STALE) != 0)
            continue;
        union histogram_count *positive = self->counts + (size_t)row * self->buckets;
        union histogram_count *negative = positive + self->base.positive.bucket_count;
        if ((self->run_flags[row] & RUN_ALL_BUCKETS) == 0) {
            TRY(keep_own(&self->base.positive, &histogram->positive, positive));
            TRY(keep_own(&self->base.negative, &histogram->negative, negative));
        }
        histogram->positive.counts = positive;
        histogram->negative.counts = negative;
        if ((self->head & SECTION_COUNT_DERIVED) != 0)
            histogram->count = section__count_sum(histogram);
    }
    return OK;
}

static err_t read_columns(struct section_reader *self)
{
    self->buckets = self->base.positive.bucket_count + self->base.negative.bucket_count;
    uint32_t columns = ((self->head & SECTION_COUNT_DERIVED) != 0 ? 1 : 2) + self->buckets;
    double sums[COLUMN_ROWS_MAX];
    TRY(read_float_column(&self->in, self->row_count, sums));
    for (uint32_t row = 0; row < self->row_count; row++) {
        if ((self->run_flags[row] & RUN_STALE) == 0)
            self->rows[row].sum = sums[row];
    }
    /* Every sub-column is a byte at least: so much memory is asked for only with the bytes there.
     */
    if (columns > byte_reader_left(&self->in))
        return ERR_CORRUPT;
    self->counts = arena_alloc(self->arena, ((size_t)self->buckets * self->row_count + 1) *
                                                sizeof *self->counts);
    TRY(self->base.kind == HISTOGRAM_FLOAT ? read_doubles(self, columns)
                                           : read_integers(self, columns));
    return finish_rows(self);
}

static void convert_counts(union histogram_count *counts, size_t count)
{
    for (size_t i = 0; i < count; i++)
        counts[i].f = (double)counts[i].i;
}

/* As histogram_to_float, in place. Runs of rows own their counts, so each is converted once. */
static void convert_section(struct section_reader *self)
{
    if (self->base.kind == HISTOGRAM_INTEGER)
        convert_counts(self->counts, (size_t)self->buckets * self->row_count);
    for (uint32_t row = 0; row < self->row_count; row++) {
        struct histogram *histogram = &self->rows[row];
        if (histogram->kind == HISTOGRAM_FLOAT)
            continue;
        histogram->kind = HISTOGRAM_FLOAT;
        convert_counts(&histogram->count, 1);
        convert_counts(&histogram->zero_count, 1);
    }
}

static err_t read_section(struct byte_reader *in, uint8_t head, uint32_t row_count, bool to_float,
                          struct arena *arena, struct histogram *rows)
{
    uint8_t run_flags[COLUMN_ROWS_MAX];
    struct section_reader self = {
        .in = *in,
        .arena = arena,
        .rows = rows,
        .run_flags = run_flags,
        .row_count = row_count,
        .head = head,
    };
    TRY(read_scheme(&self));
    TRY(read_runs(&self));
    TRY(read_columns(&self));
    if (to_float)
        convert_section(&self);
    *in = self.in;
    return OK;
}

/* ---- records ---- */

static err_t read_records(struct byte_reader *in, uint32_t count, bool to_float,
                          struct arena *arena, struct histogram *rows, struct strbuf *why)
{
    for (uint32_t i = 0; i < count; i++) {
        struct str bytes = byte_reader_str(in);
        if (in->failed)
            return ERR_CORRUPT;
        TRY(histogram_decode(bytes, arena, &rows[i], why));
        if (to_float && rows[i].kind == HISTOGRAM_INTEGER)
            rows[i] = *histogram_to_float(arena, &rows[i]);
    }
    return OK;
}

static err_t read_all(struct byte_reader *in, uint32_t count, bool to_float, struct arena *arena,
                      struct histogram *rows, struct strbuf *why)
{
    if (in->at < in->end && *in->at >= SECTION_RECORD_SIZE_MIN)
        return read_records(in, count, to_float, arena, rows, why);
    for (uint32_t row = 0; row < count;) {
        uint8_t head = byte_reader_u8(in);
        uint32_t row_count = byte_reader_u8(in) + 1u;
        if (in->failed || row_count > count - row || head > SECTION_HEAD_MAX)
            return ERR_CORRUPT;
        if (head == SECTION_RECORDS)
            TRY(read_records(in, row_count, to_float, arena, rows + row, why));
        else if ((head & SECTION_COLUMNS) != 0)
            TRY(read_section(in, head, row_count, to_float, arena, rows + row));
        else
            return ERR_CORRUPT;
        row += row_count;
    }
    return OK;
}

err_t histogram_column_decode(const uint8_t *in, size_t in_size, uint32_t count, bool to_float,
                              struct arena *arena, struct histogram *histograms, struct strbuf *why)
{
    assert(count >= 1 && count <= COLUMN_ROWS_MAX);
    struct byte_reader reader = byte_reader_of(in, in_size);
    err_t err = read_all(&reader, count, to_float, arena, histograms, why);
    if (err == OK && reader.at == reader.end)
        return OK;
    strbuf_clear(why);
    return err_fail(why, ERR_CORRUPT, "malformed histogram column");
}

err_t histogram_column_select(const uint8_t *in, size_t in_size, uint32_t count,
                              const uint8_t *index, uint32_t kept_count, struct strbuf *out,
                              struct strbuf *why)
{
    assert(kept_count >= 1 && kept_count <= count);
    struct arena arena;
    arena_init(&arena, MEM_BLOCK, SIZE_MAX);
    struct histogram *histograms = ARENA_NEW_ARRAY(&arena, struct histogram, count);
    err_t err = histogram_column_decode(in, in_size, count, false, &arena, histograms, why);
    if (err == OK) {
        for (uint32_t i = 0; i < kept_count; i++) {
            assert(index[i] < count && index[i] >= i);
            histograms[i] = histograms[index[i]];
        }
        histogram_column_encode(out, histograms, kept_count);
    }
    arena_deinit(&arena);
    return err;
}
