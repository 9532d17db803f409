/* Talking to the Docker Engine, and the parts of its answers that both mechanisms read. */
#include <stdio.h>
#include <string.h>

#include "discovery_docker.h"
#include "narthex/base/hash.h"
#include "narthex/base/mem.h"
#include "narthex/base/vec.h"

enum {
    ANSWER_BYTES_MAX = 32 << 20,
    FAULT_BYTES_MAX = 512, /* of the Engine's message that an error quotes */
    API_MAJOR = 1,
    API_MINOR_MAX = 52,
};

/* ---- the host ---- */

err_t docker_host_parse(struct str host, struct strbuf *base_url, struct str *unix_socket,
                        bool *takes_http_block, struct strbuf *why)
{
    size_t colon = str_find(host, ':', 0);
    bool has_scheme = colon != SIZE_MAX && host.size > colon + 3 && host.data[colon + 1] == '/' &&
                      host.data[colon + 2] == '/';
    struct str scheme = has_scheme ? str_from(host.data, colon) : STR("");
    struct str rest = has_scheme ? str_from(host.data + colon + 3, host.size - colon - 3) : STR("");
    *unix_socket = STR("");
    *takes_http_block = false;
    if (str_equal(scheme, STR("unix"))) {
        *unix_socket = rest;
        strbuf_add_cstr(base_url, "http://docker");
        return OK;
    }
    *takes_http_block = str_equal(scheme, STR("http")) || str_equal(scheme, STR("https"));
    if (!*takes_http_block && !str_equal(scheme, STR("tcp"))) {
        strbuf_clear(why);
        strbuf_add_cstr(why, "unable to parse docker host ");
        strbuf_add_quoted(why, host);
        return ERR_INVALID;
    }
    while (rest.size > 0 && rest.data[rest.size - 1] == '/')
        rest.size--;
    strbuf_add_str(base_url, *takes_http_block ? scheme : STR("http"));
    strbuf_add_cstr(base_url, "://");
    strbuf_add_str(base_url, rest);
    return OK;
}

err_t docker_api_create(const void *settings, const struct discovery_env *env, void **state,
                        struct strbuf *why)
{
    const struct docker_discovery_config *config = settings;
    struct docker_api *api = MEM_NEW(MEM_DISCOVERY, struct docker_api);
    *api = (struct docker_api){.config = config, .env = env};
    bool takes_http_block;
    err_t err =
        docker_host_parse(config->host, &api->base_url, &api->unix_socket, &takes_http_block, why);
    if (err == OK)
        err = http_client_create(takes_http_block ? &config->http : &api->plain, &api->client, why);
    if (err == OK) {
        *state = api;
        return OK;
    }
    strbuf_deinit(&api->base_url);
    mem_free(MEM_DISCOVERY, api);
    return err;
}

void docker_api_destroy(void *state)
{
    struct docker_api *api = state;
    http_client_destroy(api->client);
    strbuf_deinit(&api->base_url);
    mem_free(MEM_DISCOVERY, api);
}

/* ---- requests ---- */

static err_t fetch(struct docker_api *api, const struct strbuf *url, struct http_answer *answer,
                   struct strbuf *body, struct strbuf *why)
{
    static const struct name_value headers[] = {
        {STR_INIT("User-Agent"), STR_INIT("Prometheus/3.14.0")}};
    struct http_request request = {
        .url = strbuf_str(url),
        .unix_socket = api->unix_socket,
        .headers = headers,
        .header_count = sizeof headers / sizeof headers[0],
        .wanted_header = STR("Api-Version"),
        .timeout_ms = api->config->refresh_interval_ms,
        .cancel = api->env->cancel,
    };
    return http_client_fetch(api->client, &request, ANSWER_BYTES_MAX, answer, body, why);
}

/* The Engine's version, or ours if that is lower. */
static void choose_version(struct docker_api *api, const char *offered)
{
    unsigned major;
    unsigned minor;
    char end;
    api->version[0] = '\0';
    if (sscanf(offered, "%3u.%4u%c", &major, &minor, &end) != 2 || major != API_MAJOR)
        return;
    if (minor > API_MINOR_MAX)
        minor = API_MINOR_MAX;
    snprintf(api->version, sizeof api->version, "/v%u.%u", major, minor);
}

