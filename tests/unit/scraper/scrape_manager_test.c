/* The whole scraper against a scripted server: good targets beside hostile ones. */
#include "narthex/scraper/scrape_manager.h"

#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <libdeflate.h>

#include "narthex/base/fs.h"
#include "narthex/base/mem.h"
#include "narthex/scraper/discovery.h"
#include "reference_store.h"
#include "scripted_server.h"

enum {
    INTERVAL_MS = 500,
    TIMEOUT_MS = 450,
    PATIENT_MS = 2000, /* interval and timeout where a late scrape would say something else */
    BODY_BYTES_MAX = 1 << 20,
    WAIT_STEPS_MAX = 30000, /* of 2 ms: after that the test has failed */
};

static _Atomic int requests;
static _Atomic int released;
static _Atomic bool answer_more;

#define TEXT_PLAIN "Content-Type: text/plain; version=0.0.4\r\n"

static bool send_for_ever(struct http_server_request *request, const char *text, size_t size)
{
    if (!http_server_send(request, "HTTP/1.1 200 OK\r\n" TEXT_PLAIN "\r\n",
                          strlen("HTTP/1.1 200 OK\r\n" TEXT_PLAIN "\r\n")))
        return false;
    while (http_server_send(request, text, size))
        ;
    return false;
}

enum { BOMB_BYTES = 32 << 20 };
static char bomb[256 << 10]; /* BOMB_BYTES zeros, packed */
static size_t bomb_size;

static void pack_bomb(void)
{
    char *zeros = mem_calloc(MEM_TEST, 1, BOMB_BYTES);
    struct libdeflate_compressor *compressor = libdeflate_alloc_compressor(6);
    bomb_size = libdeflate_gzip_compress(compressor, zeros, BOMB_BYTES, bomb, sizeof bomb);
    libdeflate_free_compressor(compressor);
    mem_free(MEM_TEST, zeros);
}

static bool send_bomb(struct http_server_request *request)
{
    return http_server_answer(request, "200 OK", TEXT_PLAIN "Content-Encoding: gzip\r\n",
                              str_from(bomb, bomb_size));
}

static bool send_gzip(struct http_server_request *request, struct str text)
{
    struct libdeflate_compressor *compressor = libdeflate_alloc_compressor(6);
    char packed[4096];
    size_t size = libdeflate_gzip_compress(compressor, text.data, text.size, packed, sizeof packed);
    libdeflate_free_compressor(compressor);
    return http_server_answer(request, "200 OK", TEXT_PLAIN "Content-Encoding: gzip\r\n",
                              str_from(packed, size));
}

static bool send_text(struct http_server_request *request, struct str text)
{
    return http_server_answer(request, "200 OK", TEXT_PLAIN, text);
}

static bool handle_hostile(struct http_server_request *request)
{
    static const char page[65536] = {'a'};
    static const char line[] = "some_metric{label=\"value\"} 1\n";
    char lines[65536 - 65536 % (sizeof line - 1)];
    for (size_t at = 0; at < sizeof lines; at += sizeof line - 1)
        memcpy(lines + at, line, sizeof line - 1);
    const char *path = request->path;
    if (strncmp(path, "/endless", 8) == 0)
        return send_for_ever(request, lines, sizeof lines);
    if (strncmp(path, "/line", 5) == 0)
        return send_for_ever(request, page, sizeof page);
    if (strncmp(path, "/bomb", 5) == 0)
        return send_bomb(request);
    if (strncmp(path, "/missing", 8) == 0)
        return http_server_answer(request, "404 Not Found", "", STR("nothing"));
    if (strncmp(path, "/garbage", 8) == 0)
        return send_text(request, STR("\x01\x02 garbage {{{"));
    if (strncmp(path, "/utf8", 5) == 0)
        return send_text(request, STR("a{b=\"\xff\"} 1\n"));
    if (strncmp(path, "/loop", 5) == 0)
        return http_server_answer(request, "302 Found", "Location: /loop\r\n", STR(""));
    if (strncmp(path, "/blank", 6) == 0)
        return http_server_answer(request, "200 OK", "", STR("a 1\n"));
    if (strncmp(path, "/vanish", 7) == 0) {
        const char *text = "HTTP/1.1 200 OK\r\n" TEXT_PLAIN "Content-Length: 100\r\n\r\na 1\n";
        http_server_send(request, text, strlen(text));
        return false;
    }
    http_server_hang(request);
    return false;
}

