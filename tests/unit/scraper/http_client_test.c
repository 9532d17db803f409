#include "narthex/scraper/http_client.h"

#include <curl/curl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "scripted_server.h"

enum { ANSWER_MS_MAX = 60000 }; /* an answer comes at once; a busy machine may be late */

static _Atomic int token_requests;
static _Atomic int hops;

static bool handle(void *context, struct http_server_request *request)
{
    (void)context;
    const char *path = request->path;
    if (strncmp(path, "/echo", 5) == 0)
        return http_server_answer(request, "200 OK", "Content-Type: text/plain\r\n",
                                  str_from_cstr(request->head));
    if (strncmp(path, "/missing", 8) == 0)
        return http_server_answer(request, "404 Not Found", "", STR("no"));
    if (strncmp(path, "/loop", 5) == 0) {
        hops++;
        return http_server_answer(request, "302 Found", "Location: /loop\r\n", STR(""));
    }
    if (strncmp(path, "/to=", 4) == 0) {
        char location[256];
        snprintf(location, sizeof location, "Location: %.*s\r\n", (int)strcspn(path + 4, " "),
                 path + 4);
        return http_server_answer(request, "302 Found", location, STR("moved"));
    }
    if (strncmp(path, "/token", 6) == 0) {
        int number = ++token_requests;
        char body[128];
        int size =
            snprintf(body, sizeof body,
                     "{\"access_token\":\"t%d\",\"token_type\":\"bearer\",\"expires_in\":%d}",
                     number, number == 1 ? 5 : 3600);
        return http_server_answer(request, "200 OK", "Content-Type: application/json\r\n",
                                  str_from(body, (size_t)size));
    }
    if (strncmp(path, "/close", 6) == 0)
        return false;
    if (strncmp(path, "/part", 5) == 0) {
        http_server_send(request, "HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nabc", 41);
        return false;
    }
    if (strncmp(path, "/nonsense", 9) == 0) {
        http_server_send(request, "hello there\n", 12);
        return false;
    }
    http_server_hang(request);
    return false;
}

struct exchange {
    struct http_server *server;
    struct http_client_config config;
    struct http_answer answer;
    struct strbuf body;
    struct strbuf why;
    char url[128];
};

static void begin(struct exchange *x)
{
    *x = (struct exchange){.server = http_server_start(handle, NULL),
                           .config = {.follow_redirects = true, .enable_http2 = true}};
}

static void end(struct exchange *x)
{
    http_server_stop(x->server);
    strbuf_deinit(&x->body);
    strbuf_deinit(&x->why);
}

static err_t fetch(struct exchange *x, const char *path, int64_t timeout_ms)
{
    struct http_client *client;
    assert_int_equal(http_client_create(&x->config, &client, &x->why), OK);
    snprintf(x->url, sizeof x->url, "http://127.0.0.1:%u%s", http_server_port(x->server), path);
    struct http_request request = {.url = str_from_cstr(x->url), .timeout_ms = timeout_ms};
    strbuf_clear(&x->body);
    err_t err = http_client_fetch(client, &request, 1 << 20, &x->answer, &x->body, &x->why);
    http_client_destroy(client);
    return err;
}

static void assert_sent(const struct exchange *x, const char *text)
{
    if (strstr(strbuf_cstr(&x->body), text) == NULL)
        fail_msg("\"%s\" is not in:\n%s", text, strbuf_cstr(&x->body));
}

static void assert_fails(struct exchange *x, const char *path, int64_t timeout_ms,
                         const char *after_url)
{
    assert_true(fetch(x, path, timeout_ms) != OK);
    char expected[512];
    snprintf(expected, sizeof expected, "Get \"%s\": %s", x->url, after_url);
    assert_string_equal(strbuf_cstr(&x->why), expected);
}

