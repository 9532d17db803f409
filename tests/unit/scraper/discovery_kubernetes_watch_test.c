#include "discovery_kubernetes_watch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static const int64_t ms = 1000000;

struct rig {
    struct kubernetes_cache cache;
    struct kubernetes_watch watch;
    int64_t now_ns;
    size_t piece; /* bodies come in pieces of this many bytes */
    struct strbuf url;
    struct strbuf why;
};

static void rig_init(struct rig *rig, const char *space)
{
    *rig = (struct rig){.now_ns = 1000 * ms, .piece = 7};
    kubernetes_cache_init(&rig->cache, 1 << 20);
    kubernetes_watch_init(&rig->watch, KUBERNETES_POD, 0, str_from_cstr(space), &rig->cache, 42);
}

static void rig_deinit(struct rig *rig)
{
    kubernetes_watch_deinit(&rig->watch);
    kubernetes_cache_deinit(&rig->cache);
    strbuf_deinit(&rig->url);
    strbuf_deinit(&rig->why);
}

/* The next request, sent as soon as it may be; returns its path. */
static const char *begin(struct rig *rig)
{
    if (rig->watch.due_ns > rig->now_ns)
        rig->now_ns = rig->watch.due_ns;
    strbuf_clear(&rig->url);
    kubernetes_watch_begin(&rig->watch, rig->now_ns, &rig->url);
    return strbuf_cstr(&rig->url);
}

static bool take(struct rig *rig, uint32_t status, const char *body)
{
    for (size_t at = 0, size = strlen(body); at < size; at += rig->piece) {
        size_t left = size - at;
        if (!kubernetes_watch_take(&rig->watch, status, body + at,
                                   left < rig->piece ? left : rig->piece))
            return false;
    }
    return true;
}

static err_t end_with(struct rig *rig, struct kubernetes_answer answer)
{
    strbuf_clear(&rig->why);
    return kubernetes_watch_end(&rig->watch, &answer, rig->now_ns, &rig->why);
}

static err_t end(struct rig *rig, uint32_t status)
{
    return end_with(
        rig, (struct kubernetes_answer){.status = status, .retry_after_s = -1, .reason = "Reason"});
}

static err_t answer(struct rig *rig, uint32_t status, const char *body)
{
    (void)begin(rig);
    (void)take(rig, status, body);
    return end(rig, status);
}

#define POD(name, ip)                                                                              \
    "{\"metadata\":{\"name\":\"" name "\",\"namespace\":\"a\",\"resourceVersion\":\"9\"},"         \
    "\"status\":{\"podIP\":\"" ip "\"}}"
#define LIST(version, items)                                                                       \
    "{\"metadata\":{\"resourceVersion\":\"" version "\"},\"items\":[" items "]}"
#define EVENT(type, object) "{\"type\":\"" type "\",\"object\":" object "}\n"

static const char *ip_of(const struct rig *rig, const char *name)
{
    const struct kubernetes_object *found =
        kubernetes_cache_find(&rig->cache, KUBERNETES_POD, STR("a"), str_from_cstr(name));
    static char text[64];
    if (found == NULL)
        return NULL;
    struct str ip = ((const struct kubernetes_pod *)found)->ip;
    memcpy(text, ip.data, ip.size);
    text[ip.size] = '\0';
    return text;
}

