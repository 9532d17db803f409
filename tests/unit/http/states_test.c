/* What the server answers before it is ready and once it stops; paths; streams of notifications. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <netinet/in.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "narthex/http/http_server.h"

struct fixture {
    struct http_services services;
    struct http_server *server;
    struct db_replay replay;
    char answer[65536];
};

static void set_up(struct fixture *f, enum server_state state, const char *prefix,
                   const char *cors_origin)
{
    static const char *const addresses[] = {"127.0.0.1:0"};
    struct http_server_options options = {.listen_addresses = addresses,
                                          .listen_address_count = 1,
                                          .route_prefix = prefix,
                                          .cors_origin = cors_origin};
    struct strbuf why = STRBUF_INIT;
    *f = (struct fixture){0};
    atomic_store(&f->services.state, state);
    f->services.metrics = metrics_create();
    f->services.clock = clock_system();
    f->services.notifications = notifications_create(clock_system(), 1);
    f->services.replay = &f->replay;
    f->services.revision = "";
    if (http_server_start(&options, &f->services, &f->server, &why) != OK)
        fail_msg("%s", strbuf_cstr(&why));
}

static void tear_down(struct fixture *f)
{
    http_server_stop(f->server);
    notifications_destroy(f->services.notifications);
    metrics_destroy(f->services.metrics);
}

static int connected(struct fixture *f)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons(http_server_port(f->server)),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    return fd;
}

static int begin(struct fixture *f, const char *line)
{
    char text[512];
    int fd = connected(f);
    int size =
        snprintf(text, sizeof text, "%s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", line);
    assert_int_equal(send(fd, text, (size_t)size, 0), size);
    return fd;
}

/* Reads until the text holds `wanted`, or to the end with NULL. */
static const char *read_until(struct fixture *f, int fd, const char *wanted)
{
    size_t size = 0;
    ssize_t count = 1;
    f->answer[0] = '\0';
    while (count > 0 && (wanted == NULL || strstr(f->answer, wanted) == NULL)) {
        count = recv(fd, f->answer + size, sizeof f->answer - 1 - size, 0);
        size += count > 0 ? (size_t)count : 0;
        f->answer[size] = '\0';
    }
    return f->answer;
}

static const char *ask(struct fixture *f, const char *line)
{
    int fd = begin(f, line);
    read_until(f, fd, NULL);
    close(fd);
    return f->answer;
}

static void expect(struct fixture *f, const char *line, const char *status, const char *part)
{
    const char *answer = ask(f, line);
    char start[64];
    snprintf(start, sizeof start, "HTTP/1.1 %s ", status);
    if (strncmp(answer, start, strlen(start)) != 0 || strstr(answer, part) == NULL)
        fail_msg("%s: %s\nwithout %s %s", line, answer, status, part);
}

struct expectation {
    const char *line;
    const char *status;
    const char *part;
};

static void expect_all(struct fixture *f, const struct expectation *cases, size_t count)
{
    for (size_t i = 0; i < count; i++)
        expect(f, cases[i].line, cases[i].status, cases[i].part);
}

static void some_paths_answer_before_the_server_is_ready(void **state)
{
    (void)state;
    static const struct expectation cases[] = {
        {"GET /-/healthy", "200", "Prometheus Server is Healthy.\n"},
        {"GET /-/ready", "503", "X-Prometheus-Stopping: false\r\n"},
        {"GET /api/v1/query?query=1", "503", "\r\n\r\nService Unavailable"},
        {"GET /federate", "503", "Service Unavailable"},
        {"GET /api/v1/status/walreplay", "200", "{\"min\":2,\"max\":5,\"current\":3}"},
        {"GET /api/v1/notifications", "200", "{\"status\":\"success\",\"data\":[]}"},
        {"GET /version", "200", "\"version\":\"3."},
        {"GET /api/v1/openapi.json", "200", "{\"openapi\":\"3.1.0\""},
    };
    static const struct expectation stopping[] = {
        {"GET /-/ready", "503", "X-Prometheus-Stopping: true\r\n"},
        {"GET /-/healthy", "200", "Healthy"},
    };
    struct fixture f;
    set_up(&f, SERVER_STARTING, NULL, NULL);
    atomic_store(&f.replay.first_segment, 2);
    atomic_store(&f.replay.last_segment, 5);
    atomic_store(&f.replay.segment, 3);
    expect_all(&f, cases, sizeof cases / sizeof *cases);
    atomic_store(&f.services.state, SERVER_STOPPING);
    expect_all(&f, stopping, sizeof stopping / sizeof *stopping);
    tear_down(&f);
}

