/* Kubernetes objects written with single quotes for double ones, and groups as text. */
#pragma once

#include "discovery_json.h"
#include "discovery_kubernetes_groups.h"

#include <string.h>

struct kube_rig {
    struct kubernetes_cache cache;
    struct kubernetes_attach attach;
    struct kubernetes_changes changes;
    struct strbuf text;
    struct strbuf why;
};

static void rig_init(struct kube_rig *rig)
{
    *rig = (struct kube_rig){0};
    kubernetes_cache_init(&rig->cache, 64 << 20);
}

static void rig_deinit(struct kube_rig *rig)
{
    kubernetes_cache_deinit(&rig->cache);
    strbuf_deinit(&rig->text);
    strbuf_deinit(&rig->why);
}

static json_t *rig_json(const char *text)
{
    struct strbuf quoted = STRBUF_INIT;
    strbuf_add_cstr(&quoted, text);
    for (size_t i = 0; i < quoted.size; i++) {
        if (quoted.data[i] == '\'')
            quoted.data[i] = '"';
    }
    struct strbuf why = STRBUF_INIT;
    json_t *value = NULL;
    err_t err = discovery_json_read(strbuf_str(&quoted), &value, &why);
    if (err != OK)
        fail_msg("%s: %s", strbuf_cstr(&why), text);
    strbuf_deinit(&quoted);
    strbuf_deinit(&why);
    return value;
}

static void rig_put(struct kube_rig *rig, enum kubernetes_kind kind, const char *text)
{
    json_t *object = rig_json(text);
    assert_int_equal(kubernetes_cache_put(&rig->cache, kind, 0, object, &rig->changes, &rig->why),
                     OK);
    json_decref(object);
}

static void add_labels(struct strbuf *out, struct labels labels)
{
    for (uint32_t i = 0; i < labels.count; i++) {
        struct str name = labels.items[i].name;
        struct str prefix = STR("__meta_kubernetes_");
        if (str_starts_with(name, prefix))
            name = str_from(name.data + prefix.size, name.size - prefix.size);
        strbuf_printf(out, " %.*s=%.*s", STR_ARG(name), STR_ARG(labels.items[i].value));
    }
    strbuf_add_char(out, '\n');
}

/* "group a=b c=d\n- __address__=x e=f\n", without the common prefix of names. */
static const char *rig_groups(struct kube_rig *rig, enum kubernetes_kind role)
{
    struct arena arena;
    arena_init(&arena, MEM_TEST, SIZE_MAX);
    struct discovered_groups groups = {.arena = &arena};
    kubernetes_groups_build(&rig->cache, role, &rig->attach, &groups);
    strbuf_clear(&rig->text);
    for (uint32_t g = 0; g < groups.count; g++) {
        strbuf_add_cstr(&rig->text, "group");
        add_labels(&rig->text, groups.items[g].labels);
        for (uint32_t t = 0; t < groups.items[g].target_count; t++) {
            strbuf_add_cstr(&rig->text, "-");
            add_labels(&rig->text, groups.items[g].targets[t]);
        }
    }
    arena_deinit(&arena);
    return strbuf_cstr(&rig->text);
}