static void test_pages_and_events(void **state)
{
    (void)state;
    struct rig rig;
    rig_init(&rig, "a b");
    rig.watch.label_selector = STR("app=x,!y");
    rig.watch.field_selector = STR("spec.nodeName=n");
    assert_string_equal(begin(&rig), "/api/v1/namespaces/a%20b/pods?limit=500&labelSelector="
                                     "app%3Dx%2C%21y&fieldSelector=spec.nodeName%3Dn");
    assert_true(
        take(&rig, 200,
             "{\"metadata\":{\"resourceVersion\":\"5\",\"continue\":\"t/1\"},\"items\":[" POD(
                 "p", "1.1.1.1") "]}"));
    assert_int_equal(end(&rig, 200), OK);
    assert_false(rig.watch.synced);
    assert_null(ip_of(&rig, "p")); /* a part of a list is no list */
    assert_int_equal(rig.watch.due_ns, rig.now_ns);

    assert_string_equal(begin(&rig),
                        "/api/v1/namespaces/a%20b/pods?limit=500&continue=t%2F1&labelSelector="
                        "app%3Dx%2C%21y&fieldSelector=spec.nodeName%3Dn");
    assert_true(take(&rig, 200, LIST("6", POD("q", "2.2.2.2"))));
    assert_int_equal(end(&rig, 200), OK);
    assert_true(rig.watch.synced);
    assert_string_equal(ip_of(&rig, "p"), "1.1.1.1");
    assert_string_equal(ip_of(&rig, "q"), "2.2.2.2");
    assert_int_equal(rig.watch.changes.added, 2);

    assert_non_null(strstr(begin(&rig), "watch=true&allowWatchBookmarks=true&timeoutSeconds="));
    assert_non_null(strstr(strbuf_cstr(&rig.url), "&resourceVersion=6&"));
    assert_true(take(&rig, 200, EVENT("MODIFIED", POD("p", "1.1.1.9"))));
    assert_string_equal(ip_of(&rig, "p"), "1.1.1.9");
    assert_true(take(&rig, 200, EVENT("DELETED", POD("q", "2.2.2.2"))));
    assert_true(take(&rig, 200, EVENT("ADDED", POD("r", "3.3.3.3"))));
    assert_true(
        take(&rig, 200,
             EVENT("BOOKMARK", "{\"kind\":\"Pod\",\"metadata\":{\"resourceVersion\":\"77\"}}")));
    assert_null(ip_of(&rig, "q"));
    assert_string_equal(ip_of(&rig, "r"), "3.3.3.3");
    rig.now_ns += 60000 * ms;
    assert_int_equal(end(&rig, 200), OK);
    assert_int_equal(rig.watch.due_ns, rig.now_ns); /* at once, from where it was */
    assert_non_null(strstr(begin(&rig), "&resourceVersion=77&"));
    rig_deinit(&rig);
}

static void test_unchanged_objects(void **state)
{
    (void)state;
    struct rig rig;
    rig_init(&rig, "");
    assert_int_equal(answer(&rig, 200, LIST("1", POD("p", "1.1.1.1"))), OK);
    uint64_t version = rig.cache.version;
    (void)begin(&rig);
    assert_true(take(&rig, 200, EVENT("MODIFIED", POD("p", "1.1.1.1"))));
    assert_int_equal(rig.watch.changes.updated, 1);
    assert_int_equal(rig.cache.version, version); /* nothing that labels show */
    assert_int_equal(end(&rig, 410), ERR_NOT_FOUND);
    assert_int_equal(answer(&rig, 200, LIST("2", POD("p", "1.1.1.1"))), OK);
    assert_int_equal(rig.cache.version, version);
    rig_deinit(&rig);
}

static void test_expired(void **state)
{
    (void)state;
    struct rig rig;
    rig_init(&rig, "");
    assert_int_equal(answer(&rig, 200, LIST("1", POD("p", "1.1.1.1") "," POD("q", "2.2.2.2"))), OK);
    assert_int_equal(answer(&rig, 410, "{\"message\":\"too old\"}"), ERR_NOT_FOUND);
    assert_string_equal(strbuf_cstr(&rig.why), "server returned HTTP status 410 Reason: too old");
    assert_int_equal(rig.watch.due_ns, rig.now_ns); /* listed at once */
    assert_string_equal(begin(&rig), "/api/v1/pods?limit=500");
    assert_string_equal(ip_of(&rig, "q"), "2.2.2.2");
    assert_true(take(&rig, 200, LIST("9", POD("p", "1.1.1.1"))));
    assert_int_equal(end(&rig, 200), OK);
    assert_null(ip_of(&rig, "q"));
    /* A server to which everything is too old is not asked without pause. */
    assert_int_equal(answer(&rig, 200,
                            EVENT("ADDED", POD("s", "4.4.4.4"))
                                EVENT("ERROR", "{\"code\":410,\"message\":\"gone\"}")),
                     ERR_NOT_FOUND);
    assert_string_equal(strbuf_cstr(&rig.why), "the server ended the watch: gone (410)");
    assert_true(rig.watch.due_ns >= rig.now_ns + 800 * ms);
    assert_string_equal(begin(&rig), "/api/v1/pods?limit=500");
    rig_deinit(&rig);
}

static void test_back_off(void **state)
{
    (void)state;
    struct rig rig;
    rig_init(&rig, "");
    int64_t waited_ms = 0;
    for (int i = 0; i < 10; i++) {
        (void)begin(&rig);
        assert_int_equal(
            end_with(&rig, (struct kubernetes_answer){.retry_after_s = -1, .transport = "refused"}),
            ERR_IO);
        assert_string_equal(strbuf_cstr(&rig.why), "refused");
        waited_ms = (rig.watch.due_ns - rig.now_ns) / ms;
        int64_t base = i < 6 ? 800 << i : 30000;
        base = base > 30000 ? 30000 : base;
        assert_in_range(waited_ms, base, 2 * base);
    }
    /* The server says how long. */
    (void)begin(&rig);
    assert_int_equal(end_with(&rig, (struct kubernetes_answer){.status = 429,
                                                               .retry_after_s = 100,
                                                               .reason = "Too Many Requests"}),
                     ERR_IO);
    assert_int_equal(rig.watch.due_ns, rig.now_ns + 100000 * ms);
    /* …within reason. */
    (void)begin(&rig);
    (void)end_with(&rig, (struct kubernetes_answer){
                             .status = 503, .retry_after_s = INT64_MAX, .reason = "Unavailable"});
    assert_int_equal(rig.watch.due_ns, rig.now_ns + 300000 * ms);
    rig_deinit(&rig);
}