err_t docker_api_negotiate(struct docker_api *api, struct strbuf *why)
{
    struct strbuf url = STRBUF_INIT;
    struct strbuf body = STRBUF_INIT;
    struct http_answer answer;
    strbuf_add_str(&url, strbuf_str(&api->base_url));
    strbuf_add_cstr(&url, "/_ping");
    err_t err = fetch(api, &url, &answer, &body, why);
    if (err == OK)
        choose_version(api, answer.wanted_header);
    strbuf_deinit(&body);
    strbuf_deinit(&url);
    return err;
}

static void add_json_text(struct strbuf *out, struct str text)
{
    strbuf_add_char(out, '"');
    for (size_t i = 0; i < text.size; i++) {
        unsigned char c = (unsigned char)text.data[i];
        if (c == '"' || c == '\\')
            strbuf_add_char(out, '\\');
        if (c < 0x20)
            strbuf_printf(out, "\\u%04x", c);
        else
            strbuf_add_char(out, (char)c);
    }
    strbuf_add_char(out, '"');
}

static bool is_first_of_name(const struct docker_discovery_config *config, uint32_t index)
{
    for (uint32_t i = 0; i < index; i++) {
        if (str_equal(config->filters[i].name, config->filters[index].name))
            return false;
    }
    return true;
}

/* {"name":["value",…],…}: filters of one name are one member. */
static void add_filters(const struct docker_discovery_config *config, struct strbuf *url)
{
    struct strbuf json = STRBUF_INIT;
    for (uint32_t i = 0; i < config->filter_count; i++) {
        if (!is_first_of_name(config, i))
            continue;
        strbuf_add_char(&json, json.size == 0 ? '{' : ',');
        add_json_text(&json, config->filters[i].name);
        strbuf_add_cstr(&json, ":[");
        bool first = true;
        for (uint32_t k = i; k < config->filter_count; k++) {
            if (!str_equal(config->filters[i].name, config->filters[k].name))
                continue;
            for (uint32_t v = 0; v < config->filters[k].value_count; v++, first = false) {
                strbuf_add_cstr(&json, first ? "" : ",");
                add_json_text(&json, config->filters[k].values[v]);
            }
        }
        strbuf_add_char(&json, ']');
    }
    if (json.size > 0) {
        strbuf_add_char(&json, '}');
        strbuf_add_cstr(url, "?filters=");
        discovery_query_add(url, strbuf_str(&json));
    }
    strbuf_deinit(&json);
}

static err_t check_answer(const struct http_answer *answer, struct str body, struct strbuf *why)
{
    if (answer->status == 200)
        return OK;
    struct strbuf ignored = STRBUF_INIT;
    json_t *root = NULL;
    struct str message = STR("");
    if (body.size <= DISCOVERY_ELEMENT_BYTES_MAX &&
        discovery_json_read(body, &root, &ignored) == OK)
        message = discovery_json_get_text(root, "message");
    err_t err;
    if (message.size > 0)
        err = err_fail(why, ERR_IO, "Error response from daemon: %.*s",
                       (int)(message.size < FAULT_BYTES_MAX ? message.size : FAULT_BYTES_MAX),
                       message.data);
    else
        err = err_fail(why, ERR_IO, "server returned HTTP status %u %s", answer->status,
                       answer->reason);
    json_decref(root);
    strbuf_deinit(&ignored);
    return err;
}

err_t docker_api_list(struct docker_api *api, const char *path, bool filtered, const char *what,
                      struct strbuf *body, struct strbuf *why)
{
    struct strbuf url = STRBUF_INIT;
    struct strbuf fault = STRBUF_INIT;
    struct http_answer answer;
    strbuf_add_str(&url, strbuf_str(&api->base_url));
    strbuf_add_cstr(&url, api->version);
    strbuf_add_cstr(&url, path);
    if (filtered)
        add_filters(api->config, &url);
    err_t err = fetch(api, &url, &answer, body, &fault);
    if (err == OK)
        err = check_answer(&answer, strbuf_str(body), &fault);
    if (err != OK)
        (void)err_fail(why, err, "error while listing %s: %s", what, strbuf_cstr(&fault));
    strbuf_deinit(&fault);
    strbuf_deinit(&url);
    return err;
}

