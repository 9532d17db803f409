/* kubeconfig files: current-context → context → cluster and user. */
#include <string.h>
#include <yaml.h>

#include "discovery_kubernetes_access.h"
#include "narthex/base/fs.h"

enum { KUBECONFIG_BYTES_MAX = 4 << 20 };

struct kubeconfig {
    yaml_document_t document;
    struct arena *arena;
    struct str folder; /* of the file, "." if it has none */
};

/* ---- YAML ---- */

static struct str node_text(const yaml_node_t *node)
{
    if (node == NULL || node->type != YAML_SCALAR_NODE)
        return STR("");
    struct str text = str_from((const char *)node->data.scalar.value, node->data.scalar.length);
    bool plain = node->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
    if (plain && (str_equal(text, STR("~")) || str_equal(text, STR("null"))))
        return STR("");
    return text;
}

static yaml_node_t *get(struct kubeconfig *file, const yaml_node_t *map, const char *key)
{
    if (map == NULL || map->type != YAML_MAPPING_NODE)
        return NULL;
    for (const yaml_node_pair_t *pair = map->data.mapping.pairs.start;
         pair < map->data.mapping.pairs.top; pair++) {
        if (str_equal_cstr(node_text(yaml_document_get_node(&file->document, pair->key)), key))
            return yaml_document_get_node(&file->document, pair->value);
    }
    return NULL;
}

static struct str get_text(struct kubeconfig *file, const yaml_node_t *map, const char *key)
{
    return arena_str(file->arena, node_text(get(file, map, key)));
}

static bool get_bool(struct kubeconfig *file, const yaml_node_t *map, const char *key)
{
    return str_equal(node_text(get(file, map, key)), STR("true"));
}

/* An element of a list of {name: …, <what>: {…}}. */
static yaml_node_t *find_named(struct kubeconfig *file, const char *list_key, const char *what,
                               struct str name)
{
    const yaml_node_t *root = yaml_document_get_root_node(&file->document);
    const yaml_node_t *list = get(file, root, list_key);
    if (list == NULL || list->type != YAML_SEQUENCE_NODE)
        return NULL;
    for (const yaml_node_item_t *item = list->data.sequence.items.start;
         item < list->data.sequence.items.top; item++) {
        const yaml_node_t *element = yaml_document_get_node(&file->document, *item);
        if (str_equal(node_text(get(file, element, "name")), name))
            return get(file, element, what);
    }
    return NULL;
}

/* ---- values ---- */

static int base64_digit(char c)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const char *at = c == '\0' ? NULL : strchr(digits, c);
    return at == NULL ? -1 : (int)(at - digits);
}

static err_t get_base64(struct kubeconfig *file, const yaml_node_t *map, const char *key,
                        struct str *value, struct strbuf *why)
{
    struct str text = str_trim(node_text(get(file, map, key)));
    struct strbuf bytes = STRBUF_INIT;
    uint32_t bits = 0;
    uint32_t bit_count = 0;
    err_t err = OK;
    for (size_t i = 0; i < text.size && text.data[i] != '='; i++) {
        if (text.data[i] == '\n' || text.data[i] == '\r')
            continue;
        int digit = base64_digit(text.data[i]);
        if (digit < 0) {
            err = err_fail(why, ERR_INVALID, "%s is not base64", key);
            break;
        }
        bits = (bits << 6 | (uint32_t)digit) & 0xffffff;
        bit_count += 6;
        if (bit_count >= 8) {
            bit_count -= 8;
            strbuf_add_char(&bytes, (char)(bits >> bit_count & 0xff));
        }
    }
    *value = arena_str(file->arena, strbuf_str(&bytes));
    if (bytes.data != NULL)
        explicit_bzero(bytes.data, bytes.capacity);
    strbuf_deinit(&bytes);
    return err;
}

static struct str get_path(struct kubeconfig *file, const yaml_node_t *map, const char *key)
{
    struct str path = get_text(file, map, key);
    if (path.size == 0 || path.data[0] == '/')
        return path;
    return arena_printf(file->arena, "%.*s/%.*s", STR_ARG(file->folder), STR_ARG(path));
}

/* ---- the three parts ---- */

static err_t read_cluster(struct kubeconfig *file, const yaml_node_t *cluster,
                          struct kubernetes_access *access, struct strbuf *why)
{
    struct tls_config *tls = &access->http.tls;
    access->server = get_text(file, cluster, "server");
    if (access->server.size == 0)
        return err_fail(why, ERR_INVALID, "the cluster has no server");
    TRY(get_base64(file, cluster, "certificate-authority-data", &tls->ca, why));
    if (tls->ca.size == 0)
        tls->ca_file = get_path(file, cluster, "certificate-authority");
    tls->insecure_skip_verify = get_bool(file, cluster, "insecure-skip-tls-verify");
    tls->server_name = get_text(file, cluster, "tls-server-name");
    access->http.proxy.url = get_text(file, cluster, "proxy-url");
    access->http.proxy.from_environment = access->http.proxy.url.size == 0;
    return OK;
}

