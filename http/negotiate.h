/* http/negotiate.h: the form of expositions that a client wants (spec http-api.md 2, /metrics and
 * /federate). */
#pragma once

#include <stdbool.h>

#include "narthex/model/labels.h"
#include "request.h"

struct exposition_form {
    bool protobuf; /* length-delimited MetricFamily messages, else text */
    enum name_escaping escaping;
    const char *content_type; /* in the request's arena */
};

/* The first of what Accept prefers that can be given; text 0.0.4 with underscores otherwise.
 * OpenMetrics is not among it, as in Prometheus. */
struct exposition_form negotiate__exposition(struct http_request *request);
