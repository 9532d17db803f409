#include "db_rig.h"

#include <string.h>

static const int64_t RANGE_MS = 100000;

static int set_up(void **state)
{
    int result = db_rig_set_up(state);
    struct db_rig *f = *state;
    f->options =
        (struct db_options){.block_range_ms = RANGE_MS, .block_range_max_ms = RANGE_MS * 9};
    if (result == 0)
        db_rig_open(f);
    return result;
}

static void append(struct db_rig *f, const char *name, int64_t t_ms, double value)
{
    assert_int_equal(db_rig_append_float(f, name, t_ms, value), OK);
}

/* One batch of one source in one commit; names are single letters. */
static void append_letters(struct db_rig *f, int64_t t_ms, const char *letters,
                           const double *values, uint8_t *outcomes)
{
    enum { LETTERS_MAX = 16 };
    struct storage *storage = db_storage(f->db);
    struct appender *appender;
    series_ref refs[LETTERS_MAX];
    size_t count = strlen(letters);
    assert_true(count <= LETTERS_MAX);
    assert_int_equal(storage_appender_open(storage, &appender, &f->why), OK);
    appender_begin(appender, storage_source_open(storage, 1), NULL);
    for (size_t i = 0; i < count; i++) {
        struct label label = {STR("__name__"), str_from(letters + i, 1)};
        bool created;
        assert_int_equal(
            appender_series(appender, (struct labels){&label, 1}, &refs[i], &created, &f->why), OK);
    }
    struct append_batch batch = {
        .count = count, .refs = refs, .t_all_ms = t_ms, .values = values, .outcomes = outcomes};
    assert_int_equal(appender_add(appender, &batch, &f->why), OK);
    assert_int_equal(appender_commit(appender, &f->why), OK);
    appender_close(appender);
}

/* The values of one series, as digits. */
static void read_letter(struct db_rig *f, const char *letter, struct strbuf *out)
{
    struct matcher matcher;
    struct arena arena;
    struct querier *querier;
    struct series_list list;
    struct series_cursor *cursor;
    struct sample_column_info info;
    struct sample_column column;
    bool found;
    arena_init(&arena, MEM_TEST, SIZE_MAX);
    strbuf_clear(out);
    assert_int_equal(matcher_init(&matcher, MATCH_EQUAL, LABEL_NAME, str_from_cstr(letter), NULL),
                     OK);
    assert_int_equal(
        storage_querier_open(db_storage(f->db), INT64_MIN, INT64_MAX, &querier, &f->why), OK);
    assert_int_equal(
        querier_select(querier, (struct selector){&matcher, 1}, NULL, &arena, &list, &f->why), OK);
    assert_int_equal(list.count, 1);
    assert_int_equal(querier_cursor_open(querier, NULL, &cursor, &f->why), OK);
    assert_int_equal(series_cursor_seek(cursor, &list.items[0], INT64_MIN, INT64_MAX, &f->why), OK);
    while (series_cursor_next(cursor, &info, &found, &f->why) == OK && found) {
        assert_int_equal(series_cursor_decode(cursor, &column, &f->why), OK);
        for (uint32_t i = 0; i < column.count; i++)
            strbuf_printf(out, "%g ", column.values[i]);
    }
    series_cursor_close(cursor);
    querier_close(querier);
    matcher_deinit(&matcher);
    arena_deinit(&arena);
}