/* Answers that are framed in other ways, and connections that end when they should not. */
static bool handle_framing(struct http_server_request *request)
{
    static const char head[] = "HTTP/1.1 200 OK\r\n" TEXT_PLAIN;
    const char *rest = "";
    const char *path = request->path;
    bool keep = false;
    if (strncmp(path, "/chunked", 8) == 0) {
        rest = "Transfer-Encoding: chunked\r\n\r\n3;x=y\r\nchu\r\nA\r\nnked 1\nx 2\r\n"
               "1\r\n\n\r\n0\r\nTrailer: t\r\n\r\n";
        keep = true;
    } else if (strncmp(path, "/unframed", 9) == 0) {
        rest = "\r\nunframed 1\n";
    } else if (strncmp(path, "/folded", 7) == 0) {
        rest = "X-Folded: a\r\n b\r\nContent-Length: 9\r\n\r\nfolded 1\n";
        keep = true;
    } else if (strncmp(path, "/forgetful", 10) == 0) {
        if (requests % 2 == 0) /* alone at its server: the second on a connection */
            return false;
        rest = "Content-Length: 12\r\n\r\nforgetful 1\n";
        keep = true;
    }
    http_server_send(request, head, sizeof head - 1);
    http_server_send(request, rest, strlen(rest));
    return keep;
}

static bool handle(void *context, struct http_server_request *request)
{
    (void)context;
    requests++;
    if (strncmp(request->path, "/good", 5) == 0)
        return send_text(request, answer_more ? STR("# TYPE good gauge\ngood 1\nmore 2\n")
                                              : STR("# TYPE good gauge\ngood 1\n"));
    if (strncmp(request->path, "/packed", 7) == 0)
        return send_gzip(request, STR("packed 1\n"));
    if (strncmp(request->path, "/moved", 6) == 0)
        return http_server_answer(request, "302 Found", "Location: /good\r\n", STR("gone"));
    if (strncmp(request->path, "/mute", 5) == 0)
        return false;
    if (strncmp(request->path, "/chunked", 8) == 0 || strncmp(request->path, "/unframed", 9) == 0 ||
        strncmp(request->path, "/folded", 7) == 0 || strncmp(request->path, "/forgetful", 10) == 0)
        return handle_framing(request);
    return handle_hostile(request);
}

struct world {
    struct http_server *server;
    struct storage *store;
    struct metrics *metrics;
    struct scrape_manager *manager;
    struct strbuf why;
    char address[64];
    struct label address_label;
    struct labels address_labels;
    struct target_group_config group;
};

static void begin(struct world *w)
{
    memset(w, 0, sizeof *w);
    requests = 0;
    released = 0;
    answer_more = false;
    w->server = http_server_start(handle, NULL);
    w->store = reference_store_create();
    w->metrics = metrics_create();
    struct scrape_manager_options options = {
        .storage = w->store,
        .metrics = w->metrics,
        .shards = 2,
        .timestamp_tolerance_ms = 2,
        .adjust_timestamps = true,
        .body_bytes_max = BODY_BYTES_MAX,
    };
    assert_int_equal(scrape_manager_create(&options, &w->manager, &w->why), OK);
    snprintf(w->address, sizeof w->address, "127.0.0.1:%u", http_server_port(w->server));
    w->address_label = (struct label){STR("__address__"), str_from_cstr(w->address)};
    w->address_labels = (struct labels){&w->address_label, 1};
    w->group = (struct target_group_config){.targets = &w->address_labels, .target_count = 1};
}

static void end(struct world *w)
{
    scrape_manager_destroy(w->manager);
    http_server_stop(w->server);
    metrics_destroy(w->metrics);
    reference_store_destroy(w->store);
    strbuf_deinit(&w->why);
}

static struct scrape_config job(const struct world *w, const char *path)
{
    return (struct scrape_config){
        .job_name = str_from_cstr(path + 1),
        .interval_ms = INTERVAL_MS,
        .timeout_ms = TIMEOUT_MS,
        .metrics_path = str_from_cstr(path),
        .scheme = STR("http"),
        .honor_timestamps = true,
        .enable_compression = true,
        .protocols = {SCRAPE_PROTOCOL_TEXT_0_0_4},
        .protocol_count = 1,
        .http = {.follow_redirects = true},
        .static_groups = &w->group,
        .static_group_count = 1,
        .fingerprint = 1,
        .cache_fingerprint = 1,
    };
}

