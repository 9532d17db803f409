/* Requests and answers of scrapes that go without curl, and the connections they are kept on. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "http_wire_pool.h"
#include "http_wire_reader.h"
#include "http_wire_request.h"

/* ---- answers ---- */

struct answer {
    struct http_wire_reader reader;
    struct http_answer head;
    struct strbuf body;
    size_t limit;
};

static bool take(void *context, const char *data, size_t size)
{
    struct answer *a = context;
    strbuf_add(&a->body, data, size);
    return a->body.size <= a->limit;
}

/* Reads a text in pieces of `step` bytes. */
static enum http_wire_verdict read_in_steps(struct answer *a, struct str text, size_t step)
{
    enum http_wire_verdict verdict = HTTP_WIRE_MORE;
    strbuf_clear(&a->body);
    http_wire_reader_start(&a->reader, &a->head, take, a);
    for (size_t at = 0; at < text.size && verdict == HTTP_WIRE_MORE; at += step)
        verdict = http_wire_reader_take(&a->reader, text.data + at,
                                        text.size - at < step ? text.size - at : step);
    return verdict;
}

/* However it is cut into pieces. */
static void assert_reads(const char *text, enum http_wire_verdict expected, const char *body,
                         bool keeps)
{
    struct answer a = {.limit = SIZE_MAX};
    struct str all = str_from_cstr(text);
    for (size_t step = 1; step <= all.size; step++) {
        enum http_wire_verdict verdict = read_in_steps(&a, all, step);
        if (verdict != expected)
            fail_msg("verdict %d for pieces of %zu bytes of:\n%s", verdict, step, text);
        if (expected == HTTP_WIRE_ODD)
            continue;
        assert_string_equal(strbuf_cstr(&a.body), body);
        assert_int_equal(http_wire_reader_keeps(&a.reader), keeps);
    }
    http_wire_reader_deinit(&a.reader);
    strbuf_deinit(&a.body);
}

#define OK_LINE "HTTP/1.1 200 OK\r\n"

static void test_bodies_by_length(void **state)
{
    (void)state;
    assert_reads(OK_LINE "Content-Length: 5\r\n\r\na 1\n\n", HTTP_WIRE_DONE, "a 1\n\n", true);
    assert_reads(OK_LINE "content-length:0\r\n\r\n", HTTP_WIRE_DONE, "", true);
    assert_reads("HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\nno", HTTP_WIRE_DONE, "no",
                 true);
    assert_reads("HTTP/1.1 200\r\nContent-Length: 1\r\n\r\nx", HTTP_WIRE_DONE, "x", true);
    assert_reads("HTTP/1.1 204 No Content\r\n\r\n", HTTP_WIRE_DONE, "", true);
    assert_reads(OK_LINE "Content-Length: 5\r\n\r\na", HTTP_WIRE_MORE, "a", false);
    assert_reads(OK_LINE "Content-Length: 1\r\nConnection: x, Close\r\n\r\na", HTTP_WIRE_DONE, "a",
                 false);
    assert_reads("HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\na", HTTP_WIRE_DONE, "a", false);
    assert_reads("HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 1\r\n\r\na",
                 HTTP_WIRE_DONE, "a", true);
}

static void test_bodies_in_chunks(void **state)
{
    (void)state;
    const char *chunked = "Transfer-Encoding: chunked\r\n\r\n";
    char text[256];
    snprintf(text, sizeof text, OK_LINE "%s3\r\na 1\r\n00b;x=\"y\"\r\n\nb 2\nc 345\n\r\n0\r\n\r\n",
             chunked);
    assert_reads(text, HTTP_WIRE_DONE, "a 1\nb 2\nc 345\n", true);
    snprintf(text, sizeof text, OK_LINE "%s1\r\na\r\n0\r\nA: b\r\n\r\n", chunked);
    assert_reads(text, HTTP_WIRE_DONE, "a", true);
    const char *const odd[] = {"1\na\r\n0\r\n\r\n",    "x\r\n",       "\r\n",
                               "1\r\nab\r\n",          "1 \r\na\r\n", "0123456789abcdef\r\n",
                               "0\r\nno field\r\n\r\n"};
    for (size_t i = 0; i < sizeof odd / sizeof odd[0]; i++) {
        snprintf(text, sizeof text, OK_LINE "%s%s", chunked, odd[i]);
        assert_reads(text, HTTP_WIRE_ODD, "", false);
    }
}

