/* narthexctl tsdb verify: reads every byte of a data folder and says what is damaged. */
#include <jansson.h>
#include <stdio.h>

#include "block_rows.h"
#include "check_files.h"
#include "narthex/tsdb/block.h"
#include "narthex/tsdb/tombstones.h"
#include "progress.h"

err_t ctl_check_block(const char *path, bool *tombstones_only, struct strbuf *why)
{
    struct block *block;
    *tombstones_only = false;
    TRY(ctl_block_open(path, &block, why));
    err_t err = block_verify(block, why);
    block_close(block);
    if (err != OK)
        return err;
    struct tombstones *tombstones;
    *tombstones_only = true;
    TRY(tombstones_load(path, &tombstones, why));
    tombstones_destroy(tombstones);
    return OK;
}

/* What was found, file by file. */
struct verification {
    json_t *files; /* NULL: lines are printed instead */
    struct ctl_progress progress;
    uint64_t bytes_done;
};

static void report(struct verification *verification, const char *path, bool good,
                   const struct strbuf *text)
{
    uint64_t size = 0;
    struct strbuf why = STRBUF_INIT;
    if (verification->files != NULL) {
        json_t *item =
            json_pack("{s:s, s:b, s:s}", "path", path, "ok", good, "text", strbuf_cstr(text));
        json_array_append_new(verification->files, item);
    } else {
        ctl_progress_clear(&verification->progress);
        fprintf(good ? stdout : stderr, "%s\n", strbuf_cstr(text));
    }
    if (fs_file_size(path, &size, &why) == OK)
        verification->bytes_done += size;
    ctl_progress_set(&verification->progress, verification->bytes_done);
    strbuf_deinit(&why);
}

static int verify_block(const char *path, void *context)
{
    bool tombstones_only;
    struct strbuf text = STRBUF_INIT;
    char file[4096];
    err_t err = ctl_check_block(path, &tombstones_only, &text);
    if (err == OK)
        strbuf_printf(&text, "%s: ok", path);
    snprintf(file, sizeof file, "%s/block", path);
    report(context, file, err == OK, &text);
    strbuf_deinit(&text);
    return err != OK;
}

/* ---- the log ---- */

static void widen(struct ctl_log_state *state, int64_t t_ms)
{
    state->min_t_ms = t_ms < state->min_t_ms ? t_ms : state->min_t_ms;
    state->max_t_ms = t_ms > state->max_t_ms ? t_ms : state->max_t_ms;
}

static err_t on_row(void *context, const struct wal_row *row, struct strbuf *why)
{
    (void)why;
    widen(context, row->t_ms);
    return OK;
}

static err_t on_late(void *context, const struct wal_late *sample, struct strbuf *why)
{
    (void)why;
    widen(context, sample->t_ms);
    return OK;
}

err_t ctl_check_log_file(const struct ctl_log_file *file, struct ctl_log_state *state,
                         struct strbuf *why)
{
    *state = (struct ctl_log_state){.min_t_ms = INT64_MAX, .max_t_ms = INT64_MIN};
    TRY(fs_map(file->path, &state->mapping, why));
    struct wal_handler handler = {.context = state, .row = on_row, .late = on_late};
    err_t err = wal_replay_bytes(state->mapping.data, state->mapping.size, file->number, file->last,
                                 &handler, &state->result, &state->good_bytes, why);
    state->complete =
        file->kind == WAL_FILE_SEGMENT ||
        wal_checkpoint_is_complete(state->mapping.data, state->mapping.size, file->number);
    if (err != OK)
        fs_unmap(&state->mapping);
    return err;
}

int ctl_each_log_file(const char *folder,
                      int (*visit)(const struct ctl_log_file *file, void *context), void *context)
{
    struct strbuf why = STRBUF_INIT;
    struct fs_list list;
    struct ctl_log_file file;
    char path[sizeof file.path - 64];
    uint32_t highest = 0;
    int sum = 0;
    snprintf(path, sizeof path, "%s/wal", folder);
    if (fs_list_dir(path, &list, &why) != OK) {
        strbuf_deinit(&why);
        return 0; /* a folder that holds blocks only */
    }
    for (size_t i = 0; i < list.count; i++) {
        if (wal_file_kind(str_from_cstr(list.names[i]), &file.number) == WAL_FILE_SEGMENT &&
            file.number > highest)
            highest = file.number;
    }
    for (size_t i = 0; i < list.count; i++) {
        file.kind = wal_file_kind(str_from_cstr(list.names[i]), &file.number);
        file.last = file.kind == WAL_FILE_SEGMENT && file.number == highest;
        snprintf(file.path, sizeof file.path, "%s/%.40s", path, list.names[i]);
        if (file.kind != WAL_FILE_OTHER)
            sum += visit(&file, context);
    }
    fs_list_free(&list);
    strbuf_deinit(&why);
    return sum;
}

