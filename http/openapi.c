/* /api/v1/openapi.json and .yaml: the API as an OpenAPI document, made from the table of routes and
 * their descriptions. JSON is YAML too, so both have the same bytes. */
#include "openapi.h"

#include "api_description.h"
#include "request.h"

static void add_text(struct strbuf *out, const char *text)
{
    json_add_string(out, str_from_cstr(text), false);
}

static const struct api_description *description_of(const char *path)
{
    for (size_t i = 0; i < api_description_count; i++) {
        if (strcmp(api_descriptions[i].path, path) == 0)
            return &api_descriptions[i];
    }
    return NULL;
}

static void add_schema(struct strbuf *out, const struct api_parameter *parameter)
{
    if ((parameter->flags & API_REPEATED) != 0)
        strbuf_printf(out, "{\"type\":\"array\",\"items\":{\"type\":\"%s\"}}", parameter->type);
    else
        strbuf_printf(out, "{\"type\":\"%s\"}", parameter->type);
}

/* The parameter in a path such as /label/:name/values: its name, and "" when there is none. */
static struct str path_parameter(const char *path)
{
    const char *colon = strchr(path, ':');
    if (colon == NULL)
        return STR("");
    return str_from(colon + 1, strcspn(colon + 1, "/"));
}

static void add_url_parameters(struct strbuf *out, const struct api_description *d, bool in_form)
{
    struct str in_path = path_parameter(d->path);
    bool first = true;
    strbuf_add_cstr(out, "\"parameters\":[");
    if (in_path.size > 0) {
        strbuf_printf(out,
                      "{\"name\":\"%.*s\",\"in\":\"path\",\"required\":true,"
                      "\"schema\":{\"type\":\"string\"}}",
                      STR_ARG(in_path));
        first = false;
    }
    for (size_t i = 0; d->parameters != NULL && d->parameters[i] != NULL; i++) {
        const struct api_parameter *p = d->parameters[i];
        if (in_form && (p->flags & API_URL_ONLY) == 0)
            continue;
        strbuf_add_cstr(out, first ? "{\"name\":" : ",{\"name\":");
        first = false;
        add_text(out, p->name);
        strbuf_printf(out, ",\"in\":\"query\",\"required\":%s,\"description\":",
                      (p->flags & API_REQUIRED) != 0 ? "true" : "false");
        add_text(out, p->text);
        strbuf_add_cstr(out, ",\"schema\":");
        add_schema(out, p);
        strbuf_add_char(out, '}');
    }
    strbuf_add_char(out, ']');
}

static void add_body(struct strbuf *out, const struct api_description *d)
{
    if (d->body_type != NULL) {
        strbuf_printf(out, ",\"requestBody\":{\"content\":{\"%s\":{}}}", d->body_type);
        return;
    }
    bool first = true;
    for (size_t i = 0; d->parameters != NULL && d->parameters[i] != NULL; i++) {
        const struct api_parameter *p = d->parameters[i];
        if ((p->flags & API_URL_ONLY) != 0)
            continue;
        strbuf_add_cstr(out, first ? ",\"requestBody\":{\"content\":{"
                                     "\"application/x-www-form-urlencoded\":{\"schema\":{"
                                     "\"type\":\"object\",\"properties\":{"
                                   : ",");
        first = false;
        add_text(out, p->name);
        strbuf_add_char(out, ':');
        add_schema(out, p);
    }
    if (!first)
        strbuf_add_cstr(out, "}}}}}");
}

static void add_answers(struct strbuf *out, const struct api_description *d, bool is_api)
{
    if (d->media_type == NULL)
        strbuf_add_cstr(out, ",\"responses\":{\"204\":{\"description\":\"Done\"}");
    else
        strbuf_printf(out,
                      ",\"responses\":{\"200\":{\"description\":\"Success\",\"content\":{"
                      "\"%s\":{\"schema\":%s}}}",
                      d->media_type,
                      is_api && strcmp(d->media_type, "application/json") == 0
                          ? "{\"$ref\":\"#/components/schemas/Success\"}"
                          : "{\"type\":\"string\"}");
    if (is_api)
        strbuf_add_cstr(out, ",\"default\":{\"description\":\"Failure\",\"content\":{"
                             "\"application/json\":{\"schema\":{"
                             "\"$ref\":\"#/components/schemas/Error\"}}}}");
    strbuf_add_char(out, '}');
}

