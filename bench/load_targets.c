/* load_targets: many distinct exposition targets on one port, rendered beforehand.
 *
 *     load_targets [--each N] [--addresses] CORPUS SERIES ROWS [TICK_MS]
 *
 * --each cuts the recorded jobs to N series each, and leaves out those with fewer. With --addresses
 * target i is to be asked at 127.1.x.y, x = i / 256, y = i % 256, so that each has connections of
 * its own; the port is then open on all addresses of the loopback device (and on no other device).
 *
 * Serves copies of the recorded jobs below CORPUS (fleet.h) until SERIES series are reached, target
 * i at /t/i, gzip-compressed, over kept connections. Without TICK_MS every answer of a target is
 * its next row; with it the row follows the clock, and samples carry its time, so that several
 * servers see the same samples. After ROWS rows the last one is repeated. Once ready it prints
 * "PORT TARGETS SERIES START_MS"; /stats tells scrapes and samples served, and how often a row was
 * repeated; /arrivals has a line a target: the moments of its scrapes, in milliseconds of the
 * monotonic clock. One thread: what it costs does not depend on who asks. */
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <libdeflate.h>

#include "fleet.h"
#include "narthex/base/clock.h"
#include "narthex/base/mem.h"
#include "narthex/base/strbuf.h"
#include "narthex/base/vec.h"

enum { REQUEST_BYTES_MAX = 4096, CONNECTIONS_MAX = 32768, EVENTS_MAX = 64, LEVEL = 1 };

/* One rendered answer, header included. */
struct answer {
    uint8_t *bytes;
    uint32_t size;
    uint32_t samples;
};

struct served_target {
    struct answer *rows;
    uint32_t next;
    int64_t *arrivals_ns;
    uint32_t arrival_count;
    uint32_t arrival_capacity;
};

struct connection {
    char request[REQUEST_BYTES_MAX];
    uint32_t request_size;
    const uint8_t *out; /* rest of the answer being sent */
    size_t out_size;
    struct strbuf made; /* answers that are made on demand */
};

struct load {
    struct served_target *targets;
    uint32_t target_count;
    uint32_t row_count;
    int64_t tick_ms; /* 0: a row per request */
    int64_t start_ms;
    struct connection *connections[CONNECTIONS_MAX]; /* by descriptor */
    uint64_t scrapes;
    uint64_t samples;
    uint64_t repeated;
    int epoll_fd;
    int listen_fd;
};

static void fail(const char *what)
{
    fprintf(stderr, "load_targets: %s: %s\n", what, strerror(errno));
    exit(1);
}

/* ---- rendering ---- */

static void compress_answer(struct libdeflate_compressor *compressor, const struct strbuf *body,
                            struct answer *answer)
{
    enum { HEADER_MAX = 192 };
    char header[HEADER_MAX];
    size_t bound = libdeflate_gzip_compress_bound(compressor, body->size);
    uint8_t *packed = mem_alloc(MEM_TEST, bound);
    size_t size = libdeflate_gzip_compress(compressor, body->data, body->size, packed, bound);
    int header_size = snprintf(header, sizeof header,
                               "HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4; "
                               "charset=utf-8\r\nContent-Encoding: gzip\r\n"
                               "Content-Length: %zu\r\n\r\n",
                               size);
    answer->size = (uint32_t)((size_t)header_size + size);
    answer->bytes = mem_alloc(MEM_TEST, answer->size);
    memcpy(answer->bytes, header, (size_t)header_size);
    memcpy(answer->bytes + header_size, packed, size);
    mem_free(MEM_TEST, packed);
}

static void render(struct load *load, const struct fleet *fleet, uint32_t series_max)
{
    struct libdeflate_compressor *compressor = libdeflate_alloc_compressor(LEVEL);
    double *values = MEM_NEW_ARRAY(MEM_TEST, double, series_max + 1);
    struct strbuf body = STRBUF_INIT;
    for (uint32_t i = 0; i < load->target_count; i++) {
        load->targets[i].rows = MEM_NEW_ARRAY(MEM_TEST, struct answer, load->row_count);
        for (uint32_t row = 0; row < load->row_count; row++) {
            const struct corpus_job *job;
            struct answer *answer = &load->targets[i].rows[row];
            int64_t t_ms = load->tick_ms == 0 ? 0 : load->start_ms + (int64_t)row * load->tick_ms;
            strbuf_clear(&body);
            fleet_target_row(fleet, i, row, &job, values);
            answer->samples = corpus_job_render(job, values, t_ms, &body);
            compress_answer(compressor, &body, answer);
        }
    }
    strbuf_deinit(&body);
    mem_free(MEM_TEST, values);
    libdeflate_free_compressor(compressor);
}