static void a_source_may_change_the_order_of_its_series(void **state)
{
    struct db_rig *f = *state;
    uint8_t outcomes[16];
    append_letters(f, 10000, "abcdef", (const double[]){1, 2, 3, 4, 5, 6}, outcomes);
    append_letters(f, 20000, "fabced", (const double[]){60, 10, 20, 30, 50, 40}, outcomes);
    for (int i = 0; i < 6; i++)
        assert_int_equal(outcomes[i], OK);
    /* The same once more, another value for a series that is there, a new series in between. */
    append_letters(f, 30000, "cabbaegfd",
                   (const double[]){300, 100, 200, 200, 101, 500, 700, 600, 400}, outcomes);
    const uint8_t expected[] = {OK, OK, OK, OK, ERR_DUPLICATE, OK, OK, OK, OK};
    assert_memory_equal(outcomes, expected, sizeof expected);
    append_letters(f, 40000, "gfedcba", (const double[]){7, 6, 5, 4, 3, 2, 1}, outcomes);
    struct strbuf values = STRBUF_INIT;
    const char *const all[] = {"a 1 10 100 1 ", "b 2 20 200 2 ", "c 3 30 300 3 ", "d 4 40 400 4 ",
                               "e 5 50 500 5 ", "f 6 60 600 6 ", "g 700 7 "};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        char letter[] = {all[i][0], '\0'};
        read_letter(f, letter, &values);
        assert_string_equal(strbuf_cstr(&values), all[i] + 2);
    }
    strbuf_deinit(&values);
}

static void read_all_letters(struct db_rig *f, const char *const *all, size_t count)
{
    struct strbuf values = STRBUF_INIT;
    for (size_t i = 0; i < count; i++) {
        char letter[] = {all[i][0], '\0'};
        read_letter(f, letter, &values);
        assert_string_equal(strbuf_cstr(&values), all[i] + 2);
    }
    strbuf_deinit(&values);
}

static void new_series_come_among_known_ones(void **state)
{
    struct db_rig *f = *state;
    uint8_t outcomes[16];
    append_letters(f, 10000, "ab", (const double[]){1, 2}, outcomes);
    append_letters(f, 20000, "caxb", (const double[]){30, 10, 40, 20}, outcomes);
    /* New ones twice: the same value, and another one. */
    append_letters(f, 30000, "dadbede", (const double[]){500, 100, 500, 200, 600, 501, 600},
                   outcomes);
    const uint8_t expected[] = {OK, OK, OK, OK, OK, ERR_DUPLICATE, OK};
    assert_memory_equal(outcomes, expected, sizeof expected);
    append_letters(f, 40000, "abcxde", (const double[]){1, 2, 3, 4, 5, 6}, outcomes);
    const char *const all[] = {"a 1 10 100 1 ", "b 2 20 200 2 ", "c 30 3 ",
                               "x 40 4 ",       "d 500 5 ",      "e 600 6 "};
    read_all_letters(f, all, sizeof all / sizeof all[0]);
    db_close(f->db);
    f->db = NULL;
    db_rig_open(f);
    read_all_letters(f, all, sizeof all / sizeof all[0]);
}

/* Adds letters to an open appender of source 1 at one time. */
static void add_letters(struct db_rig *f, struct appender *appender, int64_t t_ms,
                        const char *letters, const double *values)
{
    series_ref refs[4];
    uint8_t outcomes[4];
    size_t count = strlen(letters);
    assert_true(count <= 4);
    for (size_t i = 0; i < count; i++) {
        struct label label = {STR("__name__"), str_from(letters + i, 1)};
        bool created;
        assert_int_equal(
            appender_series(appender, (struct labels){&label, 1}, &refs[i], &created, &f->why), OK);
    }
    struct append_batch batch = {
        .count = count, .refs = refs, .t_all_ms = t_ms, .values = values, .outcomes = outcomes};
    assert_int_equal(appender_add(appender, &batch, &f->why), OK);
    for (size_t i = 0; i < count; i++)
        assert_int_equal(outcomes[i], OK);
}