static struct scrape_config patient_job(const struct world *w, const char *path)
{
    struct scrape_config config = job(w, path);
    config.interval_ms = config.timeout_ms = PATIENT_MS;
    return config;
}

static void on_release(void *context)
{
    (void)context;
    released++;
}

static void apply(struct world *w, const struct scrape_config *jobs, uint32_t count)
{
    assert_int_equal(scrape_manager_apply(w->manager, jobs, count, on_release, NULL, &w->why), OK);
}

/* Waits until the condition holds; the test fails when it never does. */
static void wait_for(struct world *w, bool (*holds)(struct world *w, const char *name),
                     const char *name)
{
    for (int i = 0; i < WAIT_STEPS_MAX; i++) {
        if (holds(w, name))
            return;
        poll(NULL, 0, 2);
    }
    fail_msg("never came true: %s", name);
}

static bool all_scraped(struct world *w, const char *name)
{
    (void)name;
    struct arena arena;
    struct targets_view view;
    arena_init(&arena, MEM_TEST, SIZE_MAX);
    scrape_manager_targets(w->manager, &arena, &view);
    bool all = view.active_count > 0;
    for (size_t i = 0; i < view.active_count; i++)
        all &= view.active[i].health != TARGET_UNKNOWN;
    arena_deinit(&arena);
    return all;
}

/* Whether the target of a pool failed with a text that begins so ("": is up). */
static bool has_error(struct world *w, const char *pool, const char *expected, bool say)
{
    struct arena arena;
    struct targets_view view;
    bool holds = false;
    arena_init(&arena, MEM_TEST, SIZE_MAX);
    scrape_manager_targets(w->manager, &arena, &view);
    for (size_t i = 0; i < view.active_count; i++) {
        const struct target_view *target = &view.active[i];
        if (!str_equal_cstr(target->scrape_pool, pool))
            continue;
        if (expected[0] == '\0')
            holds = target->health == TARGET_UP && target->last_error.size == 0;
        else
            holds = target->health == TARGET_DOWN &&
                    str_starts_with(target->last_error, str_from_cstr(expected));
        if (say)
            print_message("%s: \"%.*s\"\n", pool, STR_ARG(target->last_error));
    }
    arena_deinit(&arena);
    return holds;
}

/* On a busy machine a scrape may run into its timeout first; the next one tells. */
static void assert_error(struct world *w, const char *pool, const char *expected)
{
    for (int i = 0; i < WAIT_STEPS_MAX; i++) {
        if (has_error(w, pool, expected, false))
            return;
        poll(NULL, 0, 2);
    }
    (void)has_error(w, pool, expected, true);
    fail_msg("%s never said: %s", pool, expected);
}

struct tally {
    int normal;
    int stale;
};

static struct tally tally(struct world *w, const char *metric)
{
    struct tally found = {0};
    struct matcher matcher;
    struct querier *querier;
    struct series_cursor *cursor;
    struct select_hints hints = {.end_ms = INT64_MAX};
    struct series_list list;
    struct arena arena;
    arena_init(&arena, MEM_TEST, SIZE_MAX);
    assert_int_equal(
        matcher_init(&matcher, MATCH_EQUAL, LABEL_NAME, str_from_cstr(metric), &w->why), OK);
    assert_int_equal(storage_querier_open(w->store, 0, INT64_MAX, &querier, &w->why), OK);
    assert_int_equal(
        querier_select(querier, (struct selector){&matcher, 1}, &hints, &arena, &list, &w->why),
        OK);
    assert_int_equal(querier_cursor_open(querier, &hints, &cursor, &w->why), OK);
    for (size_t i = 0; i < list.count; i++) {
        assert_int_equal(series_cursor_seek(cursor, &list.items[i], 0, INT64_MAX, &w->why), OK);
        struct sample_column_info info;
        struct sample_column column;
        bool more;
        while (series_cursor_next(cursor, &info, &more, &w->why) == OK && more) {
            assert_int_equal(series_cursor_decode(cursor, &column, &w->why), OK);
            for (uint32_t k = 0; k < column.count; k++) {
                found.stale += value_is_stale(column.values[k]);
                found.normal += !value_is_stale(column.values[k]);
            }
        }
    }
    series_cursor_close(cursor);
    querier_close(querier);
    matcher_deinit(&matcher);
    arena_deinit(&arena);
    return found;
}

