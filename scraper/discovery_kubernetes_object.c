#include "discovery_kubernetes_object.h"

#include <assert.h>
#include <string.h>

#include "discovery_json.h"
#include "narthex/base/hash.h"
#include "narthex/base/mem.h"

enum { LAYOUT_ALIGN = 8 };

void *kubernetes__layout_alloc(struct kubernetes_layout *layout, size_t count, size_t size)
{
    size_t bytes = (count * size + LAYOUT_ALIGN - 1) / LAYOUT_ALIGN * LAYOUT_ALIGN;
    layout->bytes += bytes;
    if (layout->arena != NULL)
        return arena_calloc(layout->arena, 1, bytes);
    void *memory = layout->at;
    layout->at += bytes;
    memset(memory, 0, bytes);
    return memory;
}

struct str kubernetes__layout_copy(struct kubernetes_layout *layout, struct str text)
{
    layout->hash = hash_mix(layout->hash, hash_str(text));
    if (text.size == 0)
        return STR("");
    char *copy = kubernetes__layout_alloc(layout, text.size, 1);
    memcpy(copy, text.data, text.size);
    return str_from(copy, text.size);
}

struct str kubernetes__layout_text(struct kubernetes_layout *layout, const json_t *value)
{
    return kubernetes__layout_copy(layout, discovery_json_text(value));
}

struct str kubernetes__layout_get(struct kubernetes_layout *layout, const json_t *object,
                                  const char *key)
{
    return kubernetes__layout_copy(layout, discovery_json_get_text(object, key));
}

int64_t kubernetes__layout_int(struct kubernetes_layout *layout, int64_t value)
{
    layout->hash = hash_mix(layout->hash, (uint64_t)value);
    return value;
}

uint32_t kubernetes__layout_count(struct kubernetes_layout *layout, const json_t *array)
{
    return (uint32_t)kubernetes__layout_int(layout, (int64_t)json_array_size(array));
}

void kubernetes__layout_pairs(struct kubernetes_layout *layout, json_t *object,
                              struct label **pairs, uint32_t *count)
{
    size_t size = json_object_size(object);
    (void)kubernetes__layout_int(layout, (int64_t)size);
    *count = 0;
    if (size == 0)
        return;
    *pairs = LAYOUT_ARRAY(layout, struct label, size);
    const char *name;
    json_t *value;
    json_object_foreach(object, name, value)
    {
        struct label *pair = &(*pairs)[(*count)++];
        pair->name = kubernetes__layout_copy(layout, str_from_cstr(name));
        pair->value = kubernetes__layout_text(layout, value);
    }
}

void kubernetes__layout_typed(struct kubernetes_layout *layout, const json_t *list, const char *key,
                              struct label **pairs, uint32_t *count)
{
    *count = kubernetes__layout_count(layout, list);
    *pairs = LAYOUT_ARRAY(layout, struct label, *count);
    for (uint32_t i = 0; i < *count; i++) {
        const json_t *json = json_array_get(list, i);
        (*pairs)[i].name = kubernetes__layout_get(layout, json, "type");
        (*pairs)[i].value = kubernetes__layout_get(layout, json, key);
    }
}

void kubernetes__ports_read(struct kubernetes_layout *layout, const json_t *list, const char *key,
                            int64_t missing, struct kubernetes_port **ports, uint32_t *count)
{
    *count = kubernetes__layout_count(layout, list);
    *ports = LAYOUT_ARRAY(layout, struct kubernetes_port, *count);
    for (uint32_t i = 0; i < *count; i++) {
        const json_t *json = json_array_get(list, i);
        struct kubernetes_port *port = &(*ports)[i];
        port->name = kubernetes__layout_get(layout, json, "name");
        port->protocol = kubernetes__layout_get(layout, json, "protocol");
        port->app_protocol = kubernetes__layout_get(layout, json, "appProtocol");
        port->number = kubernetes__layout_int(layout, discovery_json_get_int(json, key, missing));
    }
}

/* ---- the common part ---- */

static void read_nothing(struct kubernetes_layout *layout, json_t *json, void *object)
{
    (void)layout;
    (void)json;
    (void)object;
}