static void test_watch_goes_on(void **state)
{
    (void)state;
    struct rig rig;
    rig_init(&rig, "");
    assert_int_equal(answer(&rig, 200, LIST("5", POD("p", "1.1.1.1"))), OK);
    /* A broken connection, a full server and a broken event do not need a new list. */
    (void)begin(&rig);
    assert_true(take(&rig, 200, EVENT("BOOKMARK", "{\"metadata\":{\"resourceVersion\":\"8\"}}")));
    assert_int_equal(end_with(&rig, (struct kubernetes_answer){.status = 200,
                                                               .retry_after_s = -1,
                                                               .reason = "OK",
                                                               .transport = "reset"}),
                     ERR_IO);
    assert_non_null(strstr(begin(&rig), "watch=true"));
    assert_int_equal(end(&rig, 429), ERR_IO);
    assert_non_null(strstr(begin(&rig), "watch=true"));
    assert_true(take(&rig, 200, "{\"type\":\"ADDED\",\"obj"));
    assert_int_equal(end(&rig, 200), ERR_INVALID);
    assert_non_null(strstr(begin(&rig), "&resourceVersion=8"));
    /* The time asked for is over: no fault. */
    rig.now_ns += 400000 * ms;
    assert_int_equal(end_with(&rig, (struct kubernetes_answer){.status = 200,
                                                               .retry_after_s = -1,
                                                               .reason = "OK",
                                                               .transport = "timeout",
                                                               .timed_out = true}),
                     OK);
    assert_int_equal(rig.watch.due_ns, rig.now_ns);
    /* Ended as soon as begun: a pause. */
    assert_int_equal(answer(&rig, 200, ""), OK);
    assert_true(rig.watch.due_ns >= rig.now_ns + 800 * ms);
    /* Forbidden: a list says more. */
    assert_int_equal(answer(&rig, 403, "no json"), ERR_IO);
    assert_string_equal(begin(&rig), "/api/v1/pods?limit=500");
    assert_string_equal(ip_of(&rig, "p"), "1.1.1.1");
    rig_deinit(&rig);
}