static err_t refuse_unsupported(struct kubeconfig *file, const yaml_node_t *user,
                                struct strbuf *why)
{
    static const char *const keys[] = {"exec",      "auth-provider", "as",
                                       "as-groups", "as-uid",        "as-user-extra"};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        if (get(file, user, keys[i]) != NULL)
            return err_fail(why, ERR_UNSUPPORTED,
                            "users with \"%s\" are not supported: use a token or a certificate",
                            keys[i]);
    }
    return OK;
}

static err_t read_user(struct kubeconfig *file, const yaml_node_t *user,
                       struct kubernetes_access *access, struct strbuf *why)
{
    struct http_client_config *http = &access->http;
    TRY(refuse_unsupported(file, user, why));
    TRY(get_base64(file, user, "client-certificate-data", &http->tls.cert, why));
    if (http->tls.cert.size == 0)
        http->tls.cert_file = get_path(file, user, "client-certificate");
    TRY(get_base64(file, user, "client-key-data", &http->tls.key.value, why));
    if (http->tls.key.value.size == 0)
        http->tls.key.file = get_path(file, user, "client-key");

    http->credentials.file = get_path(file, user, "tokenFile");
    if (http->credentials.file.size == 0)
        http->credentials.value = get_text(file, user, "token");
    http->has_authorization = http->credentials.file.size > 0 || http->credentials.value.size > 0;
    http->authorization_type = STR("Bearer");
    http->username = get_text(file, user, "username");
    http->password.value = get_text(file, user, "password");
    http->has_basic_auth = http->username.size > 0;
    if (http->has_basic_auth && http->has_authorization)
        return err_fail(why, ERR_INVALID, "the user has both a token and a password");
    return OK;
}

static err_t read_context(struct kubeconfig *file, struct kubernetes_access *access,
                          struct strbuf *why)
{
    const yaml_node_t *root = yaml_document_get_root_node(&file->document);
    struct str name = node_text(get(file, root, "current-context"));
    const yaml_node_t *context = find_named(file, "contexts", "context", name);
    if (name.size == 0)
        return err_fail(why, ERR_INVALID, "no current-context");
    if (context == NULL)
        return err_fail(why, ERR_INVALID, "context \"%.*s\" does not exist", STR_ARG(name));
    struct str cluster_name = node_text(get(file, context, "cluster"));
    const yaml_node_t *cluster = find_named(file, "clusters", "cluster", cluster_name);
    if (cluster == NULL)
        return err_fail(why, ERR_INVALID, "cluster \"%.*s\" does not exist", STR_ARG(cluster_name));
    access->http.follow_redirects = true;
    access->http.enable_http2 = true;
    TRY(read_cluster(file, cluster, access, why));
    struct str user_name = node_text(get(file, context, "user"));
    if (user_name.size == 0)
        return OK;
    const yaml_node_t *user = find_named(file, "users", "user", user_name);
    if (user == NULL)
        return err_fail(why, ERR_INVALID, "user \"%.*s\" does not exist", STR_ARG(user_name));
    return read_user(file, user, access, why);
}

static err_t parse(struct kubeconfig *file, struct str text, struct kubernetes_access *access,
                   struct strbuf *why)
{
    yaml_parser_t parser;
    if (yaml_parser_initialize(&parser) != 1)
        return err_fail(why, ERR_INVALID, "yaml: cannot be read");
    yaml_parser_set_input_string(&parser, (const unsigned char *)text.data, text.size);
    err_t err;
    if (yaml_parser_load(&parser, &file->document) == 0) {
        err = err_fail(why, ERR_INVALID, "yaml: line %zu: %s", parser.problem_mark.line + 1,
                       parser.problem == NULL ? "malformed" : parser.problem);
    } else {
        err = read_context(file, access, why);
        yaml_document_delete(&file->document);
    }
    yaml_parser_delete(&parser);
    return err;
}

err_t kubernetes__kubeconfig_read(struct kubernetes_access *access, struct str path,
                                  struct strbuf *why)
{
    struct kubeconfig file = {.arena = &access->arena, .folder = STR(".")};
    struct str name = arena_str(&access->arena, path);
    for (size_t i = 0; i < name.size; i++) {
        if (name.data[i] == '/')
            file.folder = str_from(name.data, i);
    }
    struct strbuf text = STRBUF_INIT;
    struct strbuf cause = STRBUF_INIT;
    err_t err = fs_read_file(name.data, KUBECONFIG_BYTES_MAX, &text, &cause);
    if (err == OK)
        err = parse(&file, strbuf_str(&text), access, &cause);
    if (err != OK)
        err = err_fail(why, err, "kubeconfig %s: %s", name.data, strbuf_cstr(&cause));
    if (text.data != NULL)
        explicit_bzero(text.data, text.capacity);
    strbuf_deinit(&text);
    strbuf_deinit(&cause);
    return err;
}
