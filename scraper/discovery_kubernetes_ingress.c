/* Ingresses: a target for each path of each rule. */
#include "discovery_json.h"
#include "discovery_kubernetes_groups.h"

static void read_rule(struct kubernetes_layout *layout, const json_t *json,
                      struct kubernetes_ingress_rule *rule)
{
    const json_t *paths = json_object_get(json_object_get(json, "http"), "paths");
    bool is_http = json_is_object(json_object_get(json, "http"));
    rule->host = kubernetes__layout_get(layout, json, "host");
    rule->path_count = kubernetes__layout_count(layout, paths);
    if (!is_http) { /* all traffic for the host */
        rule->path_count = 1;
        rule->paths = LAYOUT_ARRAY(layout, struct str, 1);
        rule->paths[0] = kubernetes__layout_copy(layout, STR("/"));
        return;
    }
    rule->paths = LAYOUT_ARRAY(layout, struct str, rule->path_count);
    for (uint32_t i = 0; i < rule->path_count; i++) {
        struct str path = discovery_json_get_text(json_array_get(paths, i), "path");
        rule->paths[i] = kubernetes__layout_copy(layout, path.size == 0 ? STR("/") : path);
    }
}

static void read_tls(struct kubernetes_layout *layout, const json_t *tls,
                     struct kubernetes_ingress *ingress)
{
    for (size_t i = 0; i < json_array_size(tls); i++) {
        const json_t *hosts = json_object_get(json_array_get(tls, i), "hosts");
        ingress->tls_host_count += (uint32_t)json_array_size(hosts);
    }
    (void)kubernetes__layout_int(layout, ingress->tls_host_count);
    ingress->tls_hosts = LAYOUT_ARRAY(layout, struct str, ingress->tls_host_count);
    uint32_t at = 0;
    for (size_t i = 0; i < json_array_size(tls); i++) {
        const json_t *hosts = json_object_get(json_array_get(tls, i), "hosts");
        for (size_t k = 0; k < json_array_size(hosts); k++)
            ingress->tls_hosts[at++] = kubernetes__layout_text(layout, json_array_get(hosts, k));
    }
}

void kubernetes__ingress_read(struct kubernetes_layout *layout, json_t *json, void *object)
{
    struct kubernetes_ingress *ingress = object;
    const json_t *spec = json_object_get(json, "spec");
    const json_t *rules = json_object_get(spec, "rules");
    ingress->class_name = kubernetes__layout_get(layout, spec, "ingressClassName");
    ingress->rule_count = kubernetes__layout_count(layout, rules);
    ingress->rules = LAYOUT_ARRAY(layout, struct kubernetes_ingress_rule, ingress->rule_count);
    for (uint32_t i = 0; i < ingress->rule_count; i++)
        read_rule(layout, json_array_get(rules, i), &ingress->rules[i]);
    read_tls(layout, json_object_get(spec, "tls"), ingress);
}

/* "*.example.org" stands for one more level. */
static bool host_matches(struct str pattern, struct str host)
{
    if (str_equal(pattern, host))
        return true;
    if (!str_starts_with(pattern, STR("*.")))
        return false;
    size_t dot = str_find(host, '.', 0);
    if (dot == SIZE_MAX || dot == 0)
        return false;
    return str_equal(str_from(pattern.data + 1, pattern.size - 1),
                     str_from(host.data + dot, host.size - dot));
}

static bool has_tls(const struct kubernetes_ingress *ingress, struct str host)
{
    for (uint32_t i = 0; i < ingress->tls_host_count; i++) {
        if (host_matches(ingress->tls_hosts[i], host))
            return true;
    }
    return false;
}

void kubernetes__write_ingress_group(struct kubernetes_writer *writer,
                                     const struct kubernetes_object *object)
{
    const struct kubernetes_ingress *ingress = (const struct kubernetes_ingress *)object;
    kubernetes__write_namespace(writer, object->space);
    kubernetes__write(writer, "__meta_kubernetes_ingress_name", object->name);
    kubernetes__write(writer, "__meta_kubernetes_ingress_class_name", ingress->class_name);
    kubernetes__write_metadata(writer, "ingress", object);
    kubernetes__end_group_labels(writer);
    for (uint32_t r = 0; r < ingress->rule_count; r++) {
        const struct kubernetes_ingress_rule *rule = &ingress->rules[r];
        struct str scheme = has_tls(ingress, rule->host) ? STR("https") : STR("http");
        for (uint32_t p = 0; p < rule->path_count; p++) {
            kubernetes__write_address(writer, rule->host, -1);
            kubernetes__write(writer, "__meta_kubernetes_ingress_scheme", scheme);
            kubernetes__write(writer, "__meta_kubernetes_ingress_host", rule->host);
            kubernetes__write(writer, "__meta_kubernetes_ingress_path", rule->paths[p]);
            kubernetes__end_target(writer);
        }
    }
}
