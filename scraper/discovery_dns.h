/* Inside of dns_sd: the resolver file and answers on the wire. */
#pragma once

#include <stdint.h>

#include "narthex/base/arena.h"
#include "narthex/base/err.h"

enum { RESOLVER_SERVERS_MAX = 8, RESOLVER_SEARCH_MAX = 32 };

/* What /etc/resolv.conf says (resolv.conf(5)). One owner. */
struct resolver_conf {
    struct arena arena;
    struct str servers; /* "127.0.0.1:53,[::1]:53"; NUL-terminated */
    uint32_t server_count;
    struct str search[RESOLVER_SEARCH_MAX]; /* without dots at the end */
    uint32_t search_count;
    uint32_t ndots;
};
err_t resolver_conf_read(const char *path, struct resolver_conf *conf, struct strbuf *why);
/* Lines that mean nothing are passed over. Besides plain addresses `nameserver [address]:port` is
 * understood. */
void resolver_conf_parse(struct str text, struct resolver_conf *conf);
void resolver_conf_deinit(struct resolver_conf *conf);
/* How many names are to be tried for `name`. */
uint32_t resolver_candidate_count(const struct resolver_conf *conf, struct str name);
/* Appends the name to try as number `index`. */
void resolver_candidate_add(const struct resolver_conf *conf, struct str name, uint32_t index,
                            struct strbuf *out);

enum dns_type { DNS_A = 1, DNS_NS = 2, DNS_CNAME = 5, DNS_MX = 15, DNS_AAAA = 28, DNS_SRV = 33 };

/* One record of an answer. */
struct dns_record {
    uint16_t type;
    uint16_t port;   /* SRV */
    struct str text; /* the address, or the target's name with a dot at its end */
};
/* Calls take() for each A, AAAA, MX, NS and SRV record of the answer section; `record` lives until
 * it returns. Returns ERR_INVALID at bytes that are no answer, perhaps after some calls. */
err_t dns_message_read(const unsigned char *message, size_t size,
                       void (*take)(void *context, const struct dns_record *record), void *context,
                       struct strbuf *why);