static void test_statuses_are_answers(void **state)
{
    (void)state;
    struct exchange x;
    begin(&x);
    assert_int_equal(fetch(&x, "/missing", ANSWER_MS_MAX), OK);
    assert_int_equal(x.answer.status, 404);
    assert_string_equal(x.answer.reason, "Not Found");
    assert_int_equal(fetch(&x, "/echo", ANSWER_MS_MAX), OK);
    assert_string_equal(x.answer.content_type, "text/plain");
    end(&x);
}

static void test_failures_read_like_gos(void **state)
{
    (void)state;
    struct exchange x;
    begin(&x);
    assert_fails(&x, "/hang", 200, "context deadline exceeded");
    assert_fails(&x, "/close", ANSWER_MS_MAX, "EOF");
    assert_fails(&x, "/nonsense", ANSWER_MS_MAX,
                 "net/http: HTTP/1.x transport connection broken: malformed HTTP response");
    assert_int_equal(fetch(&x, "/part", ANSWER_MS_MAX), ERR_IO);
    assert_string_equal(strbuf_cstr(&x.why), "unexpected EOF");
    end(&x);
}

static void assert_redirect_fails(struct exchange *x, const char *path, const char *expected)
{
    assert_true(fetch(x, path, ANSWER_MS_MAX) != OK);
    assert_string_equal(strbuf_cstr(&x->why), expected);
}

static void test_redirects(void **state)
{
    (void)state;
    struct exchange x;
    begin(&x);
    char text[256];
    hops = 0;
    assert_redirect_fails(&x, "/loop", "Get \"/loop\": stopped after 10 redirects");
    assert_int_equal(hops, 10);
    assert_redirect_fails(&x, "/to=ftp://h/x",
                          "Get \"ftp://h/x\": unsupported protocol scheme \"ftp\"");
    snprintf(text, sizeof text,
             "Get \"http://127.0.0.1:%u/to=http://[\": failed to parse Location header "
             "\"http://[\": ",
             http_server_port(x.server));
    assert_true(fetch(&x, "/to=http://[", ANSWER_MS_MAX) != OK);
    assert_true(str_starts_with(strbuf_str(&x.why), str_from_cstr(text)));
    /* Without a place to go, or not wanted: it is the answer. */
    assert_int_equal(fetch(&x, "/to=", ANSWER_MS_MAX), OK);
    assert_int_equal(x.answer.status, 302);
    x.config.follow_redirects = false;
    assert_int_equal(fetch(&x, "/to=/echo", ANSWER_MS_MAX), OK);
    assert_int_equal(x.answer.status, 302);
    x.config.follow_redirects = true;
    /* What stands in a redirect's body is not the answer's. */
    assert_int_equal(fetch(&x, "/to=/echo?a=b%20c", ANSWER_MS_MAX), OK);
    assert_int_equal(x.answer.status, 200);
    assert_true(str_starts_with(strbuf_str(&x.body), STR("GET /echo?a=b%20c HTTP/1.1\r\n")));
    end(&x);
}

static void follow(struct exchange *x, const char *format, unsigned port, bool credentials)
{
    char path[256];
    snprintf(path, sizeof path, format, port, port);
    assert_int_equal(fetch(x, path, ANSWER_MS_MAX), OK);
    assert_int_equal(x->answer.status, 200);
    assert_int_equal(strstr(strbuf_cstr(&x->body), "Authorization: ") != NULL, credentials);
    assert_int_equal(strstr(strbuf_cstr(&x->body), "Cookie: c\r\n") != NULL, credentials);
    assert_int_equal(strstr(strbuf_cstr(&x->body), "Proxy-Token: p\r\n") != NULL, credentials);
    assert_int_equal(strstr(strbuf_cstr(&x->body), "X-Key: k\r\n") != NULL, credentials);
    assert_sent(x, "X-Plain: x\r\n");
}

