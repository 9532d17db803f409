#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "column_samples.h"
#include "narthex/base/thread.h"
#include "narthex/tsdb/open_column.h"

struct model {
    double values[COLUMN_ROWS_MAX];
    bool present[COLUMN_ROWS_MAX];
};

static void check_limit(const struct open_column_view *view, const struct model *model,
                        uint32_t row_limit)
{
    double values[COLUMN_ROWS_MAX];
    uint64_t bitmap[4];
    uint32_t count = open_column_decode(view, row_limit, values, bitmap);
    uint32_t expected = 0;
    for (uint32_t row = 0; row < COLUMN_ROWS_MAX; row++) {
        bool present = row < row_limit && model->present[row];
        assert_int_equal(bitmap[row / 64] >> (row % 64) & 1, present);
        if (!present)
            continue;
        assert_true(expected < count);
        assert_int_equal(sample_bits(values[expected]), sample_bits(model->values[row]));
        expected++;
    }
    assert_int_equal(expected, count);
}

/* One window of one slot: starting late, missing rows, ending early. */
static void run_window(struct random_source *source, struct open_column *slot,
                       struct open_column_memory *memory)
{
    struct model model = {.values = {0}};
    double values[COLUMN_ROWS_MAX];
    uint32_t count = sample_column(source, values);
    uint32_t row = random_below(source, 3) == 0 ? (uint32_t)random_below(source, 100) : 0;
    uint64_t gap_one_in = random_below(source, 3) == 0 ? 1 + random_below(source, 30) : 1000000;
    bool in_rows = random_below(source, 2) == 0;
    struct open_column_view early = {0};
    uint32_t early_limit = 0;
    struct model early_model = model;
    for (uint32_t i = 0; i < count; i++, row++) {
        if (random_below(source, gap_one_in) == 0)
            row += (uint32_t)random_below(source, 5);
        if (row >= COLUMN_ROWS_MAX)
            break;
        if (in_rows)
            open_column_append_row(&slot, 1, 0, row, &values[i], memory);
        else
            open_column_append(slot, row, values[i], memory);
        model.values[row] = values[i];
        model.present[row] = true;
        struct open_column_view view = open_column_view(slot);
        if (i % 16 == 0)
            check_limit(&view, &model, (uint32_t)random_below(source, COLUMN_ROWS_MAX + 1));
        if (i == count / 2) {
            early = view;
            early_limit = row + 1;
            early_model = model;
        }
    }
    /* What a reader took half-way still says the same: old buffers are only retired. */
    check_limit(&early, &early_model, early_limit);
    struct open_column_view view = open_column_take(slot);
    check_limit(&view, &model, COLUMN_ROWS_MAX);
    open_column_release(&view, memory);
}

struct retired {
    struct slab_pool *pool;
    void *blocks[4096];
    size_t sizes[4096];
    uint32_t count;
};

static void keep_retired(void *context, void *block, size_t size)
{
    struct retired *retired = context;
    assert_true(retired->count < 4096);
    retired->blocks[retired->count] = block;
    retired->sizes[retired->count++] = size;
}

static void free_retired(struct retired *retired)
{
    while (retired->count > 0) {
        retired->count--;
        slab_free(retired->pool, retired->blocks[retired->count], retired->sizes[retired->count]);
    }
}

static void any_window_reads_back(void **state)
{
    (void)state;
    static struct retired retired;
    struct random_source source = random_source_seeded(31);
    struct slab_pool *pool = slab_pool_create(MEM_TEST);
    retired = (struct retired){.pool = pool};
    struct open_column_memory memory = {.pool = pool, .retire = keep_retired, .context = &retired};
    struct open_column slot = {0};
    for (uint32_t trial = 0; trial < 6000; trial++) {
        run_window(&source, &slot, &memory);
        free_retired(&retired);
    }
    assert_int_equal(slab_used_bytes(pool), 0);
    slab_pool_destroy(pool);
    assert_int_equal(mem_bytes(MEM_TEST), 0);
}

