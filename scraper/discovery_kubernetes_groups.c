#include "discovery_kubernetes_groups.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "discovery_json.h"
#include "narthex/base/hash.h"
#include "narthex/base/log.h"
#include "narthex/base/mem.h"
#include "narthex/base/vec.h"

/* ---- texts ---- */

static bool is_text(const void *owner, uint32_t item, const void *key)
{
    const struct kubernetes_writer *writer = owner;
    return str_equal(writer->texts[item], *(const struct str *)key);
}

/* The one copy of a text in the groups' arena. */
static struct str keep_text(struct kubernetes_writer *writer, struct str text)
{
    uint64_t hash = hash_str(text);
    uint32_t item = htable_find(&writer->table, hash, is_text, writer, &text);
    if (item != HTABLE_NONE)
        return writer->texts[item];
    struct str kept = arena_str(writer->groups->arena, text);
    VEC_PUSH(MEM_DISCOVERY, writer->texts, writer->text_count, writer->text_capacity, kept);
    htable_insert(&writer->table, hash, writer->text_count - 1);
    return kept;
}

static void write_label(struct kubernetes_writer *writer, struct str name, struct str value)
{
    struct label label = {keep_text(writer, name), keep_text(writer, value)};
    VEC_PUSH(MEM_DISCOVERY, writer->pending, writer->pending_count, writer->pending_capacity,
             label);
}

void kubernetes__write(struct kubernetes_writer *writer, const char *name, struct str value)
{
    write_label(writer, str_from_cstr(name), value);
}

void kubernetes__write_lower(struct kubernetes_writer *writer, const char *name, struct str value)
{
    strbuf_clear(&writer->scratch);
    for (size_t i = 0; i < value.size; i++) {
        char c = value.data[i];
        strbuf_add_char(&writer->scratch, c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c);
    }
    kubernetes__write(writer, name, strbuf_str(&writer->scratch));
}

void kubernetes__write_int(struct kubernetes_writer *writer, const char *name, int64_t value)
{
    strbuf_clear(&writer->scratch);
    strbuf_add_int(&writer->scratch, value);
    kubernetes__write(writer, name, strbuf_str(&writer->scratch));
}

void kubernetes__write_bool(struct kubernetes_writer *writer, const char *name, bool value)
{
    kubernetes__write(writer, name, value ? STR("true") : STR("false"));
}

void kubernetes__write_key(struct kubernetes_writer *writer, const char *prefix, struct str key,
                           struct str value)
{
    strbuf_clear(&writer->scratch);
    strbuf_add_cstr(&writer->scratch, prefix);
    discovery_label_name_add(&writer->scratch, key);
    write_label(writer, strbuf_str(&writer->scratch), value);
}

void kubernetes__write_address(struct kubernetes_writer *writer, struct str host, int64_t port)
{
    strbuf_clear(&writer->scratch);
    if (port < 0)
        strbuf_add_str(&writer->scratch, host);
    else
        discovery_address_add(&writer->scratch, host, port);
    kubernetes__write(writer, "__address__", strbuf_str(&writer->scratch));
}

static void write_pairs(struct kubernetes_writer *writer, const char *what, const char *kind,
                        const struct label *pairs, uint32_t count)
{
    char prefix[128];
    char present[128];
    (void)snprintf(prefix, sizeof prefix, "__meta_kubernetes_%s_%s_", what, kind);
    (void)snprintf(present, sizeof present, "__meta_kubernetes_%s_%spresent_", what, kind);
    for (uint32_t i = 0; i < count; i++) {
        kubernetes__write_key(writer, prefix, pairs[i].name, pairs[i].value);
        kubernetes__write_key(writer, present, pairs[i].name, STR("true"));
    }
}

void kubernetes__write_metadata(struct kubernetes_writer *writer, const char *what,
                                const struct kubernetes_object *object)
{
    write_pairs(writer, what, "label", object->labels, object->label_count);
    write_pairs(writer, what, "annotation", object->annotations, object->annotation_count);
}