/* To the same host, whatever the port; not to another one, nor on the way back from it. */
static void test_redirects_leak_no_credentials(void **state)
{
    (void)state;
    struct exchange x;
    begin(&x);
    struct http_server *other = http_server_start(handle, NULL);
    unsigned port = http_server_port(other);
    const struct str values[] = {STR_INIT("c"), STR_INIT("p"), STR_INIT("x"), STR_INIT("k")};
    const struct http_header_config headers[] = {
        {.name = STR("Cookie"), .values = &values[0], .value_count = 1},
        {.name = STR("Proxy-Token"), .values = &values[1], .value_count = 1},
        {.name = STR("X-Plain"), .values = &values[2], .value_count = 1},
        {.name = STR("X-Key"), .secrets = &values[3], .secret_count = 1},
    };
    x.config.headers = headers;
    x.config.header_count = 4;
    for (int kind = 0; kind < 2; kind++) {
        x.config.has_basic_auth = kind == 0;
        x.config.username = STR("user");
        x.config.has_authorization = kind == 1;
        x.config.credentials.value = STR("secret");
        follow(&x, "/to=/echo", port, true);
        follow(&x, "/to=http://127.0.0.1:%u/echo", port, true);
        follow(&x, "/to=http://localhost:%u/echo", port, false);
        follow(&x, "/to=http://localhost:%u/to=http://127.0.0.1:%u/echo", port, false);
    }
    http_server_stop(other);
    end(&x);
}

static void test_refused_connection(void **state)
{
    (void)state;
    struct exchange x;
    begin(&x);
    uint16_t port;
    int refusing = http_refusing_socket(&port);
    struct http_client *client;
    assert_int_equal(http_client_create(&x.config, &client, &x.why), OK);
    snprintf(x.url, sizeof x.url, "http://127.0.0.1:%u/", port);
    struct http_request request = {.url = str_from_cstr(x.url), .timeout_ms = ANSWER_MS_MAX};
    assert_int_equal(http_client_fetch(client, &request, 100, &x.answer, &x.body, &x.why), ERR_IO);
    char expected[256];
    snprintf(expected, sizeof expected,
             "Get \"%s\": dial tcp 127.0.0.1:%u: connect: connection refused", x.url, port);
    assert_string_equal(strbuf_cstr(&x.why), expected);
    request.unix_socket = STR("/nonexistent/socket");
    assert_int_equal(http_client_fetch(client, &request, 100, &x.answer, &x.body, &x.why), ERR_IO);
    snprintf(expected, sizeof expected,
             "Get \"%s\": dial unix /nonexistent/socket: connect: no such file or directory",
             x.url);
    assert_string_equal(strbuf_cstr(&x.why), expected);
    http_client_destroy(client);
    close(refusing);
    end(&x);
}

static void test_tls_against_plain_http(void **state)
{
    (void)state;
    struct exchange x;
    begin(&x);
    struct http_client *client;
    assert_int_equal(http_client_create(&x.config, &client, &x.why), OK);
    snprintf(x.url, sizeof x.url, "https://127.0.0.1:%u/nonsense", http_server_port(x.server));
    struct http_request request = {.url = str_from_cstr(x.url), .timeout_ms = 500};
    assert_true(http_client_fetch(client, &request, 100, &x.answer, &x.body, &x.why) != OK);
    assert_true(str_starts_with(strbuf_str(&x.why), STR("Get \"https://127.0.0.1:")));
    http_client_destroy(client);
    end(&x);
}

static void test_credentials_are_sent(void **state)
{
    (void)state;
    struct exchange x;
    begin(&x);
    x.config.has_basic_auth = true;
    x.config.username = STR("user");
    x.config.password.value = STR("pass");
    assert_int_equal(fetch(&x, "/echo", ANSWER_MS_MAX), OK);
    assert_sent(&x, "Authorization: Basic dXNlcjpwYXNz\r\n");
    x.config.has_basic_auth = false;
    x.config.has_authorization = true;
    x.config.authorization_type = STR("Bearer");
    x.config.credentials.value = STR("secret");
    const struct str values[] = {STR_INIT("1"), STR_INIT("2")};
    const struct http_header_config header = {
        .name = STR("X-Extra"), .values = values, .value_count = 2};
    x.config.headers = &header;
    x.config.header_count = 1;
    assert_int_equal(fetch(&x, "/echo", ANSWER_MS_MAX), OK);
    assert_sent(&x, "Authorization: Bearer secret\r\n");
    assert_sent(&x, "X-Extra: 1\r\n");
    assert_sent(&x, "X-Extra: 2\r\n");
    end(&x);
}