/* The slots that one commit meant for its new series are taken by another's. */
static void two_commits_of_a_source_have_new_series(void **state)
{
    struct db_rig *f = *state;
    uint8_t outcomes[16];
    append_letters(f, 10000, "ab", (const double[]){1, 2}, outcomes);
    struct storage *storage = db_storage(f->db);
    source_ref source = storage_source_open(storage, 1);
    struct appender *first, *second;
    assert_int_equal(storage_appender_open(storage, &first, &f->why), OK);
    assert_int_equal(storage_appender_open(storage, &second, &f->why), OK);
    appender_begin(first, source, NULL);
    appender_begin(second, source, NULL);
    add_letters(f, first, 30000, "xab", (const double[]){7, 10, 20});
    add_letters(f, second, 20000, "yx", (const double[]){8, 9});
    assert_int_equal(appender_commit(second, &f->why), OK);
    assert_int_equal(appender_commit(first, &f->why), OK);
    /* What is rolled back leaves nothing behind. */
    appender_begin(first, source, NULL);
    add_letters(f, first, 40000, "za", (const double[]){1, 1});
    appender_rollback(first);
    appender_begin(first, source, NULL);
    add_letters(f, first, 40000, "wy", (const double[]){3, 4});
    assert_int_equal(appender_commit(first, &f->why), OK);
    appender_close(first);
    appender_close(second);
    const char *const all[] = {"a 1 10 ", "b 2 20 ", "x 9 7 ", "y 8 4 ", "w 3 "};
    read_all_letters(f, all, sizeof all / sizeof all[0]);
}

static void a_folder_has_one_user(void **state)
{
    struct db_rig *f = *state;
    struct db *second = NULL;
    assert_int_equal(db_open(&f->options, &second, &f->why), ERR_UNAVAILABLE);
    assert_null(second);
}

static void a_folder_of_prometheus_is_refused(void **state)
{
    struct db_rig *f = *state;
    char path[96];
    db_close(f->db);
    f->db = NULL;
    snprintf(path, sizeof path, "%s/chunks_head", f->path);
    assert_int_equal(fs_make_dirs(fs_system(), path, &f->why), OK);
    struct db *db = NULL;
    assert_int_equal(db_open(&f->options, &db, &f->why), ERR_INVALID);
    assert_non_null(strstr(strbuf_cstr(&f->why), "create-blocks-from openmetrics"));
}

static void the_head_is_cut_when_it_spans_one_and_a_half_ranges(void **state)
{
    struct db_rig *f = *state;
    append(f, "a", 10000, 1);
    append(f, "a", 10000 + RANGE_MS * 3 / 2, 2);
    assert_int_equal(db_maintain(f->db, &f->why), OK);
    assert_int_equal(db_rig_count_blocks(f->db), 0);
    append(f, "a", 10001 + RANGE_MS * 3 / 2, 3);
    assert_int_equal(db_maintain(f->db, &f->why), OK);
    struct db_block_info *infos;
    assert_int_equal(db_blocks(f->db, &infos), 1);
    assert_int_equal(infos[0].max_t_ms, RANGE_MS);
    assert_int_equal(infos[0].sample_count, 1);
    assert_int_equal(infos[0].level, 1);
    mem_free(MEM_BLOCK, infos);
    assert_int_equal(db_rig_count_samples(f->db), 3);
}

/* Windows of an idle source are cut too, and its series leave the head. */
static void what_is_in_blocks_leaves_the_head(void **state)
{
    struct db_rig *f = *state;
    append(f, "idle", 10000, 1);
    for (int64_t t_ms = 20000; t_ms < RANGE_MS * 6; t_ms += 10000) {
        append(f, "busy", t_ms, (double)t_ms);
        assert_int_equal(db_maintain(f->db, &f->why), OK);
    }
    struct arena arena;
    arena_init(&arena, MEM_TEST, SIZE_MAX);
    struct cardinality cardinality;
    assert_int_equal(storage_cardinality(db_storage(f->db), 10, &arena, &cardinality, &f->why), OK);
    assert_int_equal(cardinality.series_count, 1);
    assert_int_equal(cardinality.series_by_metric.count, 1);
    assert_true(str_equal_cstr(cardinality.series_by_metric.items[0].name, "busy"));
    assert_int_equal(db_rig_count_samples(f->db), 59);
    arena_deinit(&arena);
}

