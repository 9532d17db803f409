/* http/global_url.h: targets' URLs as others reach them. */
#pragma once

#include "request.h"

struct http_external {
    struct str url;      /* --web.external-url, or of the host name and the first port */
    struct str own_port; /* of the first listen address */
};

void http__external(struct http_request *request, struct http_external *external);
/* Appends `url`; a loopback host (127.0.0.1, ::1, localhost) becomes the external URL's, and with
 * our own port its scheme and port too. */
void http__global_url(struct str url, const struct http_external *external, struct strbuf *out);
