/* Property: whatever a registry or a name server answers, the readers refuse it with a text or give
 * targets with sorted labels of distinct names, none of them empty, and an address. */
#include <stdlib.h>

#include "discovery_consul.h"
#include "discovery_dns.h"
#include "discovery_docker.h"

static const char *const tokens[] = {
    "[",
    "]",
    "{",
    "}",
    ",",
    ":",
    "\"\"",
    "null",
    "[]",
    "{}",
    "80",
    "-1",
    "true",
    "\"tcp\"",
    "\"host\"",
    "\"container:1\"",
    "\"1\"",
    "\"\\u00e9.x/y\"",
    "\"10.0.0.1/24\"",
    "\"10.0.0.1\"",
    "\"fd00::1\"",
    "\"Id\":",
    "\"ID\":",
    "\"Names\":",
    "\"Ports\":",
    "\"Type\":",
    "\"PrivatePort\":",
    "\"PublicPort\":",
    "\"NetworkSettings\":{\"Networks\":{\"n\":",
    "\"HostConfig\":{\"NetworkMode\":",
    "\"IPAddress\":",
    "\"NetworkID\":",
    "\"Labels\":{\"a.b\":\"c\",\"a-b\":\"d\"}",
    "\"Spec\":",
    "\"Mode\":{\"Global\":{}}",
    "\"Endpoint\":",
    "\"VirtualIPs\":",
    "\"Addr\":",
    "\"Protocol\":",
    "\"PublishedPort\":",
    "\"Status\":",
    "\"PortStatus\":",
    "\"NetworksAttachments\":",
    "\"Network\":",
    "\"Addresses\":",
    "\"ServiceID\":",
    "\"NodeID\":",
    "\"Node\":",
    "\"Service\":",
    "\"Checks\":",
    "\"Tags\":",
    "\"Meta\":{\"x\":\"y\"}",
    "\"TaggedAddresses\":{\"lan\":\"1\"}",
    "\"Port\":",
    "\"CheckID\":",
    "\"Config\":{\"Datacenter\":\"d\"}",
    "{\"Id\":\"1\",\"Names\":[\"/a\"],\"NetworkSettings\":{\"Networks\":{\"n\":{}}}}",
    "{\"Protocol\":\"tcp\",\"PublishedPort\":1}",
    "\xff",
};
enum { TOKEN_COUNT = sizeof tokens / sizeof tokens[0] };

static void check_labels(struct labels labels)
{
    for (uint32_t i = 0; i < labels.count; i++) {
        if (labels.items[i].value.size == 0)
            abort();
        if (i > 0 && str_compare(labels.items[i - 1].name, labels.items[i].name) >= 0)
            abort();
    }
}

static void check_groups(err_t err, const struct discovered_groups *groups,
                         const struct strbuf *why)
{
    if (err != OK && (why->size == 0 || groups->count > 0))
        abort();
    for (uint32_t g = 0; g < groups->count; g++) {
        check_labels(groups->items[g].labels);
        for (uint32_t t = 0; t < groups->items[g].target_count; t++)
            check_labels(groups->items[g].targets[t]);
    }
}

static void take_record(void *context, const struct dns_record *record)
{
    uint32_t *count = context;
    if (record->text.size == 0)
        abort();
    ++*count;
}

static void read_dns(const uint8_t *data, size_t size, struct strbuf *why)
{
    uint32_t count = 0;
    if (dns_message_read(data, size, take_record, &count, why) != OK && why->size == 0)
        abort();
    if (count > size)
        abort();
}

static err_t read_document(unsigned kind, struct str text, struct discovered_groups *groups,
                           struct strbuf *why)
{
    static const struct docker_discovery_config docker = {.port = 80,
                                                          .host_networking_host = STR_INIT("h")};
    static const struct consul_discovery_config consul = {.tag_separator = STR_INIT(",")};
    static const char *const roles[] = {"nodes", "services", "tasks"};
    struct docker_discovery_config swarm = {.port = 80};
    struct swarm_lists lists = {text, text, text, text};
    switch (kind) {
    case 0:
        return docker_containers_read(&docker, text, text, groups, why);
    case 1:
        return consul_service_read(&consul, STR("s"), STR("d"), text, groups, why);
    default:
        swarm.role = str_from_cstr(roles[kind % 3]);
        return swarm_lists_read(&swarm, &lists, groups, why);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1 || size > 2048)
        return 0;
    struct strbuf why = STRBUF_INIT;
    if (data[0] % 8 == 7) {
        read_dns(data + 1, size - 1, &why);
        strbuf_deinit(&why);
        return 0;
    }
    struct strbuf text = STRBUF_INIT;
    struct arena arena;
    arena_init(&arena, MEM_TEST, 16 << 20);
    struct discovered_groups groups = {.arena = &arena};
    for (size_t i = 1; i < size; i++)
        strbuf_add_cstr(&text, tokens[data[i] % TOKEN_COUNT]);
    err_t err = read_document(data[0] % 8, strbuf_str(&text), &groups, &why);
    check_groups(err, &groups, &why);
    arena_deinit(&arena);
    strbuf_deinit(&text);
    strbuf_deinit(&why);
    return 0;
}