static void paths_lead_to_their_clean_form(void **state)
{
    (void)state;
    static const struct expectation cases[] = {
        {"GET /", "302", "Location: /p\r\n"},
        {"GET /other", "404", "404 page not found\n"},
        {"GET /p/-/HEALTHY?a=b", "301", "Location: /p/-/healthy?a=b\r\n"},
        {"POST /p/-/reload/", "307", "Location: /p/-/reload\r\n"},
        {"GET /p//-/./x/../healthy", "301", "Location: /p/-/healthy\r\n"},
        {"GET /p/../../etc/passwd", "301", "Location: /p/etc/passwd\r\n"},
        {"GET /p/-/healthy", "200", "Healthy"},
    };
    struct fixture f;
    set_up(&f, SERVER_STARTING, "/p/", NULL);
    expect_all(&f, cases, sizeof cases / sizeof *cases);
    expect(&f, "GET /p/graph?a=<&b", "302", "/query?a=&lt;&amp;b\">Found</a>");
    expect(&f, "DELETE /p/metrics", "405", "Allow: GET, OPTIONS\r\n");
    tear_down(&f);
}

static void origins_are_matched_as_a_whole(void **state)
{
    (void)state;
    struct fixture f;
    set_up(&f, SERVER_STARTING, NULL, "https?://(a|b)\\.example");
    static const struct {
        const char *line;
        const char *allowed;
    } cases[] = {
        {"https://a.example", "https://a.example"},
        {"http://b.example", "http://b.example"},
        {"https://a.example.org", NULL},
        {"https://aXexample", NULL},
        {"null", NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char line[256], header[256];
        snprintf(line, sizeof line,
                 "GET /api/v1/notifications HTTP/1.1\r\nOrigin: %s\r\nX: ", cases[i].line);
        snprintf(header, sizeof header, "Access-Control-Allow-Origin: %s\r\n",
                 cases[i].allowed == NULL ? "" : cases[i].allowed);
        expect(&f, line, "200", "Access-Control-Allow-Methods: GET, POST, OPTIONS\r\n");
        bool is_there = strstr(f.answer, "Access-Control-Allow-Origin") != NULL;
        assert_int_equal(is_there, cases[i].allowed != NULL);
        assert_true(!is_there || strstr(f.answer, header) != NULL);
    }
    /* What is not answered by the API has none of it. */
    ask(&f, "GET /api/v1/nothing HTTP/1.1\r\nOrigin: https://a.example\r\nX: ");
    assert_null(strstr(f.answer, "Access-Control"));
    tear_down(&f);
}

static void live_clients_hear_what_happens(void **state)
{
    (void)state;
    struct fixture f;
    set_up(&f, SERVER_STARTING, NULL, NULL);
    notifications_set(f.services.notifications, NOTIFICATION_STARTING, true);
    int live = begin(&f, "GET /api/v1/notifications/live");
    assert_non_null(strstr(read_until(&f, live, "\"active\":true}\n\n"), "text/event-stream"));
    /* There is one place. */
    expect(&f, "GET /api/v1/notifications/live", "204", "");
    notifications_set(f.services.notifications, NOTIFICATION_RELOAD_FAILED, true);
    assert_non_null(
        strstr(read_until(&f, live, "\"active\":true}\n\n"), "Configuration reload has failed."));
    notifications_set(f.services.notifications, NOTIFICATION_STARTING, false);
    read_until(&f, live, "\"active\":false}\n\n");
    expect(&f, "GET /api/v1/notifications", "200", "reload has failed");
    close(live);
    /* The place is free again once the server has noticed: a stream begins with what is active. */
    const char *answer;
    do {
        live = begin(&f, "GET /api/v1/notifications/live");
        answer = read_until(&f, live, "\r\n\r\n");
        if (strstr(answer, " 204 ") != NULL)
            close(live);
    } while (strstr(answer, " 204 ") != NULL);
    /* It ends with the server, which does not wait for it. */
    tear_down(&f);
    read_until(&f, live, NULL);
    close(live);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(some_paths_answer_before_the_server_is_ready),
        cmocka_unit_test(paths_lead_to_their_clean_form),
        cmocka_unit_test(origins_are_matched_as_a_whole),
        cmocka_unit_test(live_clients_hear_what_happens),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
