/* Objects of any shape, as a Kubernetes API could list and watch them, become label sets that are
 * sorted, without empty values and with valid names; memory is accounted for to the byte. The input
 * steers the writing of JSON with the keys that matter, or is a piece of the stream itself. */
#include <assert.h>
#include <stdlib.h>

#include "discovery_kubernetes_groups.h"
#include "discovery_kubernetes_watch.h"

enum { DEPTH_MAX = 7, MEMBERS_MAX = 6, CACHE_BYTES_MAX = 1 << 16 };

struct input {
    const uint8_t *data;
    size_t size;
};

static uint8_t next(struct input *input)
{
    if (input->size == 0)
        return 0;
    input->size--;
    return *input->data++;
}

static const char *const keys[] = {
    "metadata",
    "spec",
    "status",
    "name",
    "namespace",
    "labels",
    "uid",
    "podIP",
    "nodeName",
    "containers",
    "initContainers",
    "ports",
    "port",
    "addresses",
    "conditions",
    "type",
    "ownerReferences",
    "controller",
    "kind",
    "subsets",
    "targetRef",
    "endpoints",
    "addressType",
    "rules",
    "host",
    "http",
    "paths",
    "path",
    "tls",
    "hosts",
    "protocol",
    "ip",
    "address",
    "annotations",
    "containerPort",
    "clusterIP",
    "loadBalancer",
    "ingress",
    "resourceVersion",
    "ready",
    "deprecatedTopology",
    "notReadyAddresses",
    "ipFamilies",
    "ipFamilyPolicy",
    "daemonEndpoints",
    "kubeletEndpoint",
    "kubernetes.io/service-name",
    "containerStatuses",
    "containerID",
    "image",
    "Port",
};
static const char *const texts[] = {
    "a",     "b",          "",      "Pod",        "Node",         "1.2.3.4",      "fd00::1",
    "*.a.b", "x.a.b",      "Ready", "InternalIP", "ExternalName", "LoadBalancer", "PreferDualStack",
    "IPv4",  "ReplicaSet", "Job",   "\\u00e4\\n", "l/x.y-z",      "CronJob",
};

static void write_value(struct input *input, struct strbuf *out, int depth);

static void write_members(struct input *input, struct strbuf *out, int depth, bool object)
{
    uint8_t count = next(input) % MEMBERS_MAX;
    strbuf_add_char(out, object ? '{' : '[');
    for (uint8_t i = 0; i < count; i++) {
        if (i > 0)
            strbuf_add_char(out, ',');
        if (object)
            strbuf_printf(out, "\"%s\":", keys[next(input) % (sizeof keys / sizeof *keys)]);
        write_value(input, out, depth + 1);
    }
    strbuf_add_char(out, object ? '}' : ']');
}

static void write_value(struct input *input, struct strbuf *out, int depth)
{
    uint8_t choice = depth >= DEPTH_MAX ? 5 : next(input) % 12;
    if (choice < 4)
        write_members(input, out, depth, true);
    else if (choice < 6 && depth < DEPTH_MAX)
        write_members(input, out, depth, false);
    else if (choice < 9)
        strbuf_printf(out, "\"%s\"", texts[next(input) % (sizeof texts / sizeof *texts)]);
    else if (choice == 9)
        strbuf_add_cstr(out, next(input) % 2 == 0 ? "true" : "null");
    else
        strbuf_add_int(out, (int64_t)next(input) - 3);
}

static void write_event(struct input *input, struct strbuf *out)
{
    static const char *const types[] = {"ADDED", "ADDED", "MODIFIED", "DELETED", "BOOKMARK"};
    strbuf_printf(out, "{\"type\":\"%s\",\"object\":{\"metadata\":{\"name\":\"%c\",\"namespace\":",
                  types[next(input) % (sizeof types / sizeof *types)], 'a' + next(input) % 3);
    strbuf_printf(out, "\"%c\",\"labels\":", 'a' + next(input) % 2);
    write_value(input, out, 2);
    strbuf_add_cstr(out, ",\"ownerReferences\":");
    write_value(input, out, 2);
    strbuf_add_cstr(out, "},\"spec\":");
    write_value(input, out, 1);
    strbuf_add_cstr(out, ",\"status\":");
    write_value(input, out, 1);
    strbuf_printf(out, ",\"%s\":", keys[next(input) % (sizeof keys / sizeof *keys)]);
    write_value(input, out, 1);
    strbuf_add_cstr(out, "}}\n");
}