static bool has_three(struct world *w, const char *metric)
{
    return tally(w, metric).normal >= 3;
}

static bool has_one(struct world *w, const char *metric)
{
    return tally(w, metric).normal >= 1;
}

static bool has_stale(struct world *w, const char *metric)
{
    return tally(w, metric).stale >= 1;
}

static bool fails_with(struct world *w, const char *text)
{
    struct arena arena;
    struct targets_view view;
    arena_init(&arena, MEM_TEST, SIZE_MAX);
    scrape_manager_targets(w->manager, &arena, &view);
    bool all = view.active_count > 0;
    for (size_t i = 0; i < view.active_count; i++)
        all &= str_equal_cstr(view.active[i].last_error, text);
    arena_deinit(&arena);
    return all;
}

static void test_hostile_targets_disturb_nobody(void **state)
{
    (void)state;
    struct world w;
    begin(&w);
    const char *const paths[] = {"/good",    "/packed", "/endless", "/line", "/bomb",  "/missing",
                                 "/garbage", "/utf8",   "/loop",    "/hang", "/blank", "/vanish"};
    enum { COUNT = sizeof paths / sizeof paths[0] };
    struct scrape_config jobs[COUNT + 1];
    for (int i = 0; i < COUNT; i++)
        jobs[i] = patient_job(&w, paths[i]);
    jobs[COUNT] = patient_job(&w, "/tls");
    jobs[COUNT].scheme = STR("https");
    apply(&w, jobs, COUNT + 1);
    wait_for(&w, all_scraped, "every target was scraped");
    wait_for(&w, has_three, "good");
    wait_for(&w, has_three, "packed");
    char url[192];
    assert_error(&w, "good", "");
    assert_error(&w, "packed", "");
    assert_error(&w, "endless", "body size limit exceeded");
    assert_error(&w, "line", "body size limit exceeded");
    assert_error(&w, "bomb", "body size limit exceeded");
    assert_error(&w, "missing", "server returned HTTP status 404 Not Found");
    assert_error(&w, "garbage", "expected a valid start token");
    assert_error(&w, "utf8", "invalid UTF-8 label value: ");
    assert_error(&w, "loop", "Get \"/loop\": stopped after 10 redirects");
    snprintf(url, sizeof url, "Get \"http://%s/hang\": context deadline exceeded", w.address);
    assert_error(&w, "hang", url);
    assert_error(&w, "blank", "non-compliant scrape target sending blank Content-Type");
    assert_error(&w, "vanish", "unexpected EOF");
    snprintf(url, sizeof url, "Get \"https://%s/tls\": ", w.address);
    assert_error(&w, "tls", url);
    /* Two shards, two bodies each at most, and what reading them needs. */
    assert_true(mem_bytes(MEM_SCRAPE) < 8 * BODY_BYTES_MAX);
    assert_int_equal(tally(&w, "some_metric").normal, 0);
    end(&w);
    assert_int_equal(released, 1);
    assert_int_equal(mem_bytes(MEM_SCRAPE), 0);
}

static void test_answers_however_framed(void **state)
{
    (void)state;
    struct world w;
    begin(&w);
    const char *const paths[] = {"/chunked", "/unframed", "/folded", "/moved", "/mute"};
    enum { COUNT = sizeof paths / sizeof paths[0] };
    struct scrape_config jobs[COUNT];
    for (int i = 0; i < COUNT; i++)
        jobs[i] = job(&w, paths[i]);
    apply(&w, jobs, COUNT);
    wait_for(&w, has_three, "chunked");
    wait_for(&w, has_three, "unframed");
    wait_for(&w, has_three, "folded");
    wait_for(&w, has_three, "good");
    char text[192];
    snprintf(text, sizeof text, "Get \"http://%s/mute\": EOF", w.address);
    assert_error(&w, "mute", text);
    end(&w);
    assert_int_equal(mem_bytes(MEM_SCRAPE), 0);
}