/* "getApiV1LabelNameValues" */
static void add_operation_id(struct strbuf *out, const char *method, const char *path)
{
    bool upper = true;
    strbuf_add_cstr(out, method);
    for (; *path != '\0'; path++) {
        bool letter = (*path >= 'a' && *path <= 'z') || (*path >= '0' && *path <= '9');
        if (letter)
            strbuf_add_char(out, (char)(upper && *path >= 'a' ? *path - 32 : *path));
        upper = !letter;
    }
}

static void add_route(struct strbuf *out, const struct http_route *route,
                      const struct api_description *d)
{
    static const struct {
        unsigned flag;
        const char *name;
    } methods[] = {
        {ROUTE_GET, "get"}, {ROUTE_HEAD, "head"}, {ROUTE_POST, "post"}, {ROUTE_PUT, "put"}};
    struct str in_path = path_parameter(route->path);
    size_t before =
        in_path.size == 0 ? strlen(route->path) : (size_t)(in_path.data - 1 - route->path);
    strbuf_printf(out, "\"%.*s", (int)before, route->path);
    if (in_path.size > 0)
        strbuf_printf(out, "{%.*s}%s", STR_ARG(in_path), in_path.data + in_path.size);
    strbuf_add_cstr(out, "\":{");
    bool first = true;
    for (size_t i = 0; i < sizeof methods / sizeof *methods; i++) {
        if ((route->flags & methods[i].flag) == 0)
            continue;
        bool in_form = methods[i].flag == ROUTE_POST || methods[i].flag == ROUTE_PUT;
        strbuf_printf(out, "%s\"%s\":{\"operationId\":\"", first ? "" : ",", methods[i].name);
        first = false;
        add_operation_id(out, methods[i].name, route->path);
        strbuf_printf(out, "\",\"tags\":[\"%s\"],\"summary\":", d->tag);
        add_text(out, d->summary);
        strbuf_add_char(out, ',');
        add_url_parameters(out, d, in_form && d->body_type == NULL);
        if (in_form)
            add_body(out, d);
        add_answers(out, d, (route->flags & ROUTE_API) != 0);
        strbuf_add_char(out, '}');
    }
    strbuf_add_char(out, '}');
}

bool openapi__write(struct strbuf *out, const char *version, const char *server_path)
{
    bool whole = true;
    strbuf_printf(out,
                  "{\"openapi\":\"%s\",\"info\":{\"title\":\"Narthex\",\"version\":\"%s\","
                  "\"description\":\"The HTTP API of Prometheus 3.14 and a few additions.\"},"
                  "\"servers\":[{\"url\":",
                  version, NARTHEX_VERSION);
    add_text(out, server_path);
    strbuf_add_cstr(out, "}],\"paths\":{");
    for (size_t i = 0; i < http_route_count; i++) {
        const struct api_description *d = description_of(http_routes[i].path);
        whole = whole && d != NULL;
        if (d == NULL)
            continue;
        if (i > 0)
            strbuf_add_char(out, ',');
        add_route(out, &http_routes[i], d);
    }
    strbuf_add_cstr(
        out, "},\"components\":{\"schemas\":{"
             "\"Success\":{\"type\":\"object\",\"required\":[\"status\"],\"properties\":{"
             "\"status\":{\"const\":\"success\"},\"data\":{},"
             "\"warnings\":{\"type\":\"array\",\"items\":{\"type\":\"string\"}},"
             "\"infos\":{\"type\":\"array\",\"items\":{\"type\":\"string\"}}}},"
             "\"Error\":{\"type\":\"object\",\"required\":[\"status\",\"errorType\",\"error\"],"
             "\"properties\":{\"status\":{\"const\":\"error\"},"
             "\"errorType\":{\"enum\":[\"bad_data\",\"execution\",\"canceled\",\"timeout\","
             "\"internal\",\"unavailable\",\"not_found\"]},"
             "\"error\":{\"type\":\"string\"}}}}}}");
    return whole;
}

static void answer(struct http_request *request, const char *media_type)
{
    bool newer = str_equal(http__param(request, "openapi_version"), STR("3.2"));
    const char *prefix = request->options->route_prefix;
    request->response.status = 200;
    request->response.content_type = media_type;
    openapi__write(&request->response.body, newer ? "3.2.0" : "3.1.0",
                   prefix == NULL ? "/" : prefix);
}

void http__openapi_json(struct http_request *request)
{
    answer(request, "application/json");
}

void http__openapi_yaml(struct http_request *request)
{
    answer(request, "application/yaml; charset=utf-8");
}