static void test_secret_files_are_read_every_time(void **state)
{
    (void)state;
    struct exchange x;
    begin(&x);
    char path[] = "/tmp/narthex-secret-XXXXXX";
    int fd = mkstemp(path);
    FILE *file = fdopen(fd, "w");
    fputs("  one\n", file);
    fflush(file);
    x.config.has_authorization = true;
    x.config.credentials.file = str_from_cstr(path);
    assert_int_equal(fetch(&x, "/echo", ANSWER_MS_MAX), OK);
    assert_sent(&x, "Authorization: Bearer one\r\n");
    rewind(file);
    fputs("  two\n", file);
    fclose(file);
    assert_int_equal(fetch(&x, "/echo", ANSWER_MS_MAX), OK);
    assert_sent(&x, "Authorization: Bearer two\r\n");
    remove(path);
    assert_true(fetch(&x, "/echo", ANSWER_MS_MAX) != OK);
    assert_non_null(strstr(strbuf_cstr(&x.why), "unable to read authorization credentials: "));
    end(&x);
}

static void test_oauth2_token_is_fetched_and_renewed(void **state)
{
    (void)state;
    struct exchange x;
    begin(&x);
    token_requests = 0;
    char token_url[128];
    snprintf(token_url, sizeof token_url, "http://127.0.0.1:%u/token", http_server_port(x.server));
    struct oauth2_config oauth2 = {.client_id = STR("id"),
                                   .client_secret.value = STR("s"),
                                   .token_url = str_from_cstr(token_url)};
    x.config.oauth2 = &oauth2;
    struct http_client *client;
    assert_int_equal(http_client_create(&x.config, &client, &x.why), OK);
    snprintf(x.url, sizeof x.url, "http://127.0.0.1:%u/echo", http_server_port(x.server));
    struct http_request request = {.url = str_from_cstr(x.url), .timeout_ms = ANSWER_MS_MAX};
    /* The first token lives too short to be used twice, the second one lasts. */
    const char *const expected[] = {"Bearer t1\r\n", "Bearer t2\r\n", "Bearer t2\r\n"};
    for (int i = 0; i < 3; i++) {
        strbuf_clear(&x.body);
        assert_int_equal(http_client_fetch(client, &request, 1 << 20, &x.answer, &x.body, &x.why),
                         OK);
        assert_sent(&x, expected[i]);
    }
    assert_int_equal(token_requests, 2);
    http_client_destroy(client);
    end(&x);
}

static void test_unusable_blocks(void **state)
{
    (void)state;
    struct http_client_config config = {.tls.ca_file = STR("/nonexistent/ca")};
    struct http_client *client;
    struct strbuf why = STRBUF_INIT;
    assert_int_equal(http_client_create(&config, &client, &why), ERR_NOT_FOUND);
    assert_string_equal(strbuf_cstr(&why), "unable to read CA cert: unable to read file "
                                           "/nonexistent/ca: open /nonexistent/ca: no such file or "
                                           "directory");
    strbuf_deinit(&why);
}

int main(void)
{
    curl_global_init(CURL_GLOBAL_DEFAULT);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_statuses_are_answers),
        cmocka_unit_test(test_failures_read_like_gos),
        cmocka_unit_test(test_redirects),
        cmocka_unit_test(test_redirects_leak_no_credentials),
        cmocka_unit_test(test_refused_connection),
        cmocka_unit_test(test_tls_against_plain_http),
        cmocka_unit_test(test_credentials_are_sent),
        cmocka_unit_test(test_secret_files_are_read_every_time),
        cmocka_unit_test(test_oauth2_token_is_fetched_and_renewed),
        cmocka_unit_test(test_unusable_blocks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
