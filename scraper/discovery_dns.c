/* dns_sd: one group of targets for each configured name, out of its SRV, A, AAAA, MX or NS records.
 *
 * All names are looked up at once over one c-ares channel. A name that cannot be resolved keeps
 * the targets it had. */
#include "discovery_dns.h"

#include <ares.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "discovery_json.h"
#include "discovery_labels.h"
#include "narthex/base/log.h"
#include "narthex/base/mem.h"
#include "narthex/base/strbuf.h"
#include "narthex/scraper/discovery.h"

enum {
    SERVER_TIMEOUT_MS = 2000,
    EDNS_BYTES = 4096,
    POLL_MS_MAX = 1000, /* between looks at the cancel flag */
    CLASS_INTERNET = 1,
};

struct dns_metrics {
    struct metric *lookups; /* NULL: nothing is counted */
    struct metric *failures;
};

/* One configured name. */
struct dns_name {
    struct dns_discovery *dns;
    struct str name;
    /* The last answer. */
    struct arena arena;
    struct discovered_groups groups;
    /* The lookup that runs. */
    uint32_t candidate;
    bool open;
    bool answered; /* made_* hold the new answer */
    struct strbuf fault;
    struct arena made_arena;
    struct discovery_targets made;
};

struct dns_discovery {
    const struct dns_discovery_config *config;
    const struct discovery_env *env;
    struct dns_metrics metrics;
    enum dns_type type;
    struct dns_name *names;
    struct resolver_conf conf; /* while a refresh runs, like the channel */
    ares_channel channel;
    uint32_t open_count;
};

static struct dns_metrics dns_metrics(struct metrics *r)
{
    if (r == NULL)
        return (struct dns_metrics){0};
    return (struct dns_metrics){
        metric_only(metrics_counter(r, "prometheus_sd_dns_lookups_total",
                                    "Names looked up by dns_sd.", NULL)),
        metric_only(metrics_counter(r, "prometheus_sd_dns_lookup_failures_total",
                                    "Lookups by dns_sd that failed.", NULL)),
    };
}

static void dns_register_metrics(struct metrics *r)
{
    (void)dns_metrics(r);
}

static enum dns_type parse_type(struct str text)
{
    static const struct {
        struct str name;
        enum dns_type type;
    } types[] = {{STR_INIT("A"), DNS_A},
                 {STR_INIT("AAAA"), DNS_AAAA},
                 {STR_INIT("MX"), DNS_MX},
                 {STR_INIT("NS"), DNS_NS}};
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        if (str_equal_nocase(types[i].name, text))
            return types[i].type;
    }
    return DNS_SRV;
}

static err_t dns_create(const void *settings, const struct discovery_env *env, void **state,
                        struct strbuf *why)
{
    const struct dns_discovery_config *config = settings;
    if (ares_library_init(ARES_LIB_INIT_ALL) != ARES_SUCCESS)
        return err_fail(why, ERR_IO, "the resolver library cannot be used");
    struct dns_discovery *dns = MEM_NEW(MEM_DISCOVERY, struct dns_discovery);
    dns->config = config;
    dns->env = env;
    dns->metrics = dns_metrics(env->metrics);
    dns->type = parse_type(config->type);
    dns->names = MEM_NEW_ARRAY(MEM_DISCOVERY, struct dns_name, config->name_count);
    for (uint32_t i = 0; i < config->name_count; i++) {
        dns->names[i].dns = dns;
        dns->names[i].name = config->names[i];
        arena_init(&dns->names[i].arena, MEM_DISCOVERY, SIZE_MAX);
    }
    *state = dns;
    return OK;
}

static void dns_destroy(void *state)
{
    struct dns_discovery *dns = state;
    for (uint32_t i = 0; i < dns->config->name_count; i++)
        arena_deinit(&dns->names[i].arena);
    mem_free(MEM_DISCOVERY, dns->names);
    mem_free(MEM_DISCOVERY, dns);
    ares_library_cleanup();
}

/* ---- answers ---- */

static void add_record(void *context, const struct dns_record *record)
{
    struct dns_name *name = context;
    struct arena *arena = &name->made_arena;
    struct discovery_labels labels = {0};
    struct strbuf address = STRBUF_INIT;
    struct str text = arena_str(arena, record->text);
    struct str host = text;
    int64_t target_port = name->dns->config->port;
    switch (record->type) {
    case DNS_SRV:
        target_port = record->port;
        discovery_labels_add(&labels, STR("__meta_dns_srv_record_target"), text);
        discovery_labels_add(&labels, STR("__meta_dns_srv_record_port"),
                             arena_printf(arena, "%u", record->port));
        break;
    case DNS_MX:
        discovery_labels_add(&labels, STR("__meta_dns_mx_record_target"), text);
        break;
    case DNS_NS:
        discovery_labels_add(&labels, STR("__meta_dns_ns_record_target"), text);
        break;
    default:
        break;
    }
    while (host.size > 0 && host.data[host.size - 1] == '.')
        host.size--;
    discovery_labels_add(&labels, STR("__meta_dns_name"), arena_str(arena, name->name));
    discovery_address_add(&address, host, target_port);
    discovery_targets_add(&name->made, &labels, strbuf_str(&address), arena);
    discovery_labels_deinit(&labels);
    strbuf_deinit(&address);
}

