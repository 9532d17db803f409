/* Health, lifecycle, own metrics, the start page. */
#include "negotiate.h"
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

/* Only text is written here; its names are legal in every escaping. */
static void text_format(struct http_request *request)
{
    struct exposition_form form = negotiate__exposition(request);
    request->response.status = 200;
    request->response.content_type =
        form.protobuf ? "text/plain; version=0.0.4; charset=utf-8; escaping=underscores"
                      : form.content_type;
}

static bool is_wanted(const struct str *names, size_t count, struct str name)
{
    for (size_t i = 0; i < count; i++) {
        if (str_equal(names[i], name))
            return true;
    }
    return false;
}

/* Keeps the families whose names were asked for; each begins with its HELP or TYPE line. */
static void keep_families(struct strbuf *text, const struct str *names, size_t count)
{
    struct strbuf kept = STRBUF_INIT;
    struct str family = STR("");
    bool wanted = false;
    for (size_t at = 0; at < text->size;) {
        size_t end = str_find(strbuf_str(text), '\n', at);
        end = end == SIZE_MAX ? text->size : end + 1;
        struct str line = str_from(text->data + at, end - at);
        at = end;
        if (str_starts_with(line, STR("# HELP ")) || str_starts_with(line, STR("# TYPE "))) {
            size_t blank = str_find(line, ' ', STR("# HELP ").size);
            struct str name =
                str_from(line.data + STR("# HELP ").size,
                         (blank == SIZE_MAX ? line.size : blank) - STR("# HELP ").size);
            if (!str_equal(name, family))
                wanted = is_wanted(names, count, name);
            family = name;
        }
        if (wanted)
            strbuf_add_str(&kept, line);
    }
    strbuf_deinit(text);
    *text = kept;
}

void http__metrics(struct http_request *request)
{
    struct strbuf *body = &request->response.body;
    struct str *names;
    size_t count = http__params_all(request, "name[]", &names);
    text_format(request);
    exposition_write_metrics(body, request->services->metrics);
    request->services->process_metrics(request->services->owner, body);
    if (count > 0)
        keep_families(body, names, count);
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
