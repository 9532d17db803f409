/* Parts that several sections share: relabeling rules and the HTTP client block, typed. */
#include "config_impl.h"

#include "narthex/base/vec.h"

/* Rules own their strings, so that they can outlive a configuration. */
static struct str owned(struct str text)
{
    return str_from(mem_dup(MEM_CONFIG, text.data, text.size), text.size);
}

static err_t build_rule(struct config_impl *config, const struct object *object,
                        enum name_scheme scheme, struct relabel_rule *rule, struct strbuf *why)
{
    const struct value *sources = object_get(object, "source_labels");
    const struct value *regex = object_get(object, "regex");
    struct str action = object_get(object, "action")->text;
    relabel_rule_init(rule);
    VEC_PUSH(MEM_CONFIG, config->rules, config->rule_count, config->rule_capacity, rule);
    if (action.size == 0)
        return err_fail(why, ERR_INVALID, "relabel action cannot be empty");
    if (!relabel_action_parse(action, &rule->action)) {
        strbuf_clear(why);
        strbuf_add_cstr(why, "unknown relabel action ");
        strbuf_add_quoted(why, action);
        return ERR_INVALID;
    }
    rule->source_label_count = sources->count;
    rule->source_labels_set = sources->strings != NULL; /* null is as good as nothing */
    if (sources->count > 0)
        rule->source_labels = MEM_NEW_ARRAY(MEM_CONFIG, struct str, sources->count);
    for (uint32_t i = 0; i < sources->count; i++)
        rule->source_labels[i] = owned(sources->strings[i]);
    rule->separator = owned(object_get(object, "separator")->text);
    rule->target_label = owned(object_get(object, "target_label")->text);
    rule->replacement = owned(object_get(object, "replacement")->text);
    rule->modulus = object_get(object, "modulus")->u;
    if (regex->set) {
        rule->regex_set = true;
        rule->regex_text = owned(regex->text);
        regex_destroy(rule->regex);
        rule->regex = NULL;
        TRY(regex_compile(regex->text, &rule->regex, why));
    }
    return relabel_rule_validate(rule, scheme, why);
}

err_t config__build_relabel(struct config_impl *config, const struct value *list,
                            enum name_scheme scheme, const struct relabel_rule **rules,
                            uint32_t *count, struct strbuf *why)
{
    struct relabel_rule *items = ARENA_NEW_ARRAY(&config->arena, struct relabel_rule, list->count);
    for (uint32_t i = 0; i < list->count; i++) {
        err_t err = build_rule(config, list->objects[i], scheme, &items[i], why);
        if (err != OK) {
            strbuf_printf(why, " (line %u)", list->objects[i]->line);
            return err;
        }
        /* Printed in lower case, as the action was understood. */
        object_get(list->objects[i], "action")->text =
            str_from_cstr(relabel_action_text(items[i].action));
    }
    if (rules != NULL) {
        *rules = items;
        *count = list->count;
    }
    return OK;
}

static struct secret_source build_secret(const struct object *object, const char *value,
                                         const char *file, const char *ref)
{
    return (struct secret_source){object_get(object, value)->text, object_get(object, file)->text,
                                  object_get(object, ref)->text};
}

static void build_tls(const struct object *object, struct tls_config *tls)
{
    *tls = (struct tls_config){
        .ca = object_get(object, "ca")->text,
        .ca_file = object_get(object, "ca_file")->text,
        .ca_ref = object_get(object, "ca_ref")->text,
        .cert = object_get(object, "cert")->text,
        .cert_file = object_get(object, "cert_file")->text,
        .cert_ref = object_get(object, "cert_ref")->text,
        .key = build_secret(object, "key", "key_file", "key_ref"),
        .server_name = object_get(object, "server_name")->text,
        .insecure_skip_verify = object_get(object, "insecure_skip_verify")->b,
        .min_version = object_get(object, "min_version")->text,
        .max_version = object_get(object, "max_version")->text,
    };
}

static void build_proxy(struct config_impl *config, const struct object *object,
                        struct proxy_config *proxy)
{
    const struct value *headers = object_get(object, "proxy_connect_header");
    struct proxy_header *items =
        ARENA_NEW_ARRAY(&config->arena, struct proxy_header, headers->count);
    for (uint32_t i = 0; i < headers->count; i++)
        items[i] = (struct proxy_header){headers->named[i].name, headers->named[i].items,
                                         headers->named[i].count};
    *proxy = (struct proxy_config){
        .url = object_get(object, "proxy_url")->text,
        .no_proxy = object_get(object, "no_proxy")->text,
        .from_environment = object_get(object, "proxy_from_environment")->b,
        .connect_headers = items,
        .connect_header_count = headers->count,
    };
}