/* ---- serving ---- */

static void drop(struct load *load, int fd)
{
    strbuf_deinit(&load->connections[fd]->made);
    mem_free(MEM_TEST, load->connections[fd]);
    load->connections[fd] = NULL;
    close(fd);
}

static void choose_scrape(struct load *load, struct connection *connection, uint32_t index)
{
    struct served_target *target = &load->targets[index];
    VEC_PUSH(MEM_TEST, target->arrivals_ns, target->arrival_count, target->arrival_capacity,
             clock_monotonic_ns(clock_system()));
    int64_t row = target->next++;
    if (load->tick_ms > 0)
        row = (clock_wall_ms(clock_system()) - load->start_ms) / load->tick_ms;
    load->repeated += load->tick_ms == 0 && row >= load->row_count;
    if (row < 0)
        row = 0;
    if (row >= load->row_count)
        row = load->row_count - 1;
    connection->out = target->rows[row].bytes;
    connection->out_size = target->rows[row].size;
    load->scrapes++;
    load->samples += target->rows[row].samples;
}

static void write_arrivals(const struct load *load, struct strbuf *body)
{
    for (uint32_t i = 0; i < load->target_count; i++) {
        const struct served_target *target = &load->targets[i];
        for (uint32_t k = 0; k < target->arrival_count; k++)
            strbuf_printf(body, "%.3f ", (double)target->arrivals_ns[k] / 1e6);
        strbuf_add_char(body, '\n');
    }
}

/* Chooses the answer to the request in the connection's buffer. */
static void choose_answer(struct load *load, struct connection *connection)
{
    const char *status = "200 OK";
    unsigned long index = load->target_count;
    if (memcmp(connection->request, "GET /t/", 7) == 0)
        index = strtoul(connection->request + 7, NULL, 10);
    if (index < load->target_count) {
        choose_scrape(load, connection, (uint32_t)index);
        return;
    }
    struct strbuf body = STRBUF_INIT;
    if (memcmp(connection->request, "GET /stats ", 11) == 0)
        strbuf_printf(&body, "{\"scrapes\": %llu, \"samples\": %llu, \"repeated\": %llu}",
                      (unsigned long long)load->scrapes, (unsigned long long)load->samples,
                      (unsigned long long)load->repeated);
    else if (memcmp(connection->request, "GET /arrivals ", 14) == 0)
        write_arrivals(load, &body);
    else
        status = "404 Not Found";
    strbuf_clear(&connection->made);
    strbuf_printf(&connection->made, "HTTP/1.1 %s\r\nContent-Length: %zu\r\n\r\n", status,
                  body.size);
    strbuf_add_str(&connection->made, strbuf_str(&body));
    strbuf_deinit(&body);
    connection->out = (const uint8_t *)connection->made.data;
    connection->out_size = connection->made.size;
}

/* Sends what it can; false when the peer is gone. */
static bool send_more(struct connection *connection, int fd)
{
    while (connection->out_size > 0) {
        ssize_t size = send(fd, connection->out, connection->out_size, MSG_NOSIGNAL);
        if (size < 0)
            return errno == EAGAIN;
        connection->out += size;
        connection->out_size -= (size_t)size;
    }
    return true;
}

/* Reads requests and answers them one after another; false when the connection is to be closed. */
static bool receive(struct load *load, struct connection *connection, int fd)
{
    for (;;) {
        size_t room = REQUEST_BYTES_MAX - 1 - connection->request_size;
        ssize_t size = recv(fd, connection->request + connection->request_size, room, 0);
        if (size < 0)
            return errno == EAGAIN;
        if (size == 0)
            return false;
        connection->request_size += (uint32_t)size;
        connection->request[connection->request_size] = 0;
        if (strstr(connection->request, "\r\n\r\n") == NULL)
            continue;
        connection->request_size = 0;
        choose_answer(load, connection);
        if (!send_more(connection, fd))
            return false;
    }
}