static void drop_made(struct dns_name *name)
{
    arena_deinit(&name->made_arena);
    discovery_targets_deinit(&name->made);
}

static bool read_answer(struct dns_name *name, const unsigned char *message, size_t size)
{
    struct strbuf why = STRBUF_INIT;
    arena_init(&name->made_arena, MEM_DISCOVERY, SIZE_MAX);
    bool good = dns_message_read(message, size, add_record, name, &why) == OK;
    if (!good) {
        strbuf_clear(&name->fault);
        strbuf_add_str(&name->fault, strbuf_str(&why));
        drop_made(name);
    }
    strbuf_deinit(&why);
    return good;
}

/* ---- lookups ---- */

static void close_lookup(struct dns_name *name)
{
    name->open = false;
    name->dns->open_count--;
}

static void on_answer(void *context, int status, int timeouts, unsigned char *message, int size);

/* Asks for the next candidate; without one the name has no records, or was not answered for. */
static void ask_next(struct dns_name *name)
{
    struct dns_discovery *dns = name->dns;
    if (name->candidate == resolver_candidate_count(&dns->conf, name->name)) {
        name->answered = name->fault.size == 0;
        if (name->answered)
            arena_init(&name->made_arena, MEM_DISCOVERY, SIZE_MAX);
        close_lookup(name);
        return;
    }
    struct strbuf candidate = STRBUF_INIT;
    resolver_candidate_add(&dns->conf, name->name, name->candidate++, &candidate);
    ares_query(dns->channel, strbuf_cstr(&candidate), CLASS_INTERNET, (int)dns->type, on_answer,
               name);
    strbuf_deinit(&candidate);
}

static void on_answer(void *context, int status, int timeouts, unsigned char *message, int size)
{
    (void)timeouts;
    struct dns_name *name = context;
    switch (status) {
    case ARES_SUCCESS:
    case ARES_ENODATA:
        if (read_answer(name, message, (size_t)size)) {
            name->answered = true;
            close_lookup(name);
            return;
        }
        break;
    case ARES_ENOTFOUND:
        break;
    case ARES_ECANCELLED:
    case ARES_EDESTRUCTION:
        close_lookup(name);
        return;
    default:
        strbuf_clear(&name->fault);
        strbuf_add_cstr(&name->fault, ares_strerror(status));
        break;
    }
    ask_next(name);
}

/* ARES_FLAG_EDNS: larger answers over UDP; those that are cut are asked for again over TCP. */
static err_t open_channel(struct dns_discovery *dns, struct strbuf *why)
{
    struct ares_options options = {
        .flags = ARES_FLAG_EDNS | ARES_FLAG_NOSEARCH | ARES_FLAG_NOALIASES,
        .timeout = SERVER_TIMEOUT_MS,
        .tries = 1,
        .ednspsz = EDNS_BYTES,
    };
    int status =
        ares_init_options(&dns->channel, &options,
                          ARES_OPT_FLAGS | ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_EDNSPSZ);
    if (status != ARES_SUCCESS)
        return err_fail(why, ERR_IO, "the resolver cannot be set up: %s", ares_strerror(status));
    status = ares_set_servers_ports_csv(dns->channel, dns->conf.servers.data);
    if (status != ARES_SUCCESS) {
        ares_destroy(dns->channel);
        return err_fail(why, ERR_INVALID, "the resolver's servers \"%s\" cannot be used: %s",
                        dns->conf.servers.data, ares_strerror(status));
    }
    return OK;
}

static void poll_once(struct dns_discovery *dns)
{
    ares_socket_t sockets[ARES_GETSOCK_MAXNUM];
    struct pollfd fds[ARES_GETSOCK_MAXNUM + 1];
    /* Readable in the low half, writable in the high one; c-ares' macros shift into the sign. */
    unsigned wanted = (unsigned)ares_getsock(dns->channel, sockets, ARES_GETSOCK_MAXNUM);
    nfds_t count = 0;
    for (int i = 0; i < ARES_GETSOCK_MAXNUM; i++) {
        bool reads = (wanted >> i & 1) != 0;
        bool writes = (wanted >> (i + ARES_GETSOCK_MAXNUM) & 1) != 0;
        short events = (short)((reads ? POLLIN : 0) | (writes ? POLLOUT : 0));
        if (events != 0)
            fds[count++] = (struct pollfd){.fd = sockets[i], .events = events};
    }
    nfds_t own_count = count;
    fds[count++] = (struct pollfd){.fd = dns->env->stop_fd, .events = POLLIN};
    struct timeval most = {.tv_sec = POLL_MS_MAX / 1000};
    struct timeval space;
    const struct timeval *left = ares_timeout(dns->channel, &most, &space);
    int ready = poll(fds, count, (int)(left->tv_sec * 1000 + left->tv_usec / 1000 + 1));
    for (nfds_t i = 0; ready > 0 && i < own_count; i++) {
        bool failed = (fds[i].revents & (POLLERR | POLLHUP)) != 0;
        bool readable = failed || (fds[i].revents & POLLIN) != 0;
        bool writable = failed || (fds[i].revents & POLLOUT) != 0;
        if (readable || writable)
            ares_process_fd(dns->channel, readable ? fds[i].fd : ARES_SOCKET_BAD,
                            writable ? fds[i].fd : ARES_SOCKET_BAD);
    }
    ares_process_fd(dns->channel, ARES_SOCKET_BAD, ARES_SOCKET_BAD); /* what ran out of time */
}

