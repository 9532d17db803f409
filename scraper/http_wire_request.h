/* Requests as bytes, for targets that are asked without libcurl: plain HTTP/1.1, no proxy, no
 * OAuth2, secrets given in the configuration itself. Pure functions. */
#pragma once

#include "narthex/scraper/http_client.h"

/* What a request needs of a URL; views of it. */
struct http_wire_url {
    struct str authority; /* host and port: whom to connect to */
    struct str target;    /* path and query; may be empty or begin with '?' */
};

/* False when the URL is not one of the plain kind (other scheme, user, fragment, bytes that curl
 * would have to judge). */
bool http_wire_url_parse(struct str url, struct http_wire_url *out);

/* Whether requests of this client can be written so; asked once a scrape, cheap. */
bool http_client_is_plain(const struct http_client *client);

/* Replaces *out by the whole request. The client is plain; header values are fit to be sent. */
void http_wire_request_write(const struct http_client *client, const struct http_wire_url *url,
                             const struct name_value *headers, size_t header_count,
                             struct strbuf *out);
