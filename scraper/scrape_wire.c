/* Scrapes of plain HTTP targets: one send and mostly one receive on a kept connection.
 *
 * curl opens the connection (names, several addresses, the time this may take) and gives it up;
 * from then on its descriptor belongs to the shard's pool. Whatever is not the plain case is
 * curl's: the client block says so beforehand (http_client_is_plain), or the answer does (a
 * redirect to follow, anything that http_wire_reader calls odd), and then this target's next
 * scrapes go to curl at once.
 */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "scrape_shard.h"

enum {
    CURL_SCRAPES = 100, /* after an odd answer */
    PIECES_PER_EVENT = 16,
};
static const int64_t ns_per_ms = 1000000;

static int64_t now_ns(const struct scrape_shard *shard)
{
    return clock_monotonic_ns(shard->options.manager->clock);
}

void scrape_wire_attach(struct scrape_loop *loop)
{
    const struct scrape_target *target = loop->target;
    loop->endpoint = NULL;
    loop->curl_scrapes = 0;
    if (target->unix_socket.size == 0 && http_client_is_plain(target->job->client) &&
        http_wire_url_parse(target->url, &loop->wire_url))
        loop->endpoint = http_wire_pool_hold(&loop->shard->wires, loop->wire_url.authority);
}

void scrape_wire_detach(struct scrape_loop *loop)
{
    assert(loop->request == NULL);
    if (loop->endpoint != NULL)
        http_wire_pool_release(&loop->shard->wires, loop->endpoint);
    loop->endpoint = NULL;
}

bool scrape_wire_fits(struct scrape_loop *loop)
{
    if (loop->endpoint == NULL)
        return false;
    if (loop->curl_scrapes == 0)
        return true;
    loop->curl_scrapes--;
    return false;
}

/* ---- timeouts ---- */

static int64_t deadline_ns(const struct scrape_loop *loop)
{
    return loop->started_ns + loop->target->timeout_ms * ns_per_ms;
}

static void advance_timer(struct scrape_shard *shard, int64_t due_ns)
{
    struct scrape_timer *timer = &shard->wire_timer;
    if (timer->id == 0 || timer->due_ns > due_ns)
        scrape_timers_set(&shard->timers, timer, due_ns);
}

static void watch_timeout(struct scrape_loop *loop)
{
    struct scrape_shard *shard = loop->shard;
    loop->wire_previous = NULL;
    loop->wire_next = shard->wire_first;
    if (loop->wire_next != NULL)
        loop->wire_next->wire_previous = loop;
    shard->wire_first = loop;
    advance_timer(shard, deadline_ns(loop));
}

void scrape_wire_forget(struct scrape_loop *loop)
{
    if (loop->wire_previous != NULL)
        loop->wire_previous->wire_next = loop->wire_next;
    else
        loop->shard->wire_first = loop->wire_next;
    if (loop->wire_next != NULL)
        loop->wire_next->wire_previous = loop->wire_previous;
}

/* ---- sending ---- */

static bool send_request(struct scrape_loop *loop, struct http_wire *wire)
{
    struct scrape_shard *shard = loop->shard;
    struct scrape_request *request = loop->request;
    char seconds[NUMBER_TEXT_MAX];
    struct name_value headers[SCRAPE_HEADERS];
    scrape_fetch_headers(loop, seconds, headers);
    http_wire_request_write(loop->target->job->client, &loop->wire_url, headers, SCRAPE_HEADERS,
                            &shard->wire_text);
    /* A socket that cannot take a few hundred bytes at once is of no use for this. */
    ssize_t sent = send(wire->fd, shard->wire_text.data, shard->wire_text.size, MSG_NOSIGNAL);
    if (sent != (ssize_t)shard->wire_text.size)
        return false;
    http_transfer_begin_direct(&request->transfer, loop->target->url);
    http_wire_reader_start(&request->reader, &request->transfer.answer, scrape_fetch_take_body,
                           request);
    request->phase = FETCH_WIRE;
    request->wire = wire;
    wire->user = loop;
    watch_timeout(loop);
    return true;
}

err_t scrape_wire_connect(struct scrape_loop *loop, struct strbuf *why)
{
    struct scrape_request *request = loop->request;
    const struct http_request wanted = {
        .url = loop->target->url,
        .timeout_ms = scrape_fetch_left_ms(loop),
    };
    request->phase = FETCH_CONNECT;
    http_transfer_prepare_connect(&request->transfer, &wanted);
    return scrape_fetch_enter_multi(loop, why);
}

err_t scrape_wire_start(struct scrape_loop *loop, struct strbuf *why)
{
    struct scrape_shard *shard = loop->shard;
    struct http_wire *wire = http_wire_take(&shard->wires, loop->endpoint, now_ns(shard));
    if (wire != NULL) {
        if (send_request(loop, wire))
            return OK;
        http_wire_close(&shard->wires, wire);
    }
    return scrape_wire_connect(loop, why);
}

