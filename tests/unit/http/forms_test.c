/* Bodies of multipart forms, and what Accept asks for. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "negotiate.h"
#include "request.h"

static void init(struct http_request *request)
{
    *request = (struct http_request){0};
    arena_init(&request->arena, MEM_HTTP, SIZE_MAX);
}

static const char type[] = "multipart/form-data; charset=utf-8; boundary=\"x y\"";
static const char body[] = "preamble\r\n--x y\r\n"
                           "Content-Disposition: form-data; name=\"query\"\r\n\r\n"
                           "a{b=\"--x\"}\r\n\r\n"
                           "--x y\r\n"
                           "Content-Type: text/plain\r\n"
                           "content-disposition: form-data; NAME=\"ti\\\"me\"\r\n\r\n"
                           "\r\n"
                           "--x y\r\n"
                           "Content-Disposition: form-data; name=\"f\"; filename=\"x\"\r\n\r\n"
                           "left out\r\n"
                           "--x y--\r\nepilogue";

static void fields_of_a_multipart_body_are_parameters(void **state)
{
    (void)state;
    struct http_request request;
    init(&request);
    http__multipart_parse(&request, str_from_cstr(type), str_from(body, sizeof body - 1));
    assert_int_equal(request.param_count, 2);
    assert_true(str_equal(http__param(&request, "query"), STR("a{b=\"--x\"}\r\n")));
    assert_true(http__has_param(&request, "ti\"me"));
    assert_int_equal(http__param(&request, "ti\"me").size, 0);
    assert_true(request.params[0].from_body);
    arena_deinit(&request.arena);
}

/* Cut off anywhere before the last delimiter a body says nothing. */
static void cut_multipart_bodies_are_empty(void **state)
{
    (void)state;
    size_t whole = (size_t)(strstr(body, "--x y--") - body) + strlen("--x y--");
    for (size_t size = 0; size < sizeof body; size++) {
        struct http_request request;
        init(&request);
        http__multipart_parse(&request, str_from_cstr(type), str_from(body, size));
        if (request.param_count != (size < whole ? 0 : 2))
            fail_msg("%zu bytes: %u parameters", size, request.param_count);
        arena_deinit(&request.arena);
    }
    static const char *const without[] = {
        "multipart/form-data", "multipart/form-data; boundary=", "multipart/form-data; boundary=\"",
        "multipart/form-data; boundary"};
    for (size_t i = 0; i < sizeof without / sizeof *without; i++) {
        struct http_request request;
        init(&request);
        http__multipart_parse(&request, str_from_cstr(without[i]), str_from(body, sizeof body - 1));
        assert_int_equal(request.param_count, 0);
        arena_deinit(&request.arena);
    }
}

/* Two delimiters that share a line break: the part between them is not even empty. */
static void a_part_may_be_missing(void **state)
{
    (void)state;
    static const char *const bodies[] = {"--b\r\n--b--", "\r\n--b\r\n--b--", "--b\r\n\r\n--b--",
                                         "--b\r\n--b\r\n--b--\r\n\r\n"};
    for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++) {
        struct http_request request;
        init(&request);
        http__multipart_parse(&request, STR("multipart/form-data; boundary=b"),
                              str_from_cstr(bodies[i]));
        assert_int_equal(request.param_count, 0);
        arena_deinit(&request.arena);
    }
}

static void accept_chooses_the_form(void **state)
{
    (void)state;
#define TEXT "text/plain; version=0.0.4; charset=utf-8; escaping="
#define PROTO                                                                                      \
    "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; "                   \
    "encoding=delimited"
    static const struct {
        const char *accept;
        const char *content_type;
    } cases[] = {
        {"", TEXT "underscores"},
        {"*/*", TEXT "underscores"},
        {"application/openmetrics-text;version=1.0.0", TEXT "underscores"},
        {"text/plain;version=0.0.4;escaping=dots", TEXT "dots"},
        {"text/plain;version=0.0.4;escaping=nothing", TEXT "underscores"},
        {"text/plain;version=7, text/plain;version=1.0.0;escaping=values",
         "text/plain; version=1.0.0; charset=utf-8; escaping=values"},
        {PROTO, PROTO "; escaping=underscores"},
        {"text/plain;q=0.5," PROTO ";q=0.4", TEXT "underscores"},
        {"text/plain;q=0.4," PROTO ";q=0.5;escaping=allow-utf-8", PROTO "; escaping=allow-utf-8"},
        {"application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=text",
         TEXT "underscores"},
        {",,;;,q=", TEXT "underscores"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct http_request request;
        init(&request);
        request.accept = str_from_cstr(cases[i].accept);
        struct exposition_form form = negotiate__exposition(&request);
        assert_string_equal(form.content_type, cases[i].content_type);
        assert_int_equal(form.protobuf, strstr(cases[i].content_type, "protobuf") != NULL);
        arena_deinit(&request.arena);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fields_of_a_multipart_body_are_parameters),
        cmocka_unit_test(cut_multipart_bodies_are_empty),
        cmocka_unit_test(a_part_may_be_missing),
        cmocka_unit_test(accept_chooses_the_form),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