static void blocks_are_merged_by_level(void **state)
{
    struct db_rig *f = *state;
    for (int64_t t_ms = 0; t_ms < RANGE_MS * 12; t_ms += 5000) {
        append(f, "a", t_ms, (double)t_ms);
        assert_int_equal(db_maintain(f->db, &f->why), OK);
    }
    struct db_block_info *infos;
    size_t count = db_blocks(f->db, &infos);
    assert_true(count > 0 && count < 5);
    assert_int_equal(infos[0].min_t_ms, 0);
    assert_int_equal(infos[0].max_t_ms, RANGE_MS * 9);
    assert_int_equal(infos[0].source_count, 9);
    assert_int_equal(infos[0].level, 3);
    mem_free(MEM_BLOCK, infos);
    assert_int_equal(db_rig_count_samples(f->db), 240);
}

static void old_blocks_go_by_time_and_by_size(void **state)
{
    struct db_rig *f = *state;
    for (int i = 0; i < 4; i++) {
        append(f, "a", i * RANGE_MS * 20, i);
        assert_int_equal(db_flush_head(f->db, &f->why), OK);
    }
    assert_int_equal(db_rig_count_blocks(f->db), 4);
    db_set_retention(f->db, RANGE_MS * 45, 0, 0);
    assert_int_equal(db_maintain(f->db, &f->why), OK);
    assert_int_equal(db_rig_count_blocks(f->db), 3);
    db_set_retention(f->db, 0, 1, 0);
    assert_int_equal(db_maintain(f->db, &f->why), OK);
    assert_int_equal(db_rig_count_blocks(f->db), 0);
    assert_int_equal(db_rig_count_samples(f->db), 0);
}

/* New series of one commit may be more than a record of the log takes. */
static void many_long_labels_are_logged(void **state)
{
    enum { LONG_SERIES = 40, LONG_BYTES = 1 << 20 };
    struct db_rig *f = *state;
    struct storage *storage = db_storage(f->db);
    struct appender *appender;
    series_ref refs[LONG_SERIES];
    double values[LONG_SERIES];
    uint8_t outcomes[LONG_SERIES];
    char *text = mem_alloc(MEM_TEST, LONG_BYTES);
    memset(text, 'x', LONG_BYTES);
    assert_int_equal(storage_appender_open(storage, &appender, &f->why), OK);
    appender_begin(appender, storage_source_open(storage, 1), NULL);
    for (int i = 0; i < LONG_SERIES; i++) {
        text[0] = (char)('A' + i);
        struct label label = {STR("long"), str_from(text, LONG_BYTES)};
        bool created;
        values[i] = i;
        assert_int_equal(
            appender_series(appender, (struct labels){&label, 1}, &refs[i], &created, &f->why), OK);
    }
    struct append_batch batch = {.count = LONG_SERIES,
                                 .refs = refs,
                                 .t_all_ms = 1000,
                                 .values = values,
                                 .outcomes = outcomes};
    assert_int_equal(appender_add(appender, &batch, &f->why), OK);
    assert_int_equal(appender_commit(appender, &f->why), OK);
    appender_close(appender);
    mem_free(MEM_TEST, text);
    append(f, "a", 2000, 1);
    db_rig_reopen(f);
    assert_int_equal(db_rig_count_samples(f->db), LONG_SERIES + 1);
}

/* What is cut meanwhile must not get rows behind the block's back. */
static void a_commit_does_not_add_to_what_was_cut(void **state)
{
    struct db_rig *f = *state;
    struct storage *storage = db_storage(f->db);
    append(f, "a", 1000, 1);
    struct appender *appender;
    assert_int_equal(storage_appender_open(storage, &appender, &f->why), OK);
    appender_begin(appender, storage_source_open(storage, 1), NULL);
    struct label label = {STR("__name__"), STR("b")};
    series_ref ref;
    bool created;
    assert_int_equal(appender_series(appender, (struct labels){&label, 1}, &ref, &created, &f->why),
                     OK);
    const double values[] = {2, 3};
    const int64_t times[] = {1000, 9000};
    const series_ref refs[] = {ref, ref};
    uint8_t outcomes[2];
    struct append_batch batch = {
        .count = 2, .refs = refs, .t_ms = times, .values = values, .outcomes = outcomes};
    assert_int_equal(appender_add(appender, &batch, &f->why), OK);
    assert_int_equal(db_flush_head(f->db, &f->why), OK);
    assert_int_equal(appender_commit(appender, &f->why), OK);
    appender_close(appender);
    struct strbuf seen = STRBUF_INIT;
    read_letter(f, "b", &seen);
    assert_string_equal(strbuf_cstr(&seen), "3 ");
    assert_int_equal(db_flush_head(f->db, &f->why), OK);
    read_letter(f, "b", &seen);
    assert_string_equal(strbuf_cstr(&seen), "3 ");
    strbuf_deinit(&seen);
}