/* curl's connection under a descriptor of our own; -1 when there is none to be had. */
static int adopt_socket(struct scrape_loop *loop)
{
    struct scrape_shard *shard = loop->shard;
    curl_socket_t socket = CURL_SOCKET_BAD;
    int fd = -1;
    curl_easy_getinfo(loop->request->transfer.easy, CURLINFO_ACTIVESOCKET, &socket);
    if (socket != CURL_SOCKET_BAD) {
        /* The socket lives on: closing curl's descriptor does not end its being watched. */
        (void)epoll_ctl(shard->epoll_fd, EPOLL_CTL_DEL, socket, NULL);
        fd = fcntl(socket, F_DUPFD_CLOEXEC, 0);
    }
    scrape_fetch_leave_multi(loop);
    return fd;
}

bool scrape_wire_connected(struct scrape_loop *loop)
{
    struct scrape_shard *shard = loop->shard;
    int fd = adopt_socket(loop);
    if (fd < 0)
        return false;
    struct http_wire *wire = http_wire_open(&shard->wires, loop->endpoint, fd);
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
    if (epoll_ctl(shard->epoll_fd, EPOLL_CTL_ADD, fd, &event) == 0 && send_request(loop, wire))
        return true;
    http_wire_close(&shard->wires, wire);
    return false;
}

/* ---- receiving ---- */

/* The exchange is over, and so is the use of the connection. */
static void end_exchange(struct scrape_loop *loop, bool keep, enum fetch_phase phase, CURLcode code)
{
    struct scrape_shard *shard = loop->shard;
    struct scrape_request *request = loop->request;
    scrape_wire_forget(loop);
    if (keep)
        http_wire_keep(request->wire, now_ns(shard));
    else
        http_wire_close(&shard->wires, request->wire);
    request->wire = NULL;
    request->transfer.answered = request->reader.answered;
    request->phase = phase;
    if (phase == FETCH_ODD)
        loop->curl_scrapes = CURL_SCRAPES;
    scrape_loop_fetched(loop, code);
}

static void handle_verdict(struct scrape_loop *loop, enum http_wire_verdict verdict)
{
    const struct scrape_request *request = loop->request;
    bool redirected = request->reader.answered &&
                      http_status_redirects(request->transfer.answer.status) &&
                      loop->target->job->config->http.follow_redirects;
    if (redirected && verdict != HTTP_WIRE_MORE)
        verdict = HTTP_WIRE_ODD;
    switch (verdict) {
    case HTTP_WIRE_MORE:
        return;
    case HTTP_WIRE_DONE:
        end_exchange(loop, http_wire_reader_keeps(&request->reader), FETCH_WIRE, CURLE_OK);
        return;
    case HTTP_WIRE_ODD:
        end_exchange(loop, false, FETCH_ODD, CURLE_OK);
        return;
    case HTTP_WIRE_REFUSED:
        end_exchange(loop, false, FETCH_WIRE, CURLE_WRITE_ERROR);
        return;
    case HTTP_WIRE_CUT:
        end_exchange(loop, false, FETCH_WIRE, CURLE_PARTIAL_FILE);
        return;
    }
}

/* The peer closed the connection, or the system did (then `error` is its reason). */
static void handle_loss(struct scrape_loop *loop, int error)
{
    struct scrape_request *request = loop->request;
    bool silent = request->reader.head_bytes == 0;
    if (silent && request->wire->kept) {
        end_exchange(loop, false, FETCH_STALE, CURLE_OK);
    } else if (error != 0) {
        http_transfer_note_error(&request->transfer, request->wire->fd, error);
        end_exchange(loop, false, FETCH_WIRE, CURLE_RECV_ERROR);
    } else if (silent) {
        end_exchange(loop, false, FETCH_WIRE, CURLE_GOT_NOTHING);
    } else {
        handle_verdict(loop, http_wire_reader_close(&request->reader));
    }
}

void scrape_wire_ready(struct scrape_shard *shard, struct http_wire *wire)
{
    struct scrape_loop *loop = wire->user;
    if (loop == NULL) {
        http_wire_close(&shard->wires, wire); /* closed by the peer, or it speaks unasked */
        return;
    }
    for (uint32_t piece = 0; piece < PIECES_PER_EVENT; piece++) {
        ssize_t size = recv(wire->fd, shard->received, SCRAPE_RECEIVE_BYTES, 0);
        if (size < 0 && (errno == EAGAIN || errno == EINTR))
            return;
        if (size <= 0) {
            handle_loss(loop, size < 0 ? errno : 0);
            return;
        }
        enum http_wire_verdict verdict =
            http_wire_reader_take(&loop->request->reader, shard->received, (size_t)size);
        if (verdict != HTTP_WIRE_MORE) {
            handle_verdict(loop, verdict);
            return;
        }
        if (size < SCRAPE_RECEIVE_BYTES)
            return;
    }
}

static struct scrape_loop *find_late(struct scrape_shard *shard, int64_t until_ns)
{
    struct scrape_loop *loop = shard->wire_first;
    while (loop != NULL && deadline_ns(loop) > until_ns)
        loop = loop->wire_next;
    return loop;
}

void scrape_wire_expire(struct scrape_timer *timer, void *context)
{
    struct scrape_shard *shard = context;
    struct scrape_loop *loop;
    /* Not the present: a timer may fire a little early. */
    while ((loop = find_late(shard, timer->due_ns)) != NULL)
        end_exchange(loop, false, FETCH_WIRE, CURLE_OPERATION_TIMEDOUT);
    for (loop = shard->wire_first; loop != NULL; loop = loop->wire_next)
        advance_timer(shard, deadline_ns(loop));
}
