/* A made-up machine for the host exporter's tests. Each test file includes this once. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "narthex/base/fs.h"
#include "narthex/base/mem.h"
#include "narthex/exporters/host_exporter.h"

/* A machine as a tree of small files: proc/, sys/, root/, udev/, text/. */
struct machine {
    char folder[64];
    struct strbuf path;
    struct strbuf why;
    struct strbuf answer;
    struct host_exporter *exporter;
};

static int set_up(void **state)
{
    struct machine *machine = MEM_NEW(MEM_TEST, struct machine);
    snprintf(machine->folder, sizeof machine->folder, "/tmp/narthex_host_test.XXXXXX");
    *state = machine;
    return mkdtemp(machine->folder) == NULL ? -1 : 0;
}

static int tear_down(void **state)
{
    struct machine *machine = *state;
    host_exporter_destroy(machine->exporter);
    int result = fs_remove_tree(fs_system(), machine->folder, &machine->why) == OK ? 0 : -1;
    strbuf_deinit(&machine->path);
    strbuf_deinit(&machine->why);
    strbuf_deinit(&machine->answer);
    mem_free(MEM_TEST, machine);
    if (mem_bytes(MEM_EXPORTER) != 0)
        return -1;
    return result;
}

static void put(struct machine *machine, const char *name, const char *content)
{
    strbuf_clear(&machine->path);
    strbuf_printf(&machine->path, "%s/%s", machine->folder, name);
    char *slash = strrchr(machine->path.data, '/');
    *slash = '\0';
    assert_int_equal(fs_make_dirs(fs_system(), machine->path.data, &machine->why), OK);
    *slash = '/';
    FILE *file = fopen(machine->path.data, "w");
    assert_non_null(file);
    fputs(content, file);
    fclose(file);
}

/* Runs one collector on the tree, or all if it is NULL. */
static const char *collect(struct machine *machine, const char *collector)
{
    if (machine->exporter == NULL) {
        char paths[5][80];
        static const char *const names[] = {"proc", "sys/", "root", "udev", "text"};
        for (int i = 0; i < 5; i++)
            snprintf(paths[i], sizeof paths[i], "%s/%s", machine->folder, names[i]);
        const struct host_exporter_options options = {paths[0], paths[1], paths[2], paths[3],
                                                      paths[4]};
        machine->exporter = host_exporter_create(&options);
    }
    struct str only = str_from_cstr(collector);
    const struct host_exporter_filter filter = {.only = &only, .only_count = collector != NULL};
    struct metric_writer writer;
    strbuf_clear(&machine->answer);
    metric_writer_init(&writer, &machine->answer);
    assert_int_equal(host_exporter_collect(machine->exporter, &writer, &filter, &machine->why), OK);
    metric_writer_deinit(&writer);
    return strbuf_cstr(&machine->answer);
}

static bool has_line(const char *text, const char *line)
{
    size_t size = strlen(line);
    for (const char *at = text; (at = strstr(at, line)) != NULL; at++) {
        if ((at == text || at[-1] == '\n') && at[size] == '\n')
            return true;
    }
    return false;
}

static void expect_lines(const char *text, const char *const *lines)
{
    for (; *lines != NULL; lines++) {
        if (!has_line(text, *lines))
            fail_msg("no line %s in\n%s", *lines, text);
    }
}
#define EXPECT_LINES(text, ...) expect_lines((text), (const char *const[]){__VA_ARGS__, NULL})
