/* narthexctl tsdb … and promql …: offline looks at a data folder and at query text. */
#include <stdio.h>

#include "block_rows.h"
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

int ctl_tsdb_list(const struct ctl_arguments *arguments)
{
    struct ctl_block_rows rows = {0};
    int failures = ctl_block_rows_read(&rows, ctl_folder(arguments));
    if (rows.count > 0 || failures == 0)
        ctl_block_rows_print(&rows, arguments);
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