struct name_value *config__build_name_values(struct config_impl *config, const struct value *map)
{
    struct name_value *items = ARENA_NEW_ARRAY(&config->arena, struct name_value, map->count);
    for (uint32_t i = 0; i < map->count; i++)
        items[i] = (struct name_value){map->named[i].name, map->named[i].items[0]};
    return items;
}

static const struct oauth2_config *build_oauth2(struct config_impl *config,
                                                const struct object *object)
{
    struct oauth2_config *oauth2 = ARENA_NEW(&config->arena, struct oauth2_config);
    const struct value *params = object_get(object, "endpoint_params");
    const struct value *claims = object_get(object, "claims");
    const struct object *tls = object_get(object, "tls_config")->object;
    oauth2->client_id = object_get(object, "client_id")->text;
    oauth2->client_secret =
        build_secret(object, "client_secret", "client_secret_file", "client_secret_ref");
    oauth2->client_certificate_key_id = object_get(object, "client_certificate_key_id")->text;
    oauth2->client_certificate_key =
        build_secret(object, "client_certificate_key", "client_certificate_key_file",
                     "client_certificate_key_ref");
    oauth2->grant_type = object_get(object, "grant_type")->text;
    oauth2->signature_algorithm = object_get(object, "signature_algorithm")->text;
    oauth2->issuer = object_get(object, "iss")->text;
    oauth2->audience = object_get(object, "audience")->text;
    oauth2->claims = config__claims_json(&config->arena, claims->any);
    oauth2->scopes = object_get(object, "scopes")->strings;
    oauth2->scope_count = object_get(object, "scopes")->count;
    oauth2->token_url = object_get(object, "token_url")->text;
    oauth2->endpoint_params = config__build_name_values(config, params);
    oauth2->endpoint_param_count = params->count;
    if (tls != NULL)
        build_tls(tls, &oauth2->tls);
    build_proxy(config, object, &oauth2->proxy);
    return oauth2;
}

static void build_headers(struct config_impl *config, const struct value *headers,
                          struct http_client_config *client)
{
    struct http_header_config *items =
        ARENA_NEW_ARRAY(&config->arena, struct http_header_config, headers->count);
    for (uint32_t i = 0; i < headers->count; i++) {
        const struct object *header = headers->named_objects[i].object;
        const struct value *values = object_get(header, "values");
        const struct value *secrets = object_get(header, "secrets");
        const struct value *files = object_get(header, "files");
        items[i] = (struct http_header_config){headers->named_objects[i].name,
                                               values->strings,
                                               values->count,
                                               secrets->strings,
                                               secrets->count,
                                               files->strings,
                                               files->count};
    }
    client->headers = items;
    client->header_count = headers->count;
}

void config__build_http_client(struct config_impl *config, const struct object *object,
                               struct http_client_config *client)
{
    const struct object *basic = object_get(object, "basic_auth")->object;
    const struct object *authorization = object_get(object, "authorization")->object;
    const struct object *oauth2 = object_get(object, "oauth2")->object;
    const struct object *tls = object_get(object, "tls_config")->object;
    *client = (struct http_client_config){
        .follow_redirects = object_get(object, "follow_redirects")->b,
        .enable_http2 = object_get(object, "enable_http2")->b,
    };
    if (basic != NULL) {
        client->has_basic_auth = true;
        client->username = object_get(basic, "username")->text;
        client->username_file = object_get(basic, "username_file")->text;
        client->username_ref = object_get(basic, "username_ref")->text;
        client->password = build_secret(basic, "password", "password_file", "password_ref");
    }
    if (authorization != NULL) {
        client->has_authorization = true;
        client->authorization_type = object_get(authorization, "type")->text;
        client->credentials =
            build_secret(authorization, "credentials", "credentials_file", "credentials_ref");
    }
    if (oauth2 != NULL)
        client->oauth2 = build_oauth2(config, oauth2);
    if (tls != NULL)
        build_tls(tls, &client->tls);
    build_proxy(config, object, &client->proxy);
    build_headers(config, object_get(object, "http_headers"), client);
}