/* Each slot gets its own value, and those ahead get none. */
static void rows_of_many_slots(void **state)
{
    (void)state;
    enum { SLOTS = 3 * OPEN_COLUMN_AHEAD + 1, ROWS = 40, NOW = 70 };
    struct random_source source = random_source_seeded(7);
    struct slab_pool *pool = slab_pool_create(MEM_TEST);
    struct open_column_memory memory = {.pool = pool};
    static struct open_column columns[SLOTS];
    struct open_column *slots[SLOTS];
    static double samples[SLOTS][COLUMN_ROWS_MAX];
    static struct model models[SLOTS];
    uint32_t counts[SLOTS];
    for (uint32_t i = 0; i < SLOTS; i++) {
        slots[i] = &columns[i];
        counts[i] = sample_column(&source, samples[i]);
    }
    for (uint32_t row = 0; row < ROWS; row++) {
        double values[SLOTS];
        for (uint32_t i = 0; i < SLOTS; i++) {
            values[i] = samples[i][row % counts[i]];
            models[i].values[row] = values[i];
            models[i].present[row] = row % 2 == 0 || i < NOW;
        }
        open_column_append_row(slots, NOW, SLOTS - NOW, row, values, &memory);
        if (row % 2 == 0)
            open_column_append_row(slots + NOW, SLOTS - NOW, 0, row, values + NOW, &memory);
    }
    for (uint32_t i = 0; i < SLOTS; i++) {
        struct open_column_view view = open_column_take(slots[i]);
        check_limit(&view, &models[i], COLUMN_ROWS_MAX);
        open_column_release(&view, &memory);
    }
    assert_int_equal(slab_used_bytes(pool), 0);
    slab_pool_destroy(pool);
}

static void constants_take_no_memory(void **state)
{
    (void)state;
    struct slab_pool *pool = slab_pool_create(MEM_TEST);
    struct open_column_memory memory = {.pool = pool};
    struct open_column slot = {0};
    for (uint32_t row = 0; row < COLUMN_ROWS_MAX; row++)
        open_column_append(&slot, row, 0.1, &memory);
    assert_int_equal(slab_used_bytes(pool), 0);
    assert_null(open_column_view(&slot).buffer);
    slab_pool_destroy(pool);
}

static void small_counters_take_a_byte_a_row(void **state)
{
    (void)state;
    struct slab_pool *pool = slab_pool_create(MEM_TEST);
    struct open_column_memory memory = {.pool = pool};
    struct open_column slot = {0};
    for (uint32_t row = 0; row < COLUMN_ROWS_MAX; row++)
        open_column_append(&slot, row, 5e9 + row * 100.25 * (row % 2), &memory);
    struct open_column_view view = open_column_view(&slot);
    assert_in_range(open_column_buffer_size(&view), 240 * 4, 240 * 4 + 16);
    view = open_column_take(&slot);
    open_column_release(&view, &memory);
    for (uint32_t row = 0; row < COLUMN_ROWS_MAX; row++)
        open_column_append(&slot, row, 1.5 + row, &memory);
    view = open_column_take(&slot);
    assert_int_equal(open_column_buffer_size(&view), 240 + 16);
    open_column_release(&view, &memory);
    assert_int_equal(slab_used_bytes(pool), 0);
    slab_pool_destroy(pool);
}

/* A writer and a reader at once: whatever the reader sees below the published row is right. */
struct race {
    struct open_column slot;
    _Atomic uint32_t published;
    _Atomic bool stop;
    uint32_t reads;
    bool wrong;
    double expected[COLUMN_ROWS_MAX];
    bool present[COLUMN_ROWS_MAX];
};

static void read_until_stopped(void *context)
{
    struct race *race = context;
    double values[COLUMN_ROWS_MAX];
    uint64_t bitmap[4];
    while (!atomic_load_explicit(&race->stop, memory_order_acquire)) {
        uint32_t limit = atomic_load_explicit(&race->published, memory_order_acquire);
        struct open_column_view view = open_column_view(&race->slot);
        uint32_t count = open_column_decode(&view, limit, values, bitmap);
        uint32_t n = 0;
        for (uint32_t row = 0; row < limit; row++) {
            bool present = bitmap[row / 64] >> (row % 64) & 1;
            race->wrong |= present != race->present[row];
            if (present && n < count)
                race->wrong |= sample_bits(values[n++]) != sample_bits(race->expected[row]);
        }
        race->wrong |= n != count;
        race->reads++;
    }
}

static void readers_race_with_the_writer(void **state)
{
    (void)state;
    static struct retired retired;
    struct random_source source = random_source_seeded(32);
    struct slab_pool *pool = slab_pool_create(MEM_TEST);
    retired = (struct retired){.pool = pool};
    struct open_column_memory memory = {.pool = pool, .retire = keep_retired, .context = &retired};
    for (uint32_t trial = 0; trial < 200; trial++) {
        struct race race = {.published = 0};
        double values[COLUMN_ROWS_MAX];
        uint32_t count = sample_column(&source, values);
        for (uint32_t i = 0; i < count; i++) {
            race.expected[i] = values[i];
            race.present[i] = trial % 2 == 0 || random_below(&source, 10) != 0;
        }
        struct thread reader;
        thread_start(&reader, "reader", read_until_stopped, &race);
        for (uint32_t row = 0; row < count; row++) {
            if (race.present[row])
                open_column_append(&race.slot, row, values[row], &memory);
            atomic_store_explicit(&race.published, row + 1, memory_order_release);
        }
        atomic_store_explicit(&race.stop, true, memory_order_release);
        thread_join(&reader);
        assert_false(race.wrong);
        struct open_column_view view = open_column_take(&race.slot);
        open_column_release(&view, &memory);
        free_retired(&retired);
    }
    slab_pool_destroy(pool);
}