/* ---- objects by id ---- */

void docker_objects_init(struct docker_objects *objects)
{
    *objects = (struct docker_objects){0};
    htable_init(&objects->by_id, MEM_DISCOVERY);
}

void docker_objects_deinit(struct docker_objects *objects)
{
    htable_deinit(&objects->by_id);
    mem_free(MEM_DISCOVERY, objects->items);
}

static bool has_id(const void *owner, uint32_t item, const void *key)
{
    const struct docker_objects *objects = owner;
    const struct str *id = key;
    return str_equal(objects->items[item].id, *id);
}

const struct docker_object *docker_objects_find(const struct docker_objects *objects, struct str id)
{
    uint32_t item =
        htable_find(&objects->by_id, hash_xxh64(id.data, id.size), has_id, objects, &id);
    return item == HTABLE_NONE ? NULL : &objects->items[item];
}

void docker_objects_add(struct docker_objects *objects, struct docker_object object)
{
    if (docker_objects_find(objects, object.id) != NULL)
        return;
    VEC_PUSH(MEM_DISCOVERY, objects->items, objects->count, objects->capacity, object);
    htable_insert(&objects->by_id, hash_xxh64(object.id.data, object.id.size), objects->count - 1);
}

void docker_objects_add_labels(const struct docker_objects *objects, struct str id,
                               struct discovery_labels *labels)
{
    const struct docker_object *object = docker_objects_find(objects, id);
    if (object != NULL)
        discovery_labels_add_all(labels, object->labels);
}

/* ---- labels ---- */

void docker_labels_add(struct discovery_labels *labels, struct arena *arena, const char *prefix,
                       const char *name, struct str value)
{
    discovery_labels_add(labels, arena_printf(arena, "%s%s", prefix, name),
                         arena_str(arena, value));
}

void docker_labels_add_map(struct discovery_labels *labels, struct arena *arena, const char *prefix,
                           json_t *map)
{
    const char *key;
    json_t *value;
    json_object_foreach(map, key, value) discovery_labels_add_key(
        labels, arena, prefix, str_from_cstr(key), discovery_json_text(value));
}

struct str docker_bool_text(bool value)
{
    return value ? STR("true") : STR("false");
}

static struct labels network_labels(json_t *network, const char *prefix, struct arena *arena)
{
    struct discovery_labels labels = {0};
    docker_labels_add(&labels, arena, prefix, "network_id", discovery_json_get_text(network, "Id"));
    docker_labels_add(&labels, arena, prefix, "network_name",
                      discovery_json_get_text(network, "Name"));
    docker_labels_add(&labels, arena, prefix, "network_scope",
                      discovery_json_get_text(network, "Scope"));
    docker_labels_add(&labels, arena, prefix, "network_internal",
                      docker_bool_text(discovery_json_get_bool(network, "Internal")));
    docker_labels_add(&labels, arena, prefix, "network_ingress",
                      docker_bool_text(discovery_json_get_bool(network, "Ingress")));
    char label_prefix[64];
    snprintf(label_prefix, sizeof label_prefix, "%snetwork_label_", prefix);
    docker_labels_add_map(&labels, arena, label_prefix, json_object_get(network, "Labels"));
    struct labels result = discovery_labels_finish(&labels, arena);
    discovery_labels_deinit(&labels);
    return result;
}

err_t docker_networks_read(struct docker_objects *networks, struct str text, const char *prefix,
                           struct arena *arena, struct strbuf *why)
{
    struct discovery_json_list list = {.text = text};
    json_t *network;
    for (;;) {
        TRY(discovery_json_next(&list, &network, why));
        if (network == NULL)
            return OK;
        struct str id = arena_str(arena, discovery_json_get_text(network, "Id"));
        docker_objects_add(
            networks,
            (struct docker_object){.id = id, .labels = network_labels(network, prefix, arena)});
        json_decref(network);
        if (arena_exhausted(arena))
            return err_fail(why, ERR_LIMIT, "networks need more than %zu bytes",
                            arena->budget_bytes);
    }
}
