/* narthexctl tsdb … and promql …: offline looks at a data folder and at query text. */
#include <stdio.h>

#include "ctl.h"
#include "narthex/base/duration.h"
#include "narthex/base/fs.h"
#include "narthex/query/promql.h"
#include "narthex/tsdb/block.h"

const char *ctl_folder(const struct ctl_arguments *arguments)
{
    return arguments->rest_count > 0 ? arguments->rest[0] : "data";
}

int ctl_each_block(const char *folder, int (*visit)(const char *path, void *context), void *context)
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
        failures += visit(strbuf_cstr(&path), context);
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

static int print_block(const char *path, void *context)
{
    (void)context;
    return ctl_block_print(path);
}

int ctl_tsdb_list(const struct ctl_arguments *arguments)
{
    ctl_block_print_heading();
    return ctl_each_block(ctl_folder(arguments), print_block, NULL) == 0 ? CTL_OK : CTL_FAILED;
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
