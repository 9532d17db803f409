/* narthexctl tsdb … and promql …: offline looks at a data folder and at query text. */
#include <stdio.h>

#include "ctl.h"
#include "narthex/base/duration.h"
#include "narthex/base/fs.h"
#include "narthex/query/promql.h"
#include "narthex/tsdb/block.h"
#include "narthex/tsdb/wal.h"

static const char *folder_of(const struct ctl_arguments *arguments)
{
    return arguments->rest_count > 0 ? arguments->rest[0] : "data";
}

/* Calls `visit` with the path of each block below the folder; counts its failures. */
static int each_block(const char *folder, int (*visit)(const char *path))
{
    struct fs_list list;
    struct strbuf why = STRBUF_INIT;
    int failures = 0;
    if (fs_list_dir(folder, &list, &why) != OK) {
        fprintf(stderr, "%s\n", strbuf_cstr(&why));
        strbuf_deinit(&why);
        return 1;
    }
    for (size_t i = 0; i < list.count; i++) {
        if (!block_ulid_is_valid(str_from_cstr(list.names[i])))
            continue;
        struct strbuf path = STRBUF_INIT;
        strbuf_printf(&path, "%s/%s", folder, list.names[i]);
        failures += visit(strbuf_cstr(&path));
        strbuf_deinit(&path);
    }
    fs_list_free(&list);
    strbuf_deinit(&why);
    return failures;
}

int ctl_block_print(const char *path)
{
    struct block *block;
    struct strbuf why = STRBUF_INIT;
    if (block_open(path, &block, &why) != OK) {
        fprintf(stderr, "%s\n", strbuf_cstr(&why));
        strbuf_deinit(&why);
        return 1;
    }
    const struct block_meta *meta = block_meta(block);
    struct strbuf range = STRBUF_INIT;
    duration_print(meta->max_t_ms - meta->min_t_ms, &range);
    printf("%-26s  %-13lld  %-13lld  %-10s  %-11llu  %-10llu  %-10u  %llu\n", meta->ulid.text,
           (long long)meta->min_t_ms, (long long)meta->max_t_ms, strbuf_cstr(&range),
           (unsigned long long)meta->counts.samples, (unsigned long long)meta->counts.columns,
           meta->counts.series, (unsigned long long)block_bytes(block));
    strbuf_deinit(&range);
    strbuf_deinit(&why);
    block_close(block);
    return 0;
}

void ctl_block_print_heading(void)
{
    printf("%-26s  %-13s  %-13s  %-10s  %-11s  %-10s  %-10s  %s\n", "BLOCK ULID", "MIN TIME",
           "MAX TIME", "DURATION", "NUM SAMPLES", "NUM CHUNKS", "NUM SERIES", "SIZE");
}

int ctl_tsdb_list(const struct ctl_arguments *arguments)
{
    ctl_block_print_heading();
    return each_block(folder_of(arguments), ctl_block_print) == 0 ? CTL_OK : CTL_FAILED;
}

static int verify_block(const char *path)
{
    struct block *block;
    struct strbuf why = STRBUF_INIT;
    err_t err = block_open(path, &block, &why);
    if (err == OK) {
        err = block_verify(block, &why);
        block_close(block);
    }
    if (err == OK)
        printf("%s: ok\n", path);
    else
        fprintf(stderr, "%s\n", strbuf_cstr(&why));
    strbuf_deinit(&why);
    return err != OK;
}

/* Reads one file of the log without changing it. */
static int verify_log_file(const char *path, const char *name, bool last)
{
    static const struct wal_handler nothing; /* only the counts matter */
    struct fs_mapping file;
    struct strbuf why = STRBUF_INIT;
    struct wal_replay_result result = {0};
    uint64_t good_bytes = 0;
    uint64_t number = 0;
    err_t err = fs_map(path, &file, &why);
    if (err == OK && !str_to_uint64(str_from_cstr(name), &number))
        number = 0;
    if (err == OK) {
        err = wal_replay_bytes(file.data, file.size, (uint32_t)number, last, &nothing, &result,
                               &good_bytes, &why);
        fs_unmap(&file);
    }
    if (err != OK)
        fprintf(stderr, "%s: %s\n", path, strbuf_cstr(&why));
    else if (result.damaged_bytes > 0)
        fprintf(stderr, "%s: %llu damaged bytes\n", path, (unsigned long long)result.damaged_bytes);
    else
        printf("%s: ok, %llu samples\n", path, (unsigned long long)result.sample_count);
    strbuf_deinit(&why);
    return err != OK || result.damaged_bytes > 0;
}

static int verify_wal(const char *folder)
{
    struct strbuf path = STRBUF_INIT;
    struct strbuf why = STRBUF_INIT;
    struct fs_list list;
    int failures = 0;
    strbuf_printf(&path, "%s/wal", folder);
    if (fs_list_dir(strbuf_cstr(&path), &list, &why) == OK) {
        for (size_t i = 0; i < list.count; i++) {
            struct strbuf file = STRBUF_INIT;
            strbuf_printf(&file, "%s/%s", strbuf_cstr(&path), list.names[i]);
            failures += verify_log_file(strbuf_cstr(&file), list.names[i], i + 1 == list.count);
            strbuf_deinit(&file);
        }
        fs_list_free(&list);
    }
    strbuf_deinit(&why);
    strbuf_deinit(&path);
    return failures;
}

int ctl_tsdb_verify(const struct ctl_arguments *arguments)
{
    const char *folder = folder_of(arguments);
    int failures = each_block(folder, verify_block) + verify_wal(folder);
    return failures == 0 ? CTL_OK : CTL_FAILED;
}

int ctl_promql_format(const struct ctl_arguments *arguments)
{
    struct promql_features features = {.experimental_functions = true,
                                       .extended_range_selectors = true,
                                       .binop_fill_modifiers = true};
    struct strbuf text = STRBUF_INIT;
    struct strbuf why = STRBUF_INIT;
    err_t err = promql_format(str_from_cstr(arguments->rest[0]), &features, &text, &why);
    if (err == OK)
        printf("%s\n", strbuf_cstr(&text));
    else
        fprintf(stderr, "%s\n", strbuf_cstr(&why));
    strbuf_deinit(&why);
    strbuf_deinit(&text);
    return err == OK ? CTL_OK : CTL_FAILED;
}