static void set_bytes_max(struct db_rig *f, uint64_t bytes_max)
{
    db_set_retention(f->db, 0, bytes_max, 0);
    assert_int_equal(db_maintain(f->db, &f->why), OK);
}

static void every_byte_of_the_folder_counts(void **state)
{
    enum { STRANGE_BYTES = 200000 };
    struct db_rig *f = *state;
    for (int i = 0; i < 6; i++) {
        append(f, "a", i * RANGE_MS * 20, i);
        assert_int_equal(db_flush_head(f->db, &f->why), OK);
    }
    assert_int_equal(db_maintain(f->db, &f->why), OK);
    char path[96];
    snprintf(path, sizeof path, "%s/damaged", f->path);
    assert_int_equal(fs_make_dirs(fs_system(), path, &f->why), OK);
    snprintf(path, sizeof path, "%s/damaged/file", f->path);
    char *strange = mem_calloc(MEM_TEST, 1, STRANGE_BYTES);
    assert_int_equal(fs_write_atomic(fs_system(), path, strange, STRANGE_BYTES, &f->why), OK);
    mem_free(MEM_TEST, strange);
    uint64_t bytes = fs_tree_bytes(f->path, NULL);
    assert_true(bytes > STRANGE_BYTES);
    set_bytes_max(f, bytes);
    assert_int_equal(db_rig_count_blocks(f->db), 6);
    set_bytes_max(f, bytes - 1);
    assert_int_equal(db_rig_count_blocks(f->db), 5);
    /* A block that a query holds is on disk still, but gone. */
    struct querier *querier;
    assert_int_equal(
        storage_querier_open(db_storage(f->db), INT64_MIN, INT64_MAX, &querier, &f->why), OK);
    bytes = fs_tree_bytes(f->path, NULL);
    set_bytes_max(f, bytes - 1);
    set_bytes_max(f, bytes - 1);
    assert_int_equal(db_rig_count_blocks(f->db), 4);
    assert_int_equal(fs_tree_bytes(f->path, NULL), bytes);
    querier_close(querier);
    assert_true(fs_tree_bytes(f->path, NULL) < bytes);
    /* A snapshot has the same files, and keeps those of a block that goes. */
    struct strbuf name = STRBUF_INIT;
    bytes = fs_tree_bytes(f->path, NULL);
    assert_int_equal(db_snapshot(f->db, true, &name, &f->why), OK);
    strbuf_deinit(&name);
    set_bytes_max(f, bytes);
    assert_int_equal(db_rig_count_blocks(f->db), 4);
    set_bytes_max(f, bytes - 1);
    assert_int_equal(db_rig_count_blocks(f->db), 0);
    assert_int_equal(fs_tree_bytes(f->path, NULL), bytes);
}

static void deleted_samples_leave_the_disk(void **state)
{
    struct db_rig *f = *state;
    append(f, "a", 1000, 1);
    append(f, "a", 2000, 2);
    assert_int_equal(db_flush_head(f->db, &f->why), OK);
    append(f, "a", 3000, 3);
    struct selector all = {NULL, 0};
    assert_int_equal(storage_delete_samples(db_storage(f->db), 2000, 3000, all, &f->why), OK);
    assert_int_equal(db_rig_count_samples(f->db), 1);
    /* What comes later is not hidden, even inside the deleted range's end. */
    append(f, "a", 4000, 4);
    assert_int_equal(db_rig_count_samples(f->db), 2);
    assert_int_equal(db_clean_tombstones(f->db, &f->why), OK);
    struct db_block_info *infos;
    assert_int_equal(db_blocks(f->db, &infos), 1);
    assert_int_equal(infos[0].sample_count, 1);
    mem_free(MEM_BLOCK, infos);
    db_rig_reopen(f);
    assert_int_equal(db_rig_count_samples(f->db), 2);
}