/* ---- sets ---- */

struct ordered_label {
    struct label label;
    uint32_t order;
};

static int by_name(const void *a, const void *b)
{
    const struct ordered_label *x = a;
    const struct ordered_label *y = b;
    int order = str_compare(x->label.name, y->label.name);
    return order != 0 ? order : x->order < y->order ? -1 : x->order > y->order;
}

/* The pending labels, sorted; of two with one name the later stays, as do no empty ones. */
static struct labels take_pending(struct kubernetes_writer *writer)
{
    uint32_t count = writer->pending_count;
    writer->pending_count = 0;
    if (count == 0)
        return (struct labels){0};
    struct ordered_label *ordered = MEM_NEW_ARRAY(MEM_DISCOVERY, struct ordered_label, count);
    for (uint32_t i = 0; i < count; i++)
        ordered[i] = (struct ordered_label){writer->pending[i], i};
    qsort(ordered, count, sizeof *ordered, by_name);
    uint32_t kept = 0;
    for (uint32_t i = 0; i < count; i++) {
        bool overwritten =
            i + 1 < count && str_equal(ordered[i].label.name, ordered[i + 1].label.name);
        if (!overwritten && ordered[i].label.value.size > 0)
            ordered[kept++] = ordered[i];
    }
    struct label *labels = ARENA_NEW_ARRAY(writer->groups->arena, struct label, kept + 1);
    for (uint32_t i = 0; i < kept; i++)
        labels[i] = ordered[i].label;
    mem_free(MEM_DISCOVERY, ordered);
    return (struct labels){labels, kept};
}

void kubernetes__end_group_labels(struct kubernetes_writer *writer)
{
    writer->group_labels = take_pending(writer);
}

/* Whoever may annotate one object must not be able to have the whole list refused. */
void kubernetes__end_target(struct kubernetes_writer *writer)
{
    struct labels target = take_pending(writer);
    if (target.count + writer->group_labels.count > DISCOVERY_TARGET_LABELS_MAX) {
        LOG_ERROR("Target left out", "discovery", "kubernetes", "err", "it has too many labels");
        return;
    }
    VEC_PUSH(MEM_DISCOVERY, writer->targets, writer->target_count, writer->target_capacity, target);
}

static void end_group(struct kubernetes_writer *writer)
{
    struct discovered_groups *groups = writer->groups;
    assert(writer->pending_count == 0);
    if (writer->target_count > 0) {
        struct labels *targets =
            ARENA_NEW_ARRAY(groups->arena, struct labels, writer->target_count);
        memcpy(targets, writer->targets, writer->target_count * sizeof *targets);
        assert(groups->count < groups->capacity);
        groups->items[groups->count++] = (struct target_group_config){
            .targets = targets,
            .target_count = writer->target_count,
            .labels = writer->group_labels,
        };
    }
    writer->target_count = 0;
    writer->group_labels = (struct labels){0};
}

static void reserve_groups(struct discovered_groups *groups, uint32_t more)
{
    struct target_group_config *items =
        ARENA_NEW_ARRAY(groups->arena, struct target_group_config, groups->count + more + 1);
    if (groups->count > 0)
        memcpy(items, groups->items, groups->count * sizeof *items);
    groups->items = items;
    groups->capacity = groups->count + more + 1;
}