static void check_labels(struct labels labels)
{
    for (uint32_t i = 0; i < labels.count; i++) {
        assert(labels.items[i].value.size > 0);
        assert(label_name_is_valid(labels.items[i].name, NAME_SCHEME_LEGACY));
        assert(str_is_utf8(labels.items[i].value));
        if (i > 0)
            assert(str_compare(labels.items[i - 1].name, labels.items[i].name) < 0);
    }
}

static void check_groups(const struct kubernetes_cache *cache, enum kubernetes_kind role,
                         bool attached)
{
    const struct kubernetes_attach attach = {attached, attached, attached, attached, attached};
    struct arena arena;
    arena_init(&arena, MEM_TEST, SIZE_MAX);
    struct discovered_groups groups = {.arena = &arena};
    kubernetes_groups_build(cache, role, &attach, &groups);
    for (uint32_t g = 0; g < groups.count; g++) {
        assert(groups.items[g].target_count > 0);
        check_labels(groups.items[g].labels);
        for (uint32_t t = 0; t < groups.items[g].target_count; t++)
            check_labels(groups.items[g].targets[t]);
    }
    arena_deinit(&arena);
}

static void check_bytes(const struct kubernetes_cache *cache)
{
    size_t bytes = 0;
    for (uint32_t kind = 0; kind < KUBERNETES_KINDS; kind++) {
        for (uint32_t i = 0; i < kubernetes_cache_count(cache, kind); i++) {
            const struct kubernetes_object *object = kubernetes_cache_at(cache, kind, i);
            assert(object != NULL);
            assert(kubernetes_cache_find(cache, kind, object->space, object->name) == object);
            bytes += object->bytes;
        }
    }
    assert(bytes == cache->bytes && bytes <= cache->bytes_max);
}

/* One request whose body the input makes up. */
static void run_request(struct input *input, struct kubernetes_watch *watch)
{
    struct strbuf body = STRBUF_INIT;
    struct strbuf text = STRBUF_INIT;
    kubernetes_watch_begin(watch, 0, &text);
    bool list = !watch->watching;
    strbuf_add_cstr(&body, list ? "{\"metadata\":{\"resourceVersion\":\"1\"},\"items\":[" : "");
    for (uint8_t events = next(input) % 4; events > 0; events--) {
        if (list)
            write_value(input, &body, 0);
        else
            write_event(input, &body);
        strbuf_add_cstr(&body, list && events > 1 ? "," : "");
    }
    strbuf_add_cstr(&body, list ? "]}" : "");
    if (next(input) % 8 == 0)
        strbuf_add(&body, input->data, input->size % 64);
    size_t piece = 1 + (size_t)next(input) * 4;
    bool taken = true;
    for (size_t at = 0; taken && at < body.size; at += piece)
        taken = kubernetes_watch_take(watch, 200, body.data + at,
                                      body.size - at < piece ? body.size - at : piece);
    struct kubernetes_answer answer = {.status = 200, .retry_after_s = -1, .reason = "OK"};
    (void)!kubernetes_watch_end(watch, &answer, 2000000000, &text);
    strbuf_deinit(&body);
    strbuf_deinit(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input input = {data, size};
    struct kubernetes_cache cache;
    struct kubernetes_watch watches[KUBERNETES_KINDS];
    kubernetes_cache_init(&cache, CACHE_BYTES_MAX);
    for (uint32_t i = 0; i < KUBERNETES_KINDS; i++) {
        kubernetes_watch_init(&watches[i], (enum kubernetes_kind)i, i, STR(""), &cache, i);
        watches[i].watching = true; /* most inputs are about events */
    }
    while (input.size > 0)
        run_request(&input, &watches[next(&input) % KUBERNETES_KINDS]);
    for (uint32_t role = KUBERNETES_POD; role <= KUBERNETES_INGRESS; role++) {
        check_groups(&cache, (enum kubernetes_kind)role, false);
        check_groups(&cache, (enum kubernetes_kind)role, true);
    }
    check_bytes(&cache);
    for (uint32_t i = 0; i < KUBERNETES_KINDS; i++)
        kubernetes_watch_deinit(&watches[i]);
    kubernetes_cache_deinit(&cache);
    return 0;
}