static void test_odd_answers(void **state)
{
    (void)state;
    const char *const odd[] = {
        "hello there\n",
        "HTTP/2 200\r\n\r\n",
        "HTTP/1.1 20 OK\r\n\r\n",
        "HTTP/1.1 2000 OK\r\n\r\n",
        "HTTP/1.1 100 Continue\r\n\r\n",
        "HTTP/1.1 101 Switching Protocols\r\n\r\n",
        "HTTP/1.1 200 OK\n\n",
        OK_LINE "A: b\r\n c\r\n\r\n",
        OK_LINE "A : b\r\n\r\n",
        OK_LINE "no field\r\n\r\n",
        OK_LINE ": b\r\n\r\n",
        OK_LINE "A: \x01\r\n\r\n",
        OK_LINE "Content-Length: 1\r\nContent-Length: 1\r\n\r\na",
        OK_LINE "Content-Length: +1\r\n\r\na",
        OK_LINE "Content-Length: \r\n\r\na",
        OK_LINE "Content-Length: 1234567890123456789\r\n\r\na",
        OK_LINE "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        OK_LINE "Transfer-Encoding: gzip\r\n\r\n",
        OK_LINE "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    };
    for (size_t i = 0; i < sizeof odd / sizeof odd[0]; i++)
        assert_reads(odd[i], HTTP_WIRE_ODD, "", false);
}

static void test_heads_are_bounded(void **state)
{
    (void)state;
    struct answer a = {.limit = SIZE_MAX};
    struct strbuf text = STRBUF_INIT;
    strbuf_add_cstr(&text, OK_LINE "A: ");
    while (text.size < HTTP_WIRE_HEAD_BYTES_MAX - 100)
        strbuf_add_cstr(&text, "0123456789");
    strbuf_add_cstr(&text, "\r\nContent-Length: 0\r\n\r\n");
    assert_int_equal(read_in_steps(&a, strbuf_str(&text), 1000), HTTP_WIRE_DONE);
    strbuf_clear(&text);
    strbuf_add_cstr(&text, OK_LINE "A: ");
    while (text.size <= HTTP_WIRE_HEAD_BYTES_MAX)
        strbuf_add_cstr(&text, "0123456789");
    assert_int_equal(read_in_steps(&a, strbuf_str(&text), 1000), HTTP_WIRE_ODD);
    http_wire_reader_deinit(&a.reader);
    strbuf_deinit(&a.body);
    strbuf_deinit(&text);
}

static void test_fields_that_count(void **state)
{
    (void)state;
    struct answer a = {.limit = SIZE_MAX};
    struct str text = STR("HTTP/1.1 503 Service  Unavailable\r\nContent-Type:  text/plain \r\n"
                          "CONTENT-ENCODING: gzip\r\nContent-Length: 0\r\n"
                          "Content-Type: text/html\r\nContent-Encoding: identity\r\n\r\n");
    assert_int_equal(read_in_steps(&a, text, 7), HTTP_WIRE_DONE);
    assert_int_equal(a.head.status, 503);
    assert_string_equal(a.head.reason, "Service  Unavailable");
    assert_string_equal(a.head.content_type, "text/plain");
    assert_string_equal(a.head.content_encoding, "gzip");
    /* The first counts, even when it says nothing. */
    text = STR(OK_LINE "Content-Encoding:\r\nContent-Encoding: gzip\r\nContent-Length: 0\r\n\r\n");
    assert_int_equal(read_in_steps(&a, text, 7), HTTP_WIRE_DONE);
    assert_string_equal(a.head.content_encoding, "");
    http_wire_reader_deinit(&a.reader);
}

static void test_ends_of_connections(void **state)
{
    (void)state;
    struct answer a = {.limit = 3};
    assert_int_equal(read_in_steps(&a, STR(OK_LINE), 100), HTTP_WIRE_MORE);
    assert_int_equal(http_wire_reader_close(&a.reader), HTTP_WIRE_ODD);
    assert_int_equal(read_in_steps(&a, STR(OK_LINE "Content-Length: 3\r\n\r\nab"), 100),
                     HTTP_WIRE_MORE);
    assert_int_equal(http_wire_reader_close(&a.reader), HTTP_WIRE_CUT);
    assert_int_equal(read_in_steps(&a, STR(OK_LINE "\r\nab"), 100), HTTP_WIRE_MORE);
    assert_int_equal(http_wire_reader_close(&a.reader), HTTP_WIRE_DONE);
    assert_false(http_wire_reader_keeps(&a.reader));
    /* More than was asked for spoils the connection; more than is wanted ends the reading. */
    assert_int_equal(read_in_steps(&a, STR(OK_LINE "Content-Length: 1\r\n\r\nabc"), 100),
                     HTTP_WIRE_DONE);
    assert_false(http_wire_reader_keeps(&a.reader));
    assert_int_equal(read_in_steps(&a, STR(OK_LINE "Content-Length: 9\r\n\r\nabcdef"), 100),
                     HTTP_WIRE_REFUSED);
    http_wire_reader_deinit(&a.reader);
    strbuf_deinit(&a.body);
}

/* ---- requests ---- */

static void assert_url(const char *url, const char *authority, const char *target)
{
    struct http_wire_url parsed;
    if (!http_wire_url_parse(str_from_cstr(url), &parsed)) {
        assert_null(authority);
        return;
    }
    assert_non_null(authority);
    assert_true(str_equal_cstr(parsed.authority, authority));
    assert_true(str_equal_cstr(parsed.target, target));
}

static void test_plain_urls(void **state)
{
    (void)state;
    assert_url("http://h:9100/metrics?a=b%20c", "h:9100", "/metrics?a=b%20c");
    assert_url("http://node-1.example_x", "node-1.example_x", "");
    assert_url("http://[::1]:80?x", "[::1]:80", "?x");
    const char *const others[] = {"https://h/",    "http:///x",        "http://u@h/",
                                  "http://h:0/",   "http://h:65536",   "http://h:/",
                                  "http://[::1",   "http://h/a b",     "http://h/#x",
                                  "http://h/\xc3", "http://[::1%25e]/"};
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        assert_url(others[i], NULL, NULL);
}

static void assert_request(const struct http_client_config *config, const char *url,
                           const char *expected)
{
    struct http_client *client;
    struct http_wire_url parsed;
    struct strbuf text = STRBUF_INIT;
    const struct name_value header = {STR("Accept"), STR("*/*")};
    assert_int_equal(http_client_create(config, &client, &text), OK);
    assert_int_equal(http_client_is_plain(client), expected != NULL);
    if (expected != NULL) {
        assert_true(http_wire_url_parse(str_from_cstr(url), &parsed));
        http_wire_request_write(client, &parsed, &header, 1, &text);
        assert_string_equal(strbuf_cstr(&text), expected);
    }
    http_client_destroy(client);
    strbuf_deinit(&text);
}

static void test_requests(void **state)
{
    (void)state;
    struct http_client_config config = {0};
    assert_request(&config, "http://h:80", "GET / HTTP/1.1\r\nHost: h\r\nAccept: */*\r\n\r\n");
    config = (struct http_client_config){
        .has_basic_auth = true, .username = STR("me"), .password.value = STR("secret")};
    assert_request(&config, "http://h:1/m?x",
                   "GET /m?x HTTP/1.1\r\nHost: h:1\r\nAccept: */*\r\n"
                   "Authorization: Basic bWU6c2VjcmV0\r\n\r\n");
    config.password.value = STR("pass");
    assert_request(&config, "http://h?x",
                   "GET /?x HTTP/1.1\r\nHost: h\r\nAccept: */*\r\n"
                   "Authorization: Basic bWU6cGFzcw==\r\n\r\n");
    const struct str values[] = {STR("1"), STR("")};
    const struct http_header_config header = {
        .name = STR("X-Y"), .values = values, .value_count = 2};
    config = (struct http_client_config){.has_authorization = true,
                                         .credentials.value = STR("token"),
                                         .headers = &header,
                                         .header_count = 1};
    assert_request(&config, "http://h/",
                   "GET / HTTP/1.1\r\nHost: h\r\nAccept: */*\r\nAuthorization: Bearer token\r\n"
                   "X-Y: 1\r\nX-Y:\r\n\r\n");
}

static void test_requests_that_are_curls(void **state)
{
    (void)state;
    struct http_client_config config = {.has_authorization = true,
                                        .credentials.value = STR("two\r\nlines")};
    assert_request(&config, "", NULL);
    config.credentials = (struct secret_source){.file = STR("/a/file")};
    assert_request(&config, "", NULL);
    config = (struct http_client_config){.proxy.url = STR("http://p:1")};
    assert_request(&config, "", NULL);
    config = (struct http_client_config){.proxy.from_environment = true};
    assert_request(&config, "", NULL);
    const struct oauth2_config oauth2 = {.token_url = STR("http://t/")};
    config = (struct http_client_config){.oauth2 = &oauth2};
    assert_request(&config, "", NULL);
}

/* ---- connections ---- */

static int new_descriptor(void)
{
    int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    return fd;
}

static void test_connections_are_kept(void **state)
{
    (void)state;
    const int64_t minute_ns = INT64_C(60000000000);
    struct http_wire_pool pool;
    http_wire_pool_init(&pool);
    struct http_endpoint *a = http_wire_pool_hold(&pool, STR("a:1"));
    struct http_endpoint *b = http_wire_pool_hold(&pool, STR("b:1"));
    assert_ptr_equal(http_wire_pool_hold(&pool, STR("a:1")), a);
    assert_null(http_wire_take(&pool, a, 0));
    struct http_wire *first = http_wire_open(&pool, a, new_descriptor());
    struct http_wire *second = http_wire_open(&pool, a, new_descriptor());
    int fd = second->fd;
    assert_ptr_equal(http_wire_find(&pool, fd), second);
    http_wire_keep(first, 0);
    http_wire_keep(second, minute_ns);
    assert_null(http_wire_take(&pool, b, 0));
    assert_ptr_equal(http_wire_take(&pool, a, 2 * minute_ns), second);
    http_wire_keep(second, 2 * minute_ns);
    /* The first one has been idle for more than five minutes, the second has not. */
    http_wire_pool_reap(&pool, 6 * minute_ns);
    assert_ptr_equal(http_wire_take(&pool, a, 6 * minute_ns), second);
    assert_null(http_wire_take(&pool, a, 6 * minute_ns));
    http_wire_keep(second, 6 * minute_ns);
    assert_null(http_wire_take(&pool, a, 12 * minute_ns));
    assert_null(http_wire_find(&pool, fd));
    assert_int_equal(fcntl(fd, F_GETFD), -1);
    http_wire_pool_release(&pool, a);
    struct http_wire *last = http_wire_open(&pool, a, new_descriptor());
    fd = last->fd;
    http_wire_keep(last, 0);
    http_wire_pool_release(&pool, a); /* its last user */
    assert_int_equal(fcntl(fd, F_GETFD), -1);
    http_wire_pool_release(&pool, b);
    http_wire_pool_deinit(&pool);
    assert_int_equal(mem_bytes(MEM_SCRAPE), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bodies_by_length),
        cmocka_unit_test(test_bodies_in_chunks),
        cmocka_unit_test(test_odd_answers),
        cmocka_unit_test(test_heads_are_bounded),
        cmocka_unit_test(test_fields_that_count),
        cmocka_unit_test(test_ends_of_connections),
        cmocka_unit_test(test_plain_urls),
        cmocka_unit_test(test_requests),
        cmocka_unit_test(test_requests_that_are_curls),
        cmocka_unit_test(test_connections_are_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
