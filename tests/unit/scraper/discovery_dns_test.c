#include "discovery_dns.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "discovery_mechanism.h"
#include "narthex/base/fs.h"
#include "narthex/base/thread.h"
#include "narthex/scraper/discovery.h"

static void test_resolver_file(void **state)
{
    (void)state;
    struct resolver_conf conf;
    resolver_conf_parse(STR("# comment\nnameserver 10.0.0.1\r\nnameserver\t::1\n"
                            "nameserver not-an-address\nnameserver [127.0.0.1]:5353 x\n"
                            "nameserver [127.0.0.1]:0\nnameserver fe80::1%eth0\n"
                            "domain first.test other\nsearch  a.test. b.test\n"
                            "options debug ndots:3 timeout:1\nsomething else"),
                        &conf);
    assert_string_equal(conf.servers.data, "10.0.0.1:53,[::1]:53,127.0.0.1:5353,[fe80::1%eth0]:53");
    assert_int_equal(conf.server_count, 4);
    assert_int_equal(conf.search_count, 2);
    assert_true(str_equal_cstr(conf.search[0], "a.test"));
    assert_int_equal(conf.ndots, 3);
    resolver_conf_deinit(&conf);
    resolver_conf_parse(STR(""), &conf);
    assert_int_equal(conf.server_count, 0);
    assert_int_equal(conf.ndots, 1);
    resolver_conf_deinit(&conf);
}

static void assert_candidates(const char *file, const char *name, const char *expected)
{
    struct resolver_conf conf;
    struct strbuf all = STRBUF_INIT;
    resolver_conf_parse(str_from_cstr(file), &conf);
    uint32_t count = resolver_candidate_count(&conf, str_from_cstr(name));
    for (uint32_t i = 0; i < count; i++) {
        resolver_candidate_add(&conf, str_from_cstr(name), i, &all);
        strbuf_add_char(&all, ' ');
    }
    assert_string_equal(strbuf_cstr(&all), expected);
    strbuf_deinit(&all);
    resolver_conf_deinit(&conf);
}

static void test_candidates(void **state)
{
    (void)state;
    assert_candidates("", "a", "a ");
    assert_candidates("search x y", "a", "a.x a.y a ");
    assert_candidates("search x y", "a.b", "a.b a.b.x a.b.y ");
    assert_candidates("search x y", "a.", "a. ");
    assert_candidates("search x y\noptions ndots:2", "a.b", "a.b.x a.b.y a.b ");
    assert_candidates("search .", "a", "a a ");
}

/* _a.b SRV 0 0 443 c.b; b MX 5 c.b; b NS c.b; b A 1.2.3.4; b AAAA ::1; CNAME passed over. */
static const unsigned char answer[] =
    "\x00\x01\x81\x80\x00\x01\x00\x06\x00\x00\x00\x00"
    "\x02_a\x01"
    "b\x00\x00\x21\x00\x01"
    "\xc0\x0c\x00\x21\x00\x01\x00\x00\x00\x05\x00\x0a\x00\x00\x00\x00\x01\xbb\x01"
    "c\xc0\x0f"
    "\xc0\x0f\x00\x0f\x00\x01\x00\x00\x00\x05\x00\x06\x00\x05\x01"
    "c\xc0\x0f"
    "\xc0\x0f\x00\x02\x00\x01\x00\x00\x00\x05\x00\x04\x01"
    "c\xc0\x0f"
    "\xc0\x0f\x00\x01\x00\x01\x00\x00\x00\x05\x00\x04\x01\x02\x03\x04"
    "\xc0\x0f\x00\x1c\x00\x01\x00\x00\x00\x05\x00\x10\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x01"
    "\xc0\x0f\x00\x05\x00\x01\x00\x00\x00\x05\x00\x02\xc0\x0f";

static void take_record(void *context, const struct dns_record *record)
{
    strbuf_printf(context, "%u:%.*s:%u ", record->type, STR_ARG(record->text), record->port);
}

static err_t read_message(const unsigned char *bytes, size_t size, struct strbuf *out)
{
    struct strbuf why = STRBUF_INIT;
    unsigned char *copy = mem_alloc(MEM_TEST, size + 1);
    memcpy(copy, bytes, size);
    err_t err = dns_message_read(copy, size, take_record, out, &why);
    mem_free(MEM_TEST, copy);
    strbuf_deinit(&why);
    return err;
}

static void test_message(void **state)
{
    (void)state;
    struct strbuf out = STRBUF_INIT;
    assert_int_equal(read_message(answer, sizeof answer - 1, &out), OK);
    assert_string_equal(strbuf_cstr(&out), "33:c.b.:443 15:c.b.:0 2:c.b.:0 1:1.2.3.4:0 28:::1:0 ");
    for (size_t size = 0; size < sizeof answer - 1; size++)
        assert_int_equal(read_message(answer, size, &out), ERR_INVALID);
    /* A name that points at itself, and a target longer than its data says. */
    unsigned char bad[sizeof answer];
    memcpy(bad, answer, sizeof answer);
    bad[12] = 0xc0;
    bad[13] = 12;
    assert_int_equal(read_message(bad, sizeof answer - 1, &out), ERR_INVALID);
    memcpy(bad, answer, sizeof answer);
    for (size_t i = 0; i < sizeof bad; i++) {
        bad[i] ^= 0xff;
        (void)read_message(bad, sizeof bad - 1, &out);
        bad[i] ^= 0xff;
    }
    strbuf_deinit(&out);
}