static void a_snapshot_is_a_database(void **state)
{
    struct db_rig *f = *state;
    append(f, "a", 1000, 1);
    assert_int_equal(db_flush_head(f->db, &f->why), OK);
    append(f, "a", 2000, 2);
    struct strbuf name = STRBUF_INIT;
    for (int skip_head = 0; skip_head <= 1; skip_head++) {
        char path[160];
        assert_int_equal(db_snapshot(f->db, skip_head == 1, &name, &f->why), OK);
        snprintf(path, sizeof path, "%s/snapshots/%s", f->path, strbuf_cstr(&name));
        struct db_options options = {.path = path, .no_background = true};
        struct db *copy;
        assert_int_equal(db_open(&options, &copy, &f->why), OK);
        assert_int_equal(db_rig_count_samples(copy), 2 - skip_head);
        db_close(copy);
    }
    assert_int_equal(db_rig_count_samples(f->db), 2);
    strbuf_deinit(&name);
}

/* A querier keeps what it saw when blocks are cut and merged under it. */
static void an_open_querier_sees_the_same_throughout(void **state)
{
    struct db_rig *f = *state;
    for (int i = 0; i < 300; i++)
        append(f, "a", i * 1000, i);
    struct arena arena;
    arena_init(&arena, MEM_TEST, SIZE_MAX);
    struct querier *querier;
    struct series_list list;
    struct series_cursor *cursor;
    assert_int_equal(
        storage_querier_open(db_storage(f->db), INT64_MIN, INT64_MAX, &querier, &f->why), OK);
    assert_int_equal(
        querier_select(querier, (struct selector){NULL, 0}, NULL, &arena, &list, &f->why), OK);
    assert_int_equal(querier_cursor_open(querier, NULL, &cursor, &f->why), OK);
    assert_int_equal(db_flush_head(f->db, &f->why), OK);
    append(f, "a", 300000, 300);
    assert_int_equal(db_maintain(f->db, &f->why), OK);
    uint64_t count = 0;
    struct sample_column_info info;
    bool found;
    assert_int_equal(series_cursor_seek(cursor, &list.items[0], INT64_MIN, INT64_MAX, &f->why), OK);
    while (series_cursor_next(cursor, &info, &found, &f->why) == OK && found)
        count += info.count;
    assert_int_equal(count, 300);
    series_cursor_close(cursor);
    querier_close(querier);
    arena_deinit(&arena);
    assert_int_equal(db_rig_count_samples(f->db), 301);
}

static void samples_far_behind_are_out_of_bounds(void **state)
{
    struct db_rig *f = *state;
    append(f, "a", 1000000, 1);
    struct storage *storage = db_storage(f->db);
    struct appender *appender;
    assert_int_equal(storage_appender_open(storage, &appender, &f->why), OK);
    struct append_options options = {.t_max_ms = 2000000};
    appender_begin(appender, storage_source_open(storage, 2), &options);
    struct label label = {STR("__name__"), STR("b")};
    series_ref ref;
    bool created;
    assert_int_equal(appender_series(appender, (struct labels){&label, 1}, &ref, &created, &f->why),
                     OK);
    assert_true(created);
    series_ref refs[4] = {ref, ref, ref, 12345};
    int64_t t_ms[4] = {1000000 - RANGE_MS / 2 - 1, 1000000 - RANGE_MS / 2, 2000001, 1000000};
    double values[4] = {1, 2, 3, 4};
    uint8_t outcomes[4];
    struct append_batch batch = {
        .count = 4, .refs = refs, .t_ms = t_ms, .values = values, .outcomes = outcomes};
    assert_int_equal(appender_add(appender, &batch, &f->why), OK);
    assert_int_equal(outcomes[0], ERR_OUT_OF_BOUNDS);
    assert_int_equal(outcomes[1], OK);
    assert_int_equal(outcomes[2], ERR_OUT_OF_BOUNDS);
    assert_int_equal(outcomes[3], ERR_STALE_REF);
    assert_int_equal(appender_commit(appender, &f->why), OK);
    appender_close(appender);
    assert_int_equal(db_rig_count_samples(f->db), 2);
}