/* A kept connection that the peer ends instead of answering is no failure: the request is made
 * again on a new one. */
static void test_kept_connections_end(void **state)
{
    (void)state;
    struct world w;
    begin(&w);
    struct scrape_config forgetful = patient_job(&w, "/forgetful");
    apply(&w, &forgetful, 1);
    wait_for(&w, has_three, "forgetful");
    assert_int_equal(tally(&w, "forgetful").stale, 0);
    assert_true(requests >= 5);
    end(&w);
}

static void test_target_down(void **state)
{
    (void)state;
    struct world w;
    begin(&w);
    uint16_t port;
    int refusing = http_refusing_socket(&port);
    snprintf(w.address, sizeof w.address, "127.0.0.1:%u", port);
    w.address_label.value = str_from_cstr(w.address);
    struct scrape_config down = job(&w, "/good");
    apply(&w, &down, 1);
    wait_for(&w, all_scraped, "the target was scraped");
    char expected[256];
    snprintf(expected, sizeof expected,
             "Get \"http://%s/good\": dial tcp %s: connect: connection refused", w.address,
             w.address);
    assert_error(&w, "good", expected);
    end(&w);
    close(refusing);
}

static void test_removed_target_ends(void **state)
{
    (void)state;
    struct world w;
    begin(&w);
    struct scrape_config good = patient_job(&w, "/good");
    apply(&w, &good, 1);
    wait_for(&w, has_one, "good");
    assert_int_equal(released, 0);
    apply(&w, NULL, 0);
    wait_for(&w, has_stale, "good");
    wait_for(&w, has_stale, "up");
    assert_int_equal(tally(&w, "good").stale, 1);
    end(&w);
    assert_int_equal(released, 2);
}

static void test_reload(void **state)
{
    (void)state;
    struct world w;
    begin(&w);
    struct scrape_config good = patient_job(&w, "/good");
    apply(&w, &good, 1);
    wait_for(&w, has_one, "good");
    /* The same again: nothing happens, and the second configuration is not needed. */
    apply(&w, &good, 1);
    assert_int_equal(released, 1);
    /* The sample limit changed: the cache goes on, no marker is written. */
    struct scrape_config limited = good;
    limited.fingerprint = 2;
    limited.sample_limit = 1;
    answer_more = true;
    apply(&w, &limited, 1);
    wait_for(&w, fails_with, "sample limit exceeded");
    assert_int_equal(tally(&w, "good").stale, 0); /* it was seen before the limit was */
    limited.fingerprint = 3;
    limited.sample_limit = 2;
    apply(&w, &limited, 1);
    wait_for(&w, has_one, "more");
    /* More than a run-time value changed: series are asked for again. */
    limited.fingerprint = 4;
    limited.cache_fingerprint = 4;
    limited.honor_labels = true;
    answer_more = false;
    apply(&w, &limited, 1);
    wait_for(&w, has_stale, "more");
    end(&w);
    assert_int_equal(released, 5);
}

static void test_target_limit_and_views(void **state)
{
    (void)state;
    struct world w;
    begin(&w);
    struct label labels[4];
    struct labels targets[3];
    for (int i = 0; i < 3; i++)
        targets[i] = w.address_labels;
    labels[0] = w.address_label;
    labels[1] = (struct label){STR("zone"), STR("b")};
    targets[1] = (struct labels){labels, 2};
    w.group.targets = targets;
    w.group.target_count = 3; /* two of them equal */
    struct scrape_config limited = job(&w, "/good");
    limited.target_limit = 1;
    apply(&w, &limited, 1);
    wait_for(&w, all_scraped, "both targets failed");
    assert_error(&w, "good", "target_limit exceeded (number of targets: 2, limit: 1)");
    assert_int_equal(requests, 0);
    limited.fingerprint = 2;
    limited.target_limit = 2;
    apply(&w, &limited, 1);
    wait_for(&w, has_three, "good");
    struct arena arena;
    struct metadata_view metadata;
    arena_init(&arena, MEM_TEST, SIZE_MAX);
    scrape_manager_metadata(w.manager, STR("good"), &arena, &metadata);
    assert_true(metadata.count >= 1 && metadata.count <= 2);
    assert_int_equal(metadata.items[0].metadata.type, METADATA_GAUGE);
    struct targets_view view;
    scrape_manager_targets(w.manager, &arena, &view);
    assert_int_equal(view.active_count, 2);
    assert_int_equal(view.pool_count, 1);
    assert_int_equal(view.active[0].labels.count, 2);
    assert_int_equal(view.active[1].labels.count, 3);
    assert_true(view.active[0].interval_ms == INTERVAL_MS);
    arena_deinit(&arena);
    end(&w);
}