/* ---- a name server that follows a script ---- */

enum reply { REPLY_GOOD, REPLY_FAULT, REPLY_ABSENT, REPLY_GARBAGE, REPLY_ALL, REPLY_NONE };

struct name_server {
    int fd;
    int stop_fd;
    _Atomic enum reply reply;
    _Atomic uint32_t asked;
    struct thread thread;
    char path[64]; /* its resolver file */
};

static void send_reply(struct name_server *server, unsigned char *query, size_t size,
                       const struct sockaddr_in *from)
{
    enum reply reply = server->reply;
    if (reply == REPLY_NONE)
        return;
    unsigned char out[1024];
    if (reply == REPLY_ALL) { /* to the question that it holds */
        memcpy(out, answer, sizeof answer - 1);
        memcpy(out, query, 2);
        (void)sendto(server->fd, out, sizeof answer - 1, 0, (const struct sockaddr *)from,
                     sizeof *from);
        return;
    }
    memcpy(out, query, size);
    out[2] = 0x81;
    out[3] = reply == REPLY_FAULT ? 0x82 : reply == REPLY_ABSENT ? 0x83 : 0x80;
    memset(out + 8, 0, 4); /* no additional records */
    size_t end = 12;
    while (out[end] != 0)
        end++;
    end += 5;
    if (reply == REPLY_GOOD) {
        static const unsigned char record[] = "\xc0\x0c\0\x01\0\x01\0\0\0\0\0\x04\x0a\0\0\x07";
        out[7] = 1;
        memcpy(out + end, record, sizeof record - 1);
        end += sizeof record - 1;
    } else if (reply == REPLY_GARBAGE) {
        out[7] = 9; /* records that are not there */
    }
    (void)sendto(server->fd, out, end, 0, (const struct sockaddr *)from, sizeof *from);
}

static void serve_names(void *context)
{
    struct name_server *server = context;
    unsigned char query[512];
    for (;;) {
        struct sockaddr_in from;
        socklen_t from_size = sizeof from;
        ssize_t size =
            recvfrom(server->fd, query, sizeof query, 0, (struct sockaddr *)&from, &from_size);
        if (size < 17)
            return; /* the empty packet that ends the thread */
        atomic_fetch_add(&server->asked, 1);
        eventfd_write(server->stop_fd, 1);
        send_reply(server, query, (size_t)size, &from);
    }
}

