/* Recorded pages of real exporters: the parser against a plain reading of the same lines, and
 * against itself on pages with damage. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "exposition_dump.h"
#include "exposition_parser.h"

enum { CORPUS_BYTES_MAX = 2 << 20, DAMAGES = 400, DAMAGED_BYTES = 4000 };

static const char *const jobs[] = {"node",    "prometheus", "vm",      "alertmanager",
                                   "process", "redis",      "postgres"};

/* The first pages of a job's archive, one after another, which is a page too. */
static void read_pages(const char *folder, const char *job, struct strbuf *out)
{
    char command[512];
    snprintf(command, sizeof command, "tar -xO --zstd -f '%s/corpus/%s.tar.zst' 2>/dev/null",
             folder, job);
    FILE *pipe = popen(command, "r");
    assert_non_null(pipe);
    strbuf_clear(out);
    char *to = strbuf_reserve(out, CORPUS_BYTES_MAX);
    strbuf_commit(out, fread(to, 1, CORPUS_BYTES_MAX, pipe));
    pclose(pipe);
    while (out->size > 0 && out->data[out->size - 1] != '\n')
        out->size--;
    strbuf_reserve(out, 0)[0] = '\0';
}

/* --- the plain reading: good for the lines that exporters write, unescaped values unseen --- */

/* The next line that is no comment, NUL-terminated in place; NULL at the end. */
static char *next_line(char **at)
{
    for (char *line = *at; *line != '\0'; line = *at) {
        char *end = strchr(line, '\n');
        *end = '\0';
        *at = end + 1;
        if (line[0] != '#' && line[0] != '\0')
            return line;
    }
    return NULL;
}

static void check_labels(char *key, const struct label *items, uint32_t count)
{
    char *brace = strchr(key, '{');
    uint32_t seen = 1;
    if (brace != NULL) {
        *brace = '\0';
        for (char *at = brace + 1; *at != '}'; seen++) {
            char *equals = strchr(at, '=');
            char *end = strchr(equals + 2, '"');
            while (end[-1] == '\\' && end[-2] != '\\')
                end = strchr(end + 1, '"');
            assert_true(seen < count);
            assert_true(str_equal(items[seen].name, str_from(at, (size_t)(equals - at))));
            struct str value = str_from(equals + 2, (size_t)(end - equals - 2));
            bool plain = str_find(value, '\\', 0) == SIZE_MAX &&
                         !str_equal_cstr(items[seen].name, "le") &&
                         !str_equal_cstr(items[seen].name, "quantile");
            if (plain)
                assert_true(str_equal(items[seen].value, value));
            at = end + 1 + strspn(end + 1, ", ");
        }
    }
    assert_int_equal(seen, count);
    assert_true(str_equal_cstr(items[0].value, key));
}

static void check_line(char *line, const struct exposition_entry *entry)
{
    struct arena arena;
    struct label *items;
    uint32_t count;
    char *brace = strrchr(line, '}');
    char *blank = strchr(brace == NULL ? line : brace, ' ');
    assert_non_null(blank);
    *blank = '\0';
    assert_true(str_equal_cstr(entry->key, line));
    char *end;
    double value = strtod(blank + 1, &end);
    assert_true(value == entry->value || (value != value && entry->value != entry->value));
    assert_int_equal(entry->has_timestamp, *end == ' ');
    if (*end == ' ')
        assert_int_equal(entry->timestamp_ms, strtoll(end + 1, NULL, 10));
    arena_init(&arena, MEM_TEST, SIZE_MAX);
    exposition_key_labels(EXPOSITION_TEXT, entry->key, entry->type, &arena, &items, &count);
    check_labels(line, items, count);
    arena_deinit(&arena);
}