static void accept_all(struct load *load)
{
    int fd;
    while ((fd = accept4(load->listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
        const int yes = 1;
        if (fd >= CONNECTIONS_MAX) {
            close(fd);
            continue;
        }
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
        load->connections[fd] = MEM_NEW(MEM_TEST, struct connection);
        struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLET, .data.fd = fd};
        if (epoll_ctl(load->epoll_fd, EPOLL_CTL_ADD, fd, &event) != 0)
            fail("epoll_ctl");
    }
}

/* `every_address`: of the loopback device, so that targets may have one each. */
static void listen_on_loopback(struct load *load, bool every_address, uint16_t *port)
{
    in_addr_t host = every_address ? INADDR_ANY : INADDR_LOOPBACK;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(host)};
    socklen_t size = sizeof address;
    load->listen_fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    load->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event event = {.events = EPOLLIN, .data.fd = load->listen_fd};
    if (load->listen_fd < 0 || load->epoll_fd < 0 ||
        (every_address &&
         setsockopt(load->listen_fd, SOL_SOCKET, SO_BINDTODEVICE, "lo", sizeof "lo") != 0) ||
        bind(load->listen_fd, (struct sockaddr *)&address, size) != 0 ||
        listen(load->listen_fd, SOMAXCONN) != 0 ||
        getsockname(load->listen_fd, (struct sockaddr *)&address, &size) != 0 ||
        epoll_ctl(load->epoll_fd, EPOLL_CTL_ADD, load->listen_fd, &event) != 0)
        fail("listening");
    *port = ntohs(address.sin_port);
}

static void serve(struct load *load)
{
    struct epoll_event events[EVENTS_MAX];
    for (;;) {
        int count = epoll_wait(load->epoll_fd, events, EVENTS_MAX, -1);
        for (int i = 0; i < count; i++) {
            int fd = events[i].data.fd;
            if (fd == load->listen_fd) {
                accept_all(load);
                continue;
            }
            struct connection *connection = load->connections[fd];
            if (!send_more(connection, fd) || !receive(load, connection, fd))
                drop(load, fd);
        }
    }
}

struct load_options {
    bool addresses;
    uint32_t each; /* 0: jobs as they were recorded */
    const char *corpus;
    uint32_t series;
    uint32_t rows;
    int64_t tick_ms;
};

static bool read_options(int argc, char **argv, struct load_options *options)
{
    static const struct option known[] = {{"each", required_argument, NULL, 'e'},
                                          {"addresses", no_argument, NULL, 'a'},
                                          {NULL, 0, NULL, 0}};
    *options = (struct load_options){0};
    int option;
    while ((option = getopt_long(argc, argv, "", known, NULL)) >= 0) {
        if (option == 'e')
            options->each = (uint32_t)strtoul(optarg, NULL, 10);
        else if (option == 'a')
            options->addresses = true;
        else
            return false;
    }
    if (argc - optind != 3 && argc - optind != 4)
        return false;
    options->corpus = argv[optind];
    options->series = (uint32_t)strtoul(argv[optind + 1], NULL, 10);
    options->rows = (uint32_t)strtoul(argv[optind + 2], NULL, 10);
    options->tick_ms = argc - optind == 4 ? strtoll(argv[optind + 3], NULL, 10) : 0;
    return options->rows > 0 && options->series > 0;
}

static void load_corpus(const struct load_options *options, struct corpus *corpus)
{
    struct strbuf why = STRBUF_INIT;
    err_t err = corpus_load(corpus, options->corpus, 1, options->rows + 1, 0, &why);
    if (err == OK && options->each > 0)
        corpus_cut(corpus, options->each);
    if (err == OK && corpus->job_count == 0)
        err = err_fail(&why, ERR_NOT_FOUND, "no job has that many series");
    if (err != OK) {
        fprintf(stderr, "load_targets: %s\n", strbuf_cstr(&why));
        exit(1);
    }
}

/* Room for a descriptor a target. */
static void raise_descriptors(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
}

int main(int argc, char **argv)
{
    static struct load load;
    struct load_options options;
    struct corpus corpus;
    uint16_t port;
    if (!read_options(argc, argv, &options)) {
        fprintf(stderr, "usage: load_targets [--each N] [--addresses] CORPUS SERIES ROWS "
                        "[TICK_MS]\n");
        return 2;
    }
    raise_descriptors();
    load_corpus(&options, &corpus);
    load.row_count = options.rows;
    load.tick_ms = options.tick_ms;
    uint32_t series_max = 0;
    for (uint32_t i = 0; i < corpus.job_count; i++)
        if (corpus.jobs[i].series_count > series_max)
            series_max = corpus.jobs[i].series_count;
    struct fleet *fleet = fleet_create(&corpus, options.series, 1);
    load.target_count = fleet_target_count(fleet);
    load.targets = MEM_NEW_ARRAY(MEM_TEST, struct served_target, load.target_count);
    if (load.tick_ms > 0)
        load.start_ms = clock_wall_ms(clock_system()) / load.tick_ms * load.tick_ms;
    render(&load, fleet, series_max);
    listen_on_loopback(&load, options.addresses, &port);
    printf("%u %u %u %lld\n", port, load.target_count, fleet_series_count(fleet),
           (long long)load.start_ms);
    fflush(stdout);
    serve(&load);
}