/* One commit of a source: series number first .. first + count at t. */
static void append_many(struct db_rig *f, uint32_t first, uint32_t count, int64_t t_ms)
{
    struct storage *storage = db_storage(f->db);
    struct appender *appender;
    assert_int_equal(storage_appender_open(storage, &appender, &f->why), OK);
    appender_begin(appender, storage_source_open(storage, 1), NULL);
    series_ref *refs = MEM_NEW_ARRAY(MEM_TEST, series_ref, count);
    double *values = MEM_NEW_ARRAY(MEM_TEST, double, count);
    uint8_t *outcomes = MEM_NEW_ARRAY(MEM_TEST, uint8_t, count);
    for (uint32_t i = 0; i < count; i++) {
        char text[16];
        snprintf(text, sizeof text, "s%u", first + i);
        struct label label = {STR("__name__"), str_from_cstr(text)};
        bool created;
        assert_int_equal(
            appender_series(appender, (struct labels){&label, 1}, &refs[i], &created, &f->why), OK);
        values[i] = first + i;
    }
    struct append_batch batch = {
        .count = count, .refs = refs, .t_all_ms = t_ms, .values = values, .outcomes = outcomes};
    assert_int_equal(appender_add(appender, &batch, &f->why), OK);
    for (uint32_t i = 0; i < count; i++)
        assert_int_equal(outcomes[i], OK);
    assert_int_equal(appender_commit(appender, &f->why), OK);
    appender_close(appender);
    mem_free(MEM_TEST, refs);
    mem_free(MEM_TEST, values);
    mem_free(MEM_TEST, outcomes);
}

/* A source whose series come and go does not fill its group with dead slots. */
static void churn_keeps_all_samples_and_little_memory(void **state)
{
    struct db_rig *f = *state;
    enum { ROUNDS = 40, EACH = 400 };
    int64_t bytes_early = 0;
    for (uint32_t i = 0; i < ROUNDS; i++) {
        append_many(f, i * EACH, EACH, i * RANGE_MS / 2);
        append_many(f, i * EACH, EACH, i * RANGE_MS / 2 + 10);
        assert_int_equal(db_maintain(f->db, &f->why), OK);
        if (i == 10)
            bytes_early = mem_bytes(MEM_HEAD) + mem_bytes(MEM_WAL);
    }
    assert_true(mem_bytes(MEM_HEAD) + mem_bytes(MEM_WAL) < bytes_early * 3 / 2);
    assert_int_equal(db_rig_count_samples(f->db), ROUNDS * EACH * 2);
    db_rig_reopen(f);
    assert_int_equal(db_rig_count_samples(f->db), ROUNDS * EACH * 2);
}