static void start_server(struct name_server *server)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    *server = (struct name_server){.fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)};
    server->stop_fd = eventfd(0, EFD_CLOEXEC);
    assert_int_equal(bind(server->fd, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(getsockname(server->fd, (struct sockaddr *)&address, &size), 0);
    strcpy(server->path, "/tmp/narthex-dns-XXXXXX");
    int fd = mkstemp(server->path);
    assert_true(fd >= 0);
    dprintf(fd, "nameserver [127.0.0.1]:%u\n", ntohs(address.sin_port));
    close(fd);
    setenv("NARTHEX_RESOLV_CONF", server->path, 1);
    thread_start(&server->thread, "dns-test", serve_names, server);
}

static void stop_server(struct name_server *server)
{
    struct sockaddr_in address;
    socklen_t size = sizeof address;
    assert_int_equal(getsockname(server->fd, (struct sockaddr *)&address, &size), 0);
    assert_int_equal(sendto(server->fd, "", 0, 0, (struct sockaddr *)&address, size), 0);
    thread_join(&server->thread);
    close(server->fd);
    close(server->stop_fd);
    unlink(server->path);
}

struct rig {
    struct name_server server;
    struct dns_discovery_config config;
    struct discovery_env env;
    _Atomic bool cancel;
    void *dns;
    struct metric *lookups;
    struct metric *failures;
};

static void begin(struct rig *rig, const struct str *names, uint32_t name_count)
{
    struct strbuf why = STRBUF_INIT;
    start_server(&rig->server);
    rig->config = (struct dns_discovery_config){
        .names = names, .name_count = name_count, .type = STR("a"), .port = 80};
    atomic_init(&rig->cancel, false);
    rig->env = (struct discovery_env){&rig->cancel, -1, metrics_create()};
    rig->lookups =
        metric_only(metrics_counter(rig->env.metrics, "prometheus_sd_dns_lookups_total", "", NULL));
    rig->failures = metric_only(
        metrics_counter(rig->env.metrics, "prometheus_sd_dns_lookup_failures_total", "", NULL));
    assert_int_equal(discovery_dns.create(&rig->config, &rig->env, &rig->dns, &why), OK);
    strbuf_deinit(&why);
}

static void end(struct rig *rig)
{
    discovery_dns.destroy(rig->dns);
    metrics_destroy(rig->env.metrics);
    stop_server(&rig->server);
}

static uint32_t target_count(struct rig *rig, err_t expected)
{
    struct arena arena;
    struct strbuf why = STRBUF_INIT;
    arena_init(&arena, MEM_TEST, SIZE_MAX);
    struct discovered_groups groups = {.arena = &arena};
    assert_int_equal(discovery_dns.refresh(rig->dns, &groups, &why), expected);
    uint32_t count = 0;
    for (uint32_t i = 0; i < groups.count; i++)
        count += groups.items[i].target_count;
    arena_deinit(&arena);
    strbuf_deinit(&why);
    return count;
}

static void test_server_that_fails(void **state)
{
    (void)state;
    static const struct str names[] = {STR_INIT("a.test"), STR_INIT("b.test")};
    struct rig rig;
    begin(&rig, names, 2);
    rig.server.reply = REPLY_FAULT;
    assert_int_equal(target_count(&rig, OK), 0);
    assert_true(metric_value(rig.failures) == 2);
    rig.server.reply = REPLY_GOOD;
    assert_int_equal(target_count(&rig, OK), 2);
    rig.server.reply = REPLY_FAULT;
    assert_int_equal(target_count(&rig, OK), 2);
    rig.server.reply = REPLY_GARBAGE;
    assert_int_equal(target_count(&rig, OK), 2);
    assert_true(metric_value(rig.failures) == 6);
    rig.server.reply = REPLY_ABSENT;
    assert_int_equal(target_count(&rig, OK), 0);
    assert_true(metric_value(rig.failures) == 6);
    assert_true(metric_value(rig.lookups) == 10);
    /* No resolver file: every lookup fails. */
    rig.server.reply = REPLY_GOOD;
    assert_int_equal(target_count(&rig, OK), 2);
    setenv("NARTHEX_RESOLV_CONF", "/nonexistent", 1);
    assert_int_equal(target_count(&rig, OK), 2);
    assert_true(metric_value(rig.failures) == 8);
    end(&rig);
}

/* One answer with a record of each type: addresses without the dot at the end, labels with it. */
static void test_labels(void **state)
{
    (void)state;
    static const struct str names[] = {STR_INIT("_a.b")};
    struct rig rig;
    struct arena arena;
    struct strbuf why = STRBUF_INIT;
    struct strbuf text = STRBUF_INIT;
    begin(&rig, names, 1);
    discovery_dns.destroy(rig.dns);
    rig.config.type = STR("Srv");
    assert_int_equal(discovery_dns.create(&rig.config, &rig.env, &rig.dns, &why), OK);
    rig.server.reply = REPLY_ALL;
    arena_init(&arena, MEM_TEST, SIZE_MAX);
    struct discovered_groups groups = {.arena = &arena};
    assert_int_equal(discovery_dns.refresh(rig.dns, &groups, &why), OK);
    assert_int_equal(groups.count, 1);
    for (uint32_t t = 0; t < groups.items[0].target_count; t++) {
        labels_print(groups.items[0].targets[t], &text);
        strbuf_add_char(&text, '\n');
    }
    assert_string_equal(
        strbuf_cstr(&text),
        "{__address__=\"c.b:443\", __meta_dns_name=\"_a.b\", "
        "__meta_dns_srv_record_port=\"443\", __meta_dns_srv_record_target=\"c.b.\"}\n"
        "{__address__=\"c.b:80\", __meta_dns_mx_record_target=\"c.b.\", "
        "__meta_dns_name=\"_a.b\"}\n"
        "{__address__=\"c.b:80\", __meta_dns_name=\"_a.b\", "
        "__meta_dns_ns_record_target=\"c.b.\"}\n"
        "{__address__=\"1.2.3.4:80\", __meta_dns_name=\"_a.b\"}\n"
        "{__address__=\"[::1]:80\", __meta_dns_name=\"_a.b\"}\n");
    arena_deinit(&arena);
    strbuf_deinit(&text);
    strbuf_deinit(&why);
    end(&rig);
}

static void cancel_once_asked(void *context)
{
    struct rig *rig = context;
    eventfd_t value;
    eventfd_read(rig->server.stop_fd, &value);
    atomic_store(&rig->cancel, true);
    eventfd_write(rig->env.stop_fd, 1);
}

static void test_server_that_hangs(void **state)
{
    (void)state;
    static const struct str names[] = {STR_INIT("a.test")};
    struct rig rig;
    begin(&rig, names, 1);
    rig.env.stop_fd = eventfd(0, EFD_CLOEXEC);
    rig.server.reply = REPLY_NONE;
    struct thread thread;
    thread_start(&thread, "cancel", cancel_once_asked, &rig);
    assert_int_equal(target_count(&rig, ERR_CANCELED), 0);
    thread_join(&thread);
    assert_true(metric_value(rig.lookups) == 0);
    close(rig.env.stop_fd);
    end(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_resolver_file), cmocka_unit_test(test_candidates),
        cmocka_unit_test(test_message),       cmocka_unit_test(test_server_that_fails),
        cmocka_unit_test(test_labels),        cmocka_unit_test(test_server_that_hangs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