static const struct {
    size_t size;
    void (*read)(struct kubernetes_layout *layout, json_t *json, void *object);
    bool has_labels;
    bool has_controller;
} kinds[KUBERNETES_KINDS] = {
    [KUBERNETES_POD] = {sizeof(struct kubernetes_pod), kubernetes__pod_read, true, true},
    [KUBERNETES_SERVICE] = {sizeof(struct kubernetes_service), kubernetes__service_read, true,
                            false},
    [KUBERNETES_ENDPOINTS] = {sizeof(struct kubernetes_endpoints), kubernetes__endpoints_read, true,
                              false},
    [KUBERNETES_ENDPOINTSLICE] = {sizeof(struct kubernetes_endpointslice),
                                  kubernetes__endpointslice_read, true, false},
    [KUBERNETES_NODE] = {sizeof(struct kubernetes_node), kubernetes__node_read, true, false},
    [KUBERNETES_INGRESS] = {sizeof(struct kubernetes_ingress), kubernetes__ingress_read, true,
                            false},
    [KUBERNETES_NAMESPACE] = {sizeof(struct kubernetes_object), read_nothing, true, false},
    [KUBERNETES_REPLICASET] = {sizeof(struct kubernetes_object), read_nothing, false, true},
    [KUBERNETES_JOB] = {sizeof(struct kubernetes_object), read_nothing, false, true},
};

static void read_controller(struct kubernetes_layout *layout, const json_t *metadata,
                            struct kubernetes_object *object)
{
    const json_t *owners = json_object_get(metadata, "ownerReferences");
    for (size_t i = 0; i < json_array_size(owners); i++) {
        const json_t *owner = json_array_get(owners, i);
        if (!discovery_json_get_bool(owner, "controller"))
            continue;
        object->controller_kind = kubernetes__layout_get(layout, owner, "kind");
        object->controller_name = kubernetes__layout_get(layout, owner, "name");
        return;
    }
}

static struct kubernetes_object *lay_out(struct kubernetes_layout *layout,
                                         enum kubernetes_kind kind, json_t *json)
{
    const json_t *metadata = json_object_get(json, "metadata");
    struct kubernetes_object *object = kubernetes__layout_alloc(layout, 1, kinds[kind].size);
    object->kind = kind;
    object->space = kubernetes__layout_get(layout, metadata, "namespace");
    object->name = kubernetes__layout_get(layout, metadata, "name");
    if (kinds[kind].has_labels) {
        kubernetes__layout_pairs(layout, json_object_get(metadata, "labels"), &object->labels,
                                 &object->label_count);
        kubernetes__layout_pairs(layout, json_object_get(metadata, "annotations"),
                                 &object->annotations, &object->annotation_count);
    }
    if (kinds[kind].has_controller)
        read_controller(layout, metadata, object);
    kinds[kind].read(layout, json, object);
    object->hash = layout->hash;
    object->bytes = (uint32_t)layout->bytes;
    return object;
}

err_t kubernetes_object_identify(const json_t *object, struct str *space, struct str *name,
                                 struct strbuf *why)
{
    const json_t *metadata = json_object_get(object, "metadata");
    *space = discovery_json_get_text(metadata, "namespace");
    *name = discovery_json_get_text(metadata, "name");
    if (name->size == 0)
        return err_fail(why, ERR_INVALID, "an object has no metadata.name");
    return OK;
}

err_t kubernetes_object_read(enum kubernetes_kind kind, json_t *object,
                             const struct kubernetes_object *known, struct arena *scratch,
                             struct kubernetes_object **made, struct strbuf *why)
{
    struct str space, name;
    *made = NULL;
    TRY(kubernetes_object_identify(object, &space, &name, why));
    struct arena_mark mark = arena_mark(scratch);
    struct kubernetes_layout measured = {.arena = scratch};
    (void)lay_out(&measured, kind, object);
    arena_reset_to(scratch, mark);
    if (known != NULL && known->hash == measured.hash)
        return OK;
    struct kubernetes_layout placed = {.at = mem_alloc(MEM_DISCOVERY, measured.bytes)};
    *made = lay_out(&placed, kind, object);
    assert(placed.bytes == measured.bytes);
    assert(placed.hash == measured.hash);
    return OK;
}

void kubernetes_object_free(struct kubernetes_object *object)
{
    mem_free(MEM_DISCOVERY, object);
}

void kubernetes__reference_read(struct kubernetes_layout *layout, const json_t *json,
                                struct kubernetes_reference *reference)
{
    reference->kind = kubernetes__layout_get(layout, json, "kind");
    reference->space = kubernetes__layout_get(layout, json, "namespace");
    reference->name = kubernetes__layout_get(layout, json, "name");
}