static void exemplars_are_kept_and_replayed(void **state)
{
    struct db_rig *f = *state;
    struct db_options options = {.path = f->path, .no_background = true, .exemplars_max = 2};
    db_close(f->db);
    assert_int_equal(db_open(&options, &f->db, &f->why), OK);
    append(f, "a", 1000, 1);
    struct appender *appender;
    assert_int_equal(storage_appender_open(db_storage(f->db), &appender, &f->why), OK);
    struct label label = {STR("__name__"), STR("a")}, trace = {STR("trace_id"), STR("x")};
    for (int i = 1; i <= 3; i++) {
        appender_begin(appender, storage_source_open(db_storage(f->db), 1), NULL);
        series_ref ref;
        bool created;
        assert_int_equal(
            appender_series(appender, (struct labels){&label, 1}, &ref, &created, &f->why), OK);
        assert_false(created);
        struct exemplar exemplar = {{&trace, 1}, i, i * 1000};
        assert_int_equal(appender_add_exemplar(appender, ref, &exemplar, &f->why), OK);
        assert_int_equal(appender_commit(appender, &f->why), OK);
        appender_begin(appender, storage_source_open(db_storage(f->db), 1), NULL);
        assert_int_equal(appender_add_exemplar(appender, ref, &exemplar, &f->why), ERR_DUPLICATE);
        appender_rollback(appender);
    }
    appender_close(appender);
    for (int round = 0; round < 2; round++) {
        struct arena arena;
        arena_init(&arena, MEM_TEST, SIZE_MAX);
        struct querier *querier;
        struct exemplar_list list;
        struct selector all = {NULL, 0};
        assert_int_equal(storage_querier_open(db_storage(f->db), 0, 5000, &querier, &f->why), OK);
        assert_int_equal(querier_exemplars(querier, &all, 1, &arena, &list, &f->why), OK);
        assert_int_equal(list.count, 1);
        assert_int_equal(list.items[0].count, 2); /* the ring holds two */
        assert_true(list.items[0].items[0].t_ms == 2000);
        assert_true(list.items[0].items[1].value == 3);
        assert_true(
            str_equal_cstr(labels_get(list.items[0].items[1].labels, STR("trace_id")), "x"));
        querier_close(querier);
        arena_deinit(&arena);
        db_close(f->db);
        assert_int_equal(db_open(&options, &f->db, &f->why), OK);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_source_may_change_the_order_of_its_series, set_up,
                                        db_rig_tear_down),
        cmocka_unit_test_setup_teardown(new_series_come_among_known_ones, set_up, db_rig_tear_down),
        cmocka_unit_test_setup_teardown(two_commits_of_a_source_have_new_series, set_up,
                                        db_rig_tear_down),
        cmocka_unit_test_setup_teardown(a_folder_has_one_user, set_up, db_rig_tear_down),
        cmocka_unit_test_setup_teardown(a_folder_of_prometheus_is_refused, set_up,
                                        db_rig_tear_down),
        cmocka_unit_test_setup_teardown(the_head_is_cut_when_it_spans_one_and_a_half_ranges, set_up,
                                        db_rig_tear_down),
        cmocka_unit_test_setup_teardown(what_is_in_blocks_leaves_the_head, set_up,
                                        db_rig_tear_down),
        cmocka_unit_test_setup_teardown(blocks_are_merged_by_level, set_up, db_rig_tear_down),
        cmocka_unit_test_setup_teardown(old_blocks_go_by_time_and_by_size, set_up,
                                        db_rig_tear_down),
        cmocka_unit_test_setup_teardown(every_byte_of_the_folder_counts, set_up, db_rig_tear_down),
        cmocka_unit_test_setup_teardown(many_long_labels_are_logged, set_up, db_rig_tear_down),
        cmocka_unit_test_setup_teardown(a_commit_does_not_add_to_what_was_cut, set_up,
                                        db_rig_tear_down),
        cmocka_unit_test_setup_teardown(deleted_samples_leave_the_disk, set_up, db_rig_tear_down),
        cmocka_unit_test_setup_teardown(a_snapshot_is_a_database, set_up, db_rig_tear_down),
        cmocka_unit_test_setup_teardown(an_open_querier_sees_the_same_throughout, set_up,
                                        db_rig_tear_down),
        cmocka_unit_test_setup_teardown(samples_far_behind_are_out_of_bounds, set_up,
                                        db_rig_tear_down),
        cmocka_unit_test_setup_teardown(churn_keeps_all_samples_and_little_memory, set_up,
                                        db_rig_tear_down),
        cmocka_unit_test_setup_teardown(exemplars_are_kept_and_replayed, set_up, db_rig_tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
