/* exporters/exporter_http.h: the exporter program's HTTP side. */
#pragma once

#include <stdint.h>

#include "narthex/base/err.h"
#include "narthex/exporters/host_exporter.h"

struct exporter_http;

struct exporter_http_options {
    const char *listen_address; /* "host:port", ":port", "[v6]:port"; port 0 takes a free one */
    const char *telemetry_path; /* begins with a slash; outlives the server */
};

/* Starts answering; the exporter outlives the server. */
err_t exporter_http_start(const struct exporter_http_options *options,
                          struct host_exporter *exporter, struct exporter_http **http,
                          struct strbuf *why);
/* Answers what is under way and ends. */
void exporter_http_stop(struct exporter_http *http);
/* The port it listens on. */
uint16_t exporter_http_port(const struct exporter_http *http);