static int verify_log_file(const struct ctl_log_file *file, void *context)
{
    struct ctl_log_state state;
    struct strbuf text = STRBUF_INIT;
    struct strbuf why = STRBUF_INIT;
    err_t err = ctl_check_log_file(file, &state, &why);
    bool good = err == OK && state.result.damaged_records == 0 && state.complete;
    if (err != OK)
        strbuf_printf(&text, "%s: %s", file->path, strbuf_cstr(&why));
    else if (state.result.damaged_records > 0)
        strbuf_printf(&text, "%s: %llu damaged bytes", file->path,
                      (unsigned long long)state.result.damaged_bytes);
    else if (!state.complete)
        strbuf_printf(&text, "%s: the end is missing", file->path);
    else if (state.result.torn_bytes > 0)
        strbuf_printf(&text, "%s: ok, %llu samples, then %llu bytes of an unfinished commit",
                      file->path, (unsigned long long)state.result.sample_count,
                      (unsigned long long)state.result.torn_bytes);
    else
        strbuf_printf(&text, "%s: ok, %llu samples", file->path,
                      (unsigned long long)state.result.sample_count);
    report(context, file->path, good, &text);
    if (err == OK)
        fs_unmap(&state.mapping);
    strbuf_deinit(&why);
    strbuf_deinit(&text);
    return !good;
}

/* ---- sealed windows and series ---- */

static int each_in(const char *folder, bool series,
                   int (*visit)(const struct ctl_head_file *file, void *context), void *context)
{
    struct strbuf why = STRBUF_INIT;
    struct fs_list list;
    struct ctl_head_file file = {.series = series};
    char path[sizeof file.path - 64];
    int sum = 0;
    snprintf(path, sizeof path, "%s/%s", folder, series ? "series" : "sealed");
    if (fs_list_dir(path, &list, &why) == OK) {
        for (size_t i = 0; i < list.count; i++) {
            /* They are named as segments of the log are. */
            if (wal_file_kind(str_from_cstr(list.names[i]), &file.number) != WAL_FILE_SEGMENT)
                continue;
            snprintf(file.path, sizeof file.path, "%s/%.40s", path, list.names[i]);
            file.last = i + 1 == list.count; /* names are sorted */
            sum += visit(&file, context);
        }
        fs_list_free(&list);
    }
    strbuf_deinit(&why);
    return sum;
}

int ctl_each_head_file(const char *folder,
                       int (*visit)(const struct ctl_head_file *file, void *context), void *context)
{
    return each_in(folder, true, visit, context) + each_in(folder, false, visit, context);
}

err_t ctl_check_head_file(const struct ctl_head_file *file, struct head_file_check *check,
                          struct strbuf *whole, struct strbuf *why)
{
    struct fs_mapping mapping;
    TRY(fs_map(file->path, &mapping, why));
    if (file->series)
        head_check_series(mapping.data, mapping.size, file->number, file->last, check);
    else
        head_check_sealed(mapping.data, mapping.size, file->number, check, whole);
    fs_unmap(&mapping);
    return OK;
}

static int verify_head_file(const struct ctl_head_file *file, void *context)
{
    struct head_file_check check;
    struct strbuf text = STRBUF_INIT;
    struct strbuf why = STRBUF_INIT;
    err_t err = ctl_check_head_file(file, &check, NULL, &why);
    bool good = err == OK && check.damaged_places == 0;
    if (err != OK)
        strbuf_printf(&text, "%s: %s", file->path, strbuf_cstr(&why));
    else if (!good)
        strbuf_printf(&text, "%s: %llu damaged bytes, the first at %llu", file->path,
                      (unsigned long long)check.damaged_bytes,
                      (unsigned long long)check.first_damage_at);
    else
        strbuf_printf(&text, "%s: ok, %llu %s", file->path,
                      (unsigned long long)(file->series ? check.item_count : check.record_count),
                      file->series ? "series" : "windows");
    report(context, file->path, good, &text);
    strbuf_deinit(&why);
    strbuf_deinit(&text);
    return !good;
}

int ctl_tsdb_verify(const struct ctl_arguments *arguments)
{
    const char *folder = ctl_folder(arguments);
    struct verification verification = {0};
    if (ctl_wants_json(arguments))
        verification.files = json_array();
    ctl_progress_start(&verification.progress, "Verifying", fs_tree_bytes(folder, NULL));
    int failures = ctl_each_block(folder, verify_block, &verification);
    failures += ctl_each_log_file(folder, verify_log_file, &verification);
    failures += ctl_each_head_file(folder, verify_head_file, &verification);
    ctl_progress_clear(&verification.progress);
    if (verification.files != NULL) {
        json_dumpf(verification.files, stdout, JSON_COMPACT);
        printf("\n");
        json_decref(verification.files);
    }
    return failures == 0 ? CTL_OK : CTL_FAILED;
}