static bool is_canceled(const struct dns_discovery *dns)
{
    return dns->env->cancel != NULL && atomic_load_explicit(dns->env->cancel, memory_order_relaxed);
}

static err_t look_up(struct dns_discovery *dns, struct strbuf *why)
{
    if (dns->conf.server_count == 0)
        return err_fail(why, ERR_INVALID, "no servers in the resolver's file");
    TRY(open_channel(dns, why));
    dns->open_count = dns->config->name_count;
    for (uint32_t i = 0; i < dns->config->name_count; i++) {
        dns->names[i].open = true;
        ask_next(&dns->names[i]);
    }
    while (dns->open_count > 0 && !is_canceled(dns))
        poll_once(dns);
    err_t err = dns->open_count > 0 ? err_fail(why, ERR_CANCELED, "context canceled") : OK;
    ares_destroy(dns->channel); /* ends the open lookups */
    return err;
}

/* Takes over what was found, and says what was not. */
static void finish_name(struct dns_name *name)
{
    const struct dns_discovery *dns = name->dns;
    if (dns->metrics.lookups != NULL)
        metric_add(dns->metrics.lookups, 1);
    if (name->answered) {
        arena_deinit(&name->arena);
        name->arena = name->made_arena;
        name->groups = (struct discovered_groups){.arena = &name->arena};
        discovery_targets_finish(&name->made, (struct labels){0}, &name->groups);
        discovery_targets_deinit(&name->made);
        return;
    }
    struct strbuf why = STRBUF_INIT;
    struct strbuf text = STRBUF_INIT;
    strbuf_add_str(&text, name->name);
    strbuf_printf(&why,
                  "could not resolve \"%s\": all servers responded with errors to at least one "
                  "search domain: %s",
                  strbuf_cstr(&text), strbuf_cstr(&name->fault));
    LOG_ERROR("Error refreshing DNS targets", "discovery", "dns", "name", strbuf_cstr(&text), "err",
              strbuf_cstr(&why));
    if (dns->metrics.failures != NULL)
        metric_add(dns->metrics.failures, 1);
    strbuf_deinit(&text);
    strbuf_deinit(&why);
}

static err_t dns_refresh(void *state, struct discovered_groups *groups, struct strbuf *why)
{
    struct dns_discovery *dns = state;
    struct strbuf fault = STRBUF_INIT;
    const char *path = getenv("NARTHEX_RESOLV_CONF");
    for (uint32_t i = 0; i < dns->config->name_count; i++) {
        dns->names[i].candidate = 0;
        dns->names[i].answered = false;
    }
    err_t err = resolver_conf_read(path == NULL ? "/etc/resolv.conf" : path, &dns->conf, &fault);
    if (err == OK)
        err = look_up(dns, &fault);
    for (uint32_t i = 0; i < dns->config->name_count; i++) {
        struct dns_name *name = &dns->names[i];
        if (err != OK && err != ERR_CANCELED)
            strbuf_add_str(&name->fault, strbuf_str(&fault));
        if (err == ERR_CANCELED && name->answered)
            drop_made(name);
        else if (err != ERR_CANCELED)
            finish_name(name);
        strbuf_deinit(&name->fault);
        for (uint32_t k = 0; k < name->groups.count; k++)
            discovered_groups_add_copy(groups, &name->groups.items[k]);
    }
    if (err == ERR_CANCELED)
        strbuf_add_str(why, strbuf_str(&fault));
    strbuf_deinit(&fault);
    resolver_conf_deinit(&dns->conf);
    return err == ERR_CANCELED ? err : OK;
}

static int64_t dns_interval_ms(const void *state)
{
    const struct dns_discovery *dns = state;
    return dns->config->refresh_interval_ms;
}

const struct discovery_mechanism discovery_dns = {
    .name = STR_INIT("dns"),
    .register_metrics = dns_register_metrics,
    .create = dns_create,
    .destroy = dns_destroy,
    .refresh = dns_refresh,
    .interval_ms = dns_interval_ms,
};