static bool has_two_targets(struct world *w, const char *text)
{
    (void)text;
    struct arena arena;
    struct targets_view view;
    arena_init(&arena, MEM_TEST, SIZE_MAX);
    scrape_manager_targets(w->manager, &arena, &view);
    size_t count = view.active_count;
    arena_deinit(&arena);
    return count == 2;
}

static bool has_one_target(struct world *w, const char *text)
{
    struct arena arena;
    struct targets_view view;
    (void)text;
    arena_init(&arena, MEM_TEST, SIZE_MAX);
    scrape_manager_targets(w->manager, &arena, &view);
    size_t count = view.active_count;
    arena_deinit(&arena);
    return count == 1;
}

static bool has_no_targets(struct world *w, const char *text)
{
    return !has_two_targets(w, text) && !all_scraped(w, text);
}

static void write_groups(const char *path, const char *address, bool two)
{
    char temporary[128];
    snprintf(temporary, sizeof temporary, "%s.tmp", path);
    FILE *file = fopen(temporary, "w");
    assert_non_null(file);
    fprintf(file, "[{\"targets\":[\"%s\"]}", address);
    if (two)
        fprintf(file, ",{\"targets\":[\"%s\"],\"labels\":{\"zone\":\"z\"}}", address);
    fputs("]", file);
    fclose(file);
    assert_int_equal(rename(temporary, path), 0);
}

static void test_file_discovery(void **state)
{
    (void)state;
    struct world w;
    begin(&w);
    char folder[] = "/tmp/narthex-manager-XXXXXX";
    assert_non_null(mkdtemp(folder));
    char path[64];
    snprintf(path, sizeof path, "%s/targets.json", folder);
    const struct str files[] = {str_from_cstr(path)};
    const struct file_discovery_config file = {files, 1, 300000};
    const struct discovery_config discovery = {STR("file"), true, &file, 1};
    const struct discovery_config other_discovery = {STR("file"), true, &file, 2};
    struct scrape_config found = job(&w, "/good");
    found.static_group_count = 0;
    found.discovery = &discovery;
    found.discovery_count = 1;
    apply(&w, &found, 1);
    write_groups(path, w.address, true);
    wait_for(&w, has_two_targets, "two targets");
    wait_for(&w, has_one, "good");
    /* Another configuration of the job: discovery goes on. */
    struct scrape_config other_job = found;
    other_job.fingerprint = 2;
    apply(&w, &other_job, 1);
    assert_true(has_two_targets(&w, ""));
    write_groups(path, w.address, false);
    wait_for(&w, has_one_target, "one target");
    write_groups(path, w.address, true);
    wait_for(&w, has_two_targets, "two targets again");
    /* Another configuration of discovery: the targets stay while the file is read again. */
    struct scrape_config other_both = other_job;
    other_both.fingerprint = 3;
    other_both.discovery = &other_discovery;
    apply(&w, &other_both, 1);
    assert_true(has_two_targets(&w, ""));
    assert_int_equal(unlink(path), 0);
    wait_for(&w, has_no_targets, "no targets");
    wait_for(&w, has_stale, "up");
    end(&w);
    struct strbuf why = STRBUF_INIT;
    assert_int_equal(fs_remove_tree(fs_system(), folder, &why), OK);
    strbuf_deinit(&why);
}

int main(void)
{
    /* A test that fails leaves threads at work on what it had: the program ends there and says so,
     * instead of without a word in the next test. */
    setenv("CMOCKA_TEST_ABORT", "1", 1);
    pack_bomb();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hostile_targets_disturb_nobody),
        cmocka_unit_test(test_answers_however_framed),
        cmocka_unit_test(test_kept_connections_end),
        cmocka_unit_test(test_target_down),
        cmocka_unit_test(test_removed_target_ends),
        cmocka_unit_test(test_reload),
        cmocka_unit_test(test_target_limit_and_views),
        cmocka_unit_test(test_file_discovery),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