void kubernetes_groups_build(const struct kubernetes_cache *cache, enum kubernetes_kind role,
                             const struct kubernetes_attach *attach,
                             struct discovered_groups *groups)
{
    static void (*const write[KUBERNETES_KINDS])(struct kubernetes_writer *,
                                                 const struct kubernetes_object *) = {
        [KUBERNETES_POD] = kubernetes__write_pod_group,
        [KUBERNETES_SERVICE] = kubernetes__write_service_group,
        [KUBERNETES_ENDPOINTS] = kubernetes__write_endpoints_group,
        [KUBERNETES_ENDPOINTSLICE] = kubernetes__write_endpointslice_group,
        [KUBERNETES_NODE] = kubernetes__write_node_group,
        [KUBERNETES_INGRESS] = kubernetes__write_ingress_group,
    };
    assert(write[role] != NULL);
    struct kubernetes_writer writer = {.cache = cache, .attach = attach, .groups = groups};
    htable_init(&writer.table, MEM_DISCOVERY);
    uint32_t count = kubernetes_cache_count(cache, role);
    reserve_groups(groups, count);
    for (uint32_t i = 0; i < count; i++) {
        const struct kubernetes_object *object = kubernetes_cache_at(cache, role, i);
        if (object == NULL)
            continue;
        if (arena_exhausted(groups->arena))
            break; /* who asked for the groups refuses them */
        write[role](&writer, object);
        end_group(&writer);
    }
    htable_deinit(&writer.table);
    mem_free(MEM_DISCOVERY, writer.texts);
    mem_free(MEM_DISCOVERY, writer.pending);
    mem_free(MEM_DISCOVERY, writer.targets);
    strbuf_deinit(&writer.scratch);
}

/* ---- pods behind endpoints ---- */

const struct kubernetes_pod *kubernetes__find_pod(const struct kubernetes_writer *writer,
                                                  const struct kubernetes_reference *reference)
{
    if (!str_equal(reference->kind, STR("Pod")))
        return NULL;
    return (const struct kubernetes_pod *)kubernetes_cache_find(writer->cache, KUBERNETES_POD,
                                                                reference->space, reference->name);
}

void kubernetes__seen_add(struct kubernetes_seen *seen, const struct kubernetes_pod *pod,
                          int64_t port)
{
    VEC_PUSH(MEM_DISCOVERY, seen->items, seen->count, seen->capacity,
             (struct kubernetes_seen_port){pod, port});
}

static int by_pod(const void *a, const void *b)
{
    const struct kubernetes_seen_port *x = a;
    const struct kubernetes_seen_port *y = b;
    int order = str_compare(x->pod->object.space, y->pod->object.space);
    if (order == 0)
        order = str_compare(x->pod->object.name, y->pod->object.name);
    return order != 0 ? order : x->port < y->port ? -1 : x->port > y->port;
}

static bool has_port(const struct kubernetes_seen_port *items, uint32_t count, int64_t port)
{
    for (uint32_t i = 0; i < count; i++) {
        if (items[i].port == port)
            return true;
    }
    return false;
}

static void write_other_ports(struct kubernetes_writer *writer,
                              const struct kubernetes_seen_port *items, uint32_t count)
{
    const struct kubernetes_pod *pod = items[0].pod;
    if (pod->ip.size == 0)
        return;
    for (uint32_t c = 0; c < pod->container_count; c++) {
        const struct kubernetes_container *container = &pod->containers[c];
        for (uint32_t p = 0; p < container->port_count; p++) {
            const struct kubernetes_port *port = &container->ports[p];
            if (has_port(items, count, port->number))
                continue;
            kubernetes__write_address(writer, pod->ip, port->number);
            kubernetes__write_port(writer, container, port);
            kubernetes__write_pod(writer, pod);
            kubernetes__end_target(writer);
        }
    }
}

void kubernetes__seen_finish(struct kubernetes_seen *seen, struct kubernetes_writer *writer)
{
    if (seen->count > 0)
        qsort(seen->items, seen->count, sizeof *seen->items, by_pod);
    for (uint32_t start = 0, end; start < seen->count; start = end) {
        for (end = start + 1; end < seen->count && seen->items[end].pod == seen->items[start].pod;)
            end++;
        write_other_ports(writer, seen->items + start, end - start);
    }
    mem_free(MEM_DISCOVERY, seen->items);
    *seen = (struct kubernetes_seen){0};
}