static void pages_read_as_a_plain_reader_does(struct str body)
{
    struct exposition_options options = {0};
    struct exposition *exposition = exposition_create();
    struct exposition_entry entry;
    struct strbuf why = STRBUF_INIT;
    struct strbuf copy = STRBUF_INIT;
    size_t samples = 0;
    strbuf_add_str(&copy, body);
    char *at = copy.data;
    exposition_start(exposition, EXPOSITION_TEXT, &options, body);
    for (;;) {
        if (exposition_next(exposition, &entry, &why) != OK)
            fail_msg("%s", strbuf_cstr(&why));
        if (entry.kind == EXPOSITION_END)
            break;
        if (entry.kind != EXPOSITION_SAMPLE)
            continue;
        char *line = next_line(&at);
        assert_non_null(line);
        check_line(line, &entry);
        samples++;
    }
    assert_null(next_line(&at));
    assert_true(samples > 1000);
    exposition_destroy(exposition);
    strbuf_deinit(&why);
    strbuf_deinit(&copy);
}

/* --- damaged pages: the quick reader and the exact one --- */

static uint64_t random_state;

static uint64_t next_random(void)
{
    random_state = random_state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return random_state >> 33;
}

static void compare_readers(struct str body)
{
    struct exposition_options options = {0};
    struct exposition *quick = exposition_create();
    struct exposition *exact = exposition_create();
    struct exposition_entry a = {0};
    struct exposition_entry b = {0};
    struct strbuf why_quick = STRBUF_INIT;
    struct strbuf why_exact = STRBUF_INIT;
    exposition_start(quick, EXPOSITION_TEXT, &options, body);
    exposition_start(exact, EXPOSITION_TEXT, &options, body);
    do {
        err_t err = exposition_next(quick, &a, &why_quick);
        assert_int_equal(exposition__text_next(exact, &b, &why_exact), err);
        if (err != OK)
            break;
        assert_int_equal(a.kind, b.kind);
        assert_true(str_equal(a.key, b.key) && str_equal(a.value_text, b.value_text));
        assert_true(double_bits(a.value) == double_bits(b.value));
        assert_true(a.timestamp_ms == b.timestamp_ms && a.type == b.type);
    } while (a.kind != EXPOSITION_END);
    assert_string_equal(strbuf_cstr(&why_quick), strbuf_cstr(&why_exact));
    exposition_destroy(quick);
    exposition_destroy(exact);
    strbuf_deinit(&why_quick);
    strbuf_deinit(&why_exact);
}

static void damaged_pages_read_alike(struct str body)
{
    static const char bytes[] = "\n \t\"\\{}=,#_a1:.-+eN\0\xff\xc3";
    for (int i = 0; i < DAMAGES; i++) {
        size_t from = next_random() % body.size;
        size_t size = body.size - from < DAMAGED_BYTES ? body.size - from : DAMAGED_BYTES;
        char *part = malloc(size);
        memcpy(part, body.data + from, size);
        for (uint64_t edits = 1 + next_random() % 3; edits > 0; edits--)
            part[next_random() % size] = bytes[next_random() % (sizeof bytes - 1)];
        compare_readers(str_from(part, size));
        free(part);
    }
}

static const char *folder;

static void all_jobs(void **state)
{
    (void)state;
    struct strbuf pages = STRBUF_INIT;
    random_state = 20261122;
    printf("seed %llu\n", (unsigned long long)random_state);
    for (size_t i = 0; i < sizeof jobs / sizeof jobs[0]; i++) {
        read_pages(folder, jobs[i], &pages);
        assert_true(pages.size > 0);
        pages_read_as_a_plain_reader_does(strbuf_str(&pages));
        damaged_pages_read_alike(strbuf_str(&pages));
    }
    strbuf_deinit(&pages);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(all_jobs)};
    char path[512];
    folder = getenv("NARTHEX_SHARED");
    snprintf(path, sizeof path, "%s/corpus/node.tar.zst", folder == NULL ? "" : folder);
    FILE *archive = fopen(path, "rb");
    if (archive == NULL) {
        printf("skipped: no recorded pages at %s (NARTHEX_SHARED)\n", path);
        return 77;
    }
    fclose(archive);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