static void test_broken_lists(void **state)
{
    (void)state;
    static const struct {
        const char *body;
        err_t err;
        const char *why;
    } cases[] = {
        {"{\"metadata\":{\"resourceVersion\":\"2\"},\"items\":[" POD("x", "9.9.9.9"), ERR_INVALID,
         "json: unexpected end"},
        {"{\"items\":[" POD("x", "9.9.9.9") "]}", ERR_INVALID, "no metadata.resourceVersion"},
        {LIST("2", POD("x", "9.9.9.9") ",{}"), ERR_INVALID, "no metadata.name"},
        {LIST("2", POD("x", "9.9.9.9") ",7"), ERR_INVALID, "no metadata.name"},
        {LIST("2", POD("x", "9.9.9.9") ",{\"a\":}"), ERR_INVALID, "json: "},
        {LIST("2", POD("x", "9.9.9.9") ",{\"a\":\"\xff\"}"), ERR_INVALID, "json: "},
        {"[]", ERR_INVALID, "json: unexpected"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct rig rig;
        rig_init(&rig, "");
        assert_int_equal(answer(&rig, 200, LIST("1", POD("p", "1.1.1.1"))), OK);
        assert_int_equal(answer(&rig, 410, ""), ERR_NOT_FOUND);
        size_t bytes = rig.cache.bytes;
        assert_int_equal(answer(&rig, 200, cases[i].body), cases[i].err);
        if (strstr(strbuf_cstr(&rig.why), cases[i].why) == NULL)
            fail_msg("%s: %s", cases[i].body, strbuf_cstr(&rig.why));
        assert_null(ip_of(&rig, "x"));
        assert_string_equal(ip_of(&rig, "p"), "1.1.1.1");
        assert_int_equal(rig.cache.bytes, bytes);
        assert_true(rig.watch.due_ns > rig.now_ns);
        rig_deinit(&rig);
    }
}

/* Lists without end, in objects and in pages: an error, and the memory is given back. */
static void test_endless_lists(void **state)
{
    (void)state;
    struct rig rig;
    rig_init(&rig, "");
    assert_int_equal(answer(&rig, 200, LIST("1", POD("p", "1.1.1.1"))), OK);
    assert_int_equal(answer(&rig, 410, ""), ERR_NOT_FOUND);
    size_t bytes = rig.cache.bytes;
    (void)begin(&rig);
    rig.piece = 1000;
    assert_true(take(&rig, 200, "{\"items\":["));
    bool taken = true;
    uint32_t count = 0;
    for (; taken && count < 100000; count++) {
        char item[256];
        (void)snprintf(item, sizeof item, POD("x%u", "9.9.9.9") ",", count);
        taken = take(&rig, 200, item);
    }
    assert_false(taken);
    assert_true(rig.cache.bytes <= rig.cache.bytes_max);
    assert_int_equal(end(&rig, 200), ERR_LIMIT);
    assert_non_null(strstr(strbuf_cstr(&rig.why), "objects take more than 1048576 bytes"));
    assert_int_equal(rig.cache.bytes, bytes);

    err_t err = OK;
    for (count = 0; err == OK && count < 100000; count++)
        err = answer(&rig, 200,
                     "{\"metadata\":{\"resourceVersion\":\"1\",\"continue\":\"again\"},"
                     "\"items\":[]}");
    assert_int_equal(err, ERR_LIMIT);
    assert_int_equal(count, KUBERNETES_PAGES_MAX);
    assert_string_equal(ip_of(&rig, "p"), "1.1.1.1");
    rig_deinit(&rig);
}

/* One object of a tenant that is too long hides none of the others. */
static void test_long_objects(void **state)
{
    (void)state;
    struct rig rig;
    rig_init(&rig, "");
    rig.piece = 4096;
    struct strbuf body = STRBUF_INIT;
    strbuf_add_cstr(&body, "{\"metadata\":{\"resourceVersion\":\"1\"},\"items\":[" POD(
                               "p", "1.1.1.1") ",{\"metadata\":{\"name\":\"long\",\"annotations\":{"
                                               "\"a\":\"");
    for (int i = 0; i < KUBERNETES_OBJECT_BYTES_MAX; i++)
        strbuf_add_char(&body, 'x');
    strbuf_add_cstr(&body, "\"}}}," POD("q", "2.2.2.2") "]}");
    assert_int_equal(answer(&rig, 200, strbuf_cstr(&body)), OK);
    assert_string_equal(ip_of(&rig, "p"), "1.1.1.1");
    assert_string_equal(ip_of(&rig, "q"), "2.2.2.2");
    assert_int_equal(rig.watch.left_out, 1);
    strbuf_deinit(&body);
    rig_deinit(&rig);
}

static void test_lying_versions(void **state)
{
    (void)state;
    struct rig rig;
    rig_init(&rig, "");
    /* Versions are nothing to compare: smaller ones and strange ones are asked for as they came. */
    assert_int_equal(answer(&rig, 200, LIST("900", "")), OK);
    (void)begin(&rig);
    assert_true(take(&rig, 200, EVENT("BOOKMARK", "{\"metadata\":{\"resourceVersion\":\"3\"}}")));
    assert_true(take(&rig, 200, EVENT("BOOKMARK", "{\"metadata\":{\"resourceVersion\":\"a b\"}}")));
    assert_true(take(&rig, 200, EVENT("BOOKMARK", "{\"metadata\":{}}")));
    rig.now_ns += 60000 * ms;
    assert_int_equal(end(&rig, 200), OK);
    assert_non_null(strstr(begin(&rig), "&resourceVersion=a%20b"));
    /* One without end is refused. */
    struct strbuf event = STRBUF_INIT;
    strbuf_add_cstr(&event,
                    "{\"type\":\"BOOKMARK\",\"object\":{\"metadata\":{\"resourceVersion\":\"");
    for (int i = 0; i < 40000; i++)
        strbuf_add_char(&event, '1');
    strbuf_add_cstr(&event, "\"}}}");
    assert_false(take(&rig, 200, strbuf_cstr(&event)));
    assert_int_equal(end(&rig, 200), ERR_LIMIT);
    strbuf_deinit(&event);
    rig_deinit(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pages_and_events), cmocka_unit_test(test_unchanged_objects),
        cmocka_unit_test(test_expired),          cmocka_unit_test(test_back_off),
        cmocka_unit_test(test_watch_goes_on),    cmocka_unit_test(test_broken_lists),
        cmocka_unit_test(test_endless_lists),    cmocka_unit_test(test_lying_versions),
        cmocka_unit_test(test_long_objects),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
