#include "block_rows.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "narthex/base/duration.h"
#include "narthex/base/fs.h"
#include "narthex/base/vec.h"
#include "table.h"

err_t ctl_block_open(const char *path, struct block **block, struct strbuf *why)
{
    char ours[4096], theirs[4096];
    snprintf(ours, sizeof ours, "%s/block", path);
    snprintf(theirs, sizeof theirs, "%s/meta.json", path);
    if (!fs_exists(ours) && fs_exists(theirs))
        return err_fail(why, ERR_UNSUPPORTED,
                        "%s: this block was made by Prometheus; promtool reads it", path);
    return block_open(path, block, why);
}

int ctl_block_rows_add(struct ctl_block_rows *rows, const char *path)
{
    struct block *block;
    struct strbuf why = STRBUF_INIT;
    err_t err = ctl_block_open(path, &block, &why);
    if (err == OK) {
        const struct block_meta *meta = block_meta(block);
        struct ctl_block_row row = {meta->ulid, meta->min_t_ms, meta->max_t_ms, meta->counts,
                                    block_bytes(block)};
        VEC_PUSH(MEM_BLOCK, rows->items, rows->count, rows->capacity, row);
        block_close(block);
    } else {
        fprintf(stderr, "%s\n", strbuf_cstr(&why));
    }
    strbuf_deinit(&why);
    return err != OK;
}

static int add_block(const char *path, void *context)
{
    return ctl_block_rows_add(context, path);
}

static int by_time(const void *a, const void *b)
{
    const struct ctl_block_row *x = a, *y = b;
    if (x->min_t_ms != y->min_t_ms)
        return x->min_t_ms < y->min_t_ms ? -1 : 1;
    return (x->max_t_ms > y->max_t_ms) - (x->max_t_ms < y->max_t_ms);
}

int ctl_block_rows_read(struct ctl_block_rows *rows, const char *folder)
{
    int failures = ctl_each_block(folder, add_block, rows);
    if (rows->count > 0)
        qsort(rows->items, rows->count, sizeof *rows->items, by_time);
    return failures;
}

void ctl_go_duration_add(struct strbuf *out, int64_t ms)
{
    int64_t whole_s = ms / 1000, rest_ms = ms % 1000;
    if (ms != 0 && whole_s == 0) {
        strbuf_printf(out, "%lldms", (long long)ms);
        return;
    }
    if (whole_s >= 3600)
        strbuf_printf(out, "%lldh", (long long)(whole_s / 3600));
    if (whole_s >= 60)
        strbuf_printf(out, "%lldm", (long long)(whole_s / 60 % 60));
    strbuf_printf(out, "%lld", (long long)(whole_s % 60));
    if (rest_ms > 0) {
        strbuf_printf(out, ".%03lld", (long long)rest_ms);
        while (out->data[out->size - 1] == '0')
            out->size--;
    }
    strbuf_add_char(out, 's');
}

static void add_time(struct ctl_table *table, int64_t t_ms, bool human)
{
    char text[64];
    struct tm parts;
    time_t seconds = (time_t)(t_ms / 1000);
    if (!human) {
        ctl_table_add(table, "%lld", (long long)t_ms);
        return;
    }
    gmtime_r(&seconds, &parts);
    strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S +0000 UTC", &parts);
    ctl_table_add(table, "%s", text);
}

static void add_row(struct ctl_table *table, const struct ctl_block_row *row, bool human)
{
    struct strbuf text = STRBUF_INIT;
    ctl_table_add(table, "%s", row->ulid.text);
    add_time(table, row->min_t_ms, human);
    add_time(table, row->max_t_ms, human);
    ctl_go_duration_add(&text, row->max_t_ms - row->min_t_ms);
    ctl_table_add(table, "%s", strbuf_cstr(&text));
    ctl_table_add(table, "%llu", (unsigned long long)row->counts.samples);
    ctl_table_add(table, "%llu", (unsigned long long)row->counts.columns);
    ctl_table_add(table, "%u", row->counts.series);
    strbuf_clear(&text);
    if (human)
        byte_size_print((int64_t)row->bytes, &text);
    else
        strbuf_add_uint(&text, row->bytes);
    ctl_table_add(table, "%s", strbuf_cstr(&text));
    strbuf_deinit(&text);
}

static void print_table(const struct ctl_block_rows *rows, bool human)
{
    static const char *const headings[] = {"BLOCK ULID",  "MIN TIME",   "MAX TIME",   "DURATION",
                                           "NUM SAMPLES", "NUM CHUNKS", "NUM SERIES", "SIZE"};
    struct arena arena;
    arena_init(&arena, MEM_BLOCK, SIZE_MAX);
    struct ctl_table table = {
        .arena = &arena, .column_count = 8, .gap = 2, .width_min = 13, .last_ragged = true};
    for (size_t i = 0; i < sizeof headings / sizeof *headings; i++)
        ctl_table_add(&table, "%s", headings[i]);
    for (uint32_t i = 0; i < rows->count; i++)
        add_row(&table, &rows->items[i], human);
    ctl_table_print(&table, stdout);
    arena_deinit(&arena);
}

static void print_json(const struct ctl_block_rows *rows)
{
    json_t *list = json_array();
    for (uint32_t i = 0; i < rows->count; i++) {
        const struct ctl_block_row *row = &rows->items[i];
        json_array_append_new(
            list,
            json_pack("{s:s, s:I, s:I, s:I, s:I, s:I, s:I}", "ulid", row->ulid.text, "minTime",
                      (json_int_t)row->min_t_ms, "maxTime", (json_int_t)row->max_t_ms, "numSamples",
                      (json_int_t)row->counts.samples, "numChunks", (json_int_t)row->counts.columns,
                      "numSeries", (json_int_t)row->counts.series, "size", (json_int_t)row->bytes));
    }
    json_dumpf(list, stdout, JSON_COMPACT);
    printf("\n");
    json_decref(list);
}

void ctl_block_rows_print(struct ctl_block_rows *rows, const struct ctl_arguments *arguments)
{
    if (ctl_wants_json(arguments))
        print_json(rows);
    else
        print_table(rows, ctl_switch(arguments, "human-readable"));
    mem_free(MEM_BLOCK, rows->items);
    *rows = (struct ctl_block_rows){0};
}
