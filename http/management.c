/* Health, lifecycle, own metrics, the start page. */
#include "request.h"

#include "narthex/base/metrics.h"
#include "narthex/model/exposition_writer.h"

/* Prometheus answers HEAD without looking for a body. */
static void without_type_of_head(struct http_request *request)
{
    if (request->method == HTTP_HEAD)
        request->response.content_type = NULL;
}

void http__healthy(struct http_request *request)
{
    http__plain(request, 200, "Prometheus Server is Healthy.\n");
    without_type_of_head(request);
}

void http__ready(struct http_request *request)
{
    http__plain(request, 200, "Prometheus Server is Ready.\n");
    without_type_of_head(request);
}

static bool lifecycle_is_on(struct http_request *request)
{
    if (request->method != HTTP_POST && request->method != HTTP_PUT) {
        http__plain(request, 405, "Only POST or PUT requests allowed");
        return false;
    }
    if (!request->options->enable_lifecycle)
        http__plain(request, 403, "Lifecycle API is not enabled.");
    return request->options->enable_lifecycle;
}

void http__reload(struct http_request *request)
{
    struct strbuf why = STRBUF_INIT;
    struct strbuf text = STRBUF_INIT;
    if (!lifecycle_is_on(request))
        return;
    if (request->services->reload(request->services->owner, &why) != OK) {
        strbuf_printf(&text, "failed to reload config: %s\n", strbuf_cstr(&why));
        http__text(request, 500, strbuf_cstr(&text));
    } else {
        http__plain(request, 200, "");
        request->response.content_type = NULL;
    }
    strbuf_deinit(&text);
    strbuf_deinit(&why);
}

void http__quit(struct http_request *request)
{
    if (!lifecycle_is_on(request))
        return;
    http__plain(request, 200, "Requesting termination... Goodbye!");
    request->services->quit(request->services->owner);
}

static void text_format(struct http_request *request)
{
    request->response.status = 200;
    request->response.content_type = "text/plain; version=0.0.4; charset=utf-8; "
                                     "escaping=underscores";
}

void http__metrics(struct http_request *request)
{
    text_format(request);
    exposition_write_metrics(&request->response.body, request->services->metrics);
    request->services->process_metrics(request->services->owner, &request->response.body);
}

void http__host_metrics(struct http_request *request)
{
    text_format(request);
    request->services->host_metrics(request->services->owner, &request->response.body);
}

static const char start_page[] =
    "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n"
    "<title>Narthex</title>\n"
    "<style>body{font:16px/1.5 sans-serif;max-width:46em;margin:3em auto;padding:0 1em}"
    "code{background:#eee;padding:.1em .3em}</style></head><body>\n"
    "<h1>Narthex " NARTHEX_VERSION "</h1>\n"
    "<p>Metrics collector, time-series database and PromQL engine, answering as Prometheus "
    "3.14 does. Point Grafana or any Prometheus client at this address.</p>\n"
    "<ul>\n"
    "<li><a href=\"api/v1/query?query=up\">api/v1/query?query=up</a></li>\n"
    "<li><a href=\"api/v1/query?query=rate(node_cpu_seconds_total%5B1m%5D)\">"
    "rate(node_cpu_seconds_total[1m])</a></li>\n"
    "<li><a href=\"api/v1/targets\">api/v1/targets</a></li>\n"
    "<li><a href=\"api/v1/label/__name__/values\">api/v1/label/__name__/values</a></li>\n"
    "<li><a href=\"api/v1/metadata\">api/v1/metadata</a></li>\n"
    "<li>status: <a href=\"api/v1/status/runtimeinfo\">runtime</a>, "
    "<a href=\"api/v1/status/buildinfo\">build</a>, "
    "<a href=\"api/v1/status/config\">configuration</a>, "
    "<a href=\"api/v1/status/flags\">flags</a>, "
    "<a href=\"api/v1/status/tsdb\">head</a></li>\n"
    "<li><a href=\"metrics\">metrics</a> of this server, "
    "<a href=\"metrics/host\">of this host</a></li>\n"
    "<li><a href=\"-/healthy\">-/healthy</a>, <a href=\"-/ready\">-/ready</a></li>\n"
    "</ul></body></html>\n";

void http__start_page(struct http_request *request)
{
    request->response.status = 200;
    request->response.content_type = "text/html; charset=utf-8";
    strbuf_add_cstr(&request->response.body, start_page);
}