/* Windows change under a reader that follows the rules of the header. */
struct relay {
    struct open_column slot;
    _Atomic uint32_t window_rows; /* window << 8 | published rows */
    _Atomic bool stop;
    uint32_t stable_reads;
    bool wrong;
};

/* Constant in even windows, rising in odd ones. */
static double relay_value(uint32_t window, uint32_t row)
{
    return window % 2 ? window + row * 0.5 : window;
}

static void read_windows(void *context)
{
    struct relay *relay = context;
    double values[COLUMN_ROWS_MAX];
    uint64_t bitmap[4];
    while (!atomic_load_explicit(&relay->stop, memory_order_acquire)) {
        uint32_t before = atomic_load_explicit(&relay->window_rows, memory_order_acquire);
        struct open_column_view view = open_column_view(&relay->slot);
        atomic_thread_fence(memory_order_acquire);
        uint32_t after = atomic_load_explicit(&relay->window_rows, memory_order_relaxed);
        if (before >> 8 != after >> 8)
            continue;
        uint32_t count = open_column_decode(&view, before & 0xff, values, bitmap);
        relay->wrong |= count != (before & 0xff);
        for (uint32_t row = 0; row < count; row++)
            relay->wrong |= values[row] != relay_value(before >> 8, row);
        relay->stable_reads++;
    }
}

static void windows_change_under_readers(void **state)
{
    (void)state;
    static struct retired retired;
    struct slab_pool *pool = slab_pool_create(MEM_TEST);
    retired = (struct retired){.pool = pool};
    struct open_column_memory memory = {.pool = pool, .retire = keep_retired, .context = &retired};
    struct relay relay = {.window_rows = 0};
    struct thread reader;
    thread_start(&reader, "reader", read_windows, &relay);
    for (uint32_t window = 1; window <= 600; window++) {
        atomic_store_explicit(&relay.window_rows, window << 8, memory_order_relaxed);
        atomic_thread_fence(memory_order_release);
        struct open_column_view view = open_column_take(&relay.slot);
        open_column_release(&view, &memory);
        for (uint32_t row = 0; row < 100; row++) {
            open_column_append(&relay.slot, row, relay_value(window, row), &memory);
            atomic_store_explicit(&relay.window_rows, window << 8 | (row + 1),
                                  memory_order_release);
        }
    }
    atomic_store_explicit(&relay.stop, true, memory_order_release);
    thread_join(&reader);
    assert_false(relay.wrong);
    struct open_column_view view = open_column_take(&relay.slot);
    open_column_release(&view, &memory);
    free_retired(&retired);
    assert_int_equal(slab_used_bytes(pool), 0);
    slab_pool_destroy(pool);
}

static void slab_blocks_are_reused(void **state)
{
    (void)state;
    struct slab_pool *pool = slab_pool_create(MEM_TEST);
    for (size_t size = 1; size <= SLAB_SIZE_MAX; size += 7) {
        assert_true(slab_usable_size(size) >= size);
        uint8_t *first = slab_alloc(pool, size);
        uint8_t *second = slab_alloc(pool, size);
        assert_int_equal((uintptr_t)first % 16, 0);
        memset(first, 1, slab_usable_size(size));
        memset(second, 2, slab_usable_size(size));
        assert_int_equal(first[slab_usable_size(size) - 1], 1);
        slab_free(pool, first, size);
        assert_ptr_equal(slab_alloc(pool, size), first);
        slab_free(pool, first, size);
        slab_free(pool, second, size);
    }
    assert_int_equal(slab_used_bytes(pool), 0);
    slab_pool_destroy(pool);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_window_reads_back),
        cmocka_unit_test(rows_of_many_slots),
        cmocka_unit_test(constants_take_no_memory),
        cmocka_unit_test(small_counters_take_a_byte_a_row),
        cmocka_unit_test(readers_race_with_the_writer),
        cmocka_unit_test(windows_change_under_readers),
        cmocka_unit_test(slab_blocks_are_reused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
