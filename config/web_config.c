/* The web configuration file: schema and checks. */
#include "narthex/config/web_config.h"

#include "config_impl.h"
#include "narthex/base/fs.h"
#include "narthex/base/mem.h"
#include "narthex/base/number.h"
#include "narthex/config/web_tls.h"

enum { WEB_CONFIG_BYTES_MAX = 16 * 1024 * 1024 };

static const struct field tls_fields[] = {
    {"cert", FIELD_STRING, NULL, NULL, NULL, 0},
    {"key", FIELD_SECRET, NULL, NULL, NULL, 0},
    {"client_ca", FIELD_STRING, NULL, NULL, NULL, 0},
    {"cert_file", FIELD_STRING, NULL, NULL, NULL, FIELD_PATH},
    {"key_file", FIELD_STRING, NULL, NULL, NULL, FIELD_PATH},
    {"client_auth_type", FIELD_STRING, NULL, NULL, NULL, 0},
    {"client_ca_file", FIELD_STRING, NULL, NULL, NULL, FIELD_PATH},
    {"cipher_suites", FIELD_STRINGS, NULL, NULL, NULL, 0},
    {"curve_preferences", FIELD_STRINGS, NULL, NULL, NULL, 0},
    {"min_version", FIELD_STRING, NULL, "TLS12", NULL, 0},
    {"max_version", FIELD_STRING, NULL, "TLS13", NULL, 0},
    {"prefer_server_cipher_suites", FIELD_BOOL, NULL, "true", NULL, 0},
    {"client_allowed_sans", FIELD_STRINGS, NULL, NULL, NULL, 0},
    {NULL, 0, NULL, NULL, NULL, 0},
};
static const struct schema schema_web_tls = {"web.TLSConfig", tls_fields, NULL};

static const struct field http_fields[] = {
    {"http2", FIELD_BOOL, NULL, "true", NULL, 0},
    {"headers", FIELD_MAP, NULL, NULL, NULL, 0},
    {NULL, 0, NULL, NULL, NULL, 0},
};
static const struct schema schema_web_http = {"web.HTTPConfig", http_fields, NULL};

static const struct field rate_fields[] = {
    {"burst", FIELD_INT, NULL, NULL, NULL, 0},
    {"interval", FIELD_STRING, NULL, NULL, NULL, 0},
    {NULL, 0, NULL, NULL, NULL, 0},
};
static const struct schema schema_web_rate = {"web.RateLimiterConfig", rate_fields, NULL};

static const struct field web_fields[] = {
    {"tls_server_config", FIELD_OBJECT, &schema_web_tls, NULL, NULL, 0},
    {"http_server_config", FIELD_OBJECT, &schema_web_http, NULL, NULL, 0},
    {"rate_limit", FIELD_OBJECT, &schema_web_rate, NULL, NULL, 0},
    {"basic_auth_users", FIELD_MAP, NULL, NULL, NULL, 0},
    {NULL, 0, NULL, NULL, NULL, 0},
};
static const struct schema schema_web = {"web.Config", web_fields, NULL};

/* ---- tls_server_config ---- */

static err_t read_version(const struct object *tls, const char *key, enum web_tls_version *version,
                          struct strbuf *why)
{
    static const char *const names[] = {"TLS10", "TLS11", "TLS12", "TLS13"};
    struct str text = object_get(tls, key)->text;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (str_equal_cstr(text, names[i])) {
            *version = (enum web_tls_version)i;
            return OK;
        }
    }
    return err_fail(why, ERR_INVALID, "unknown TLS version: %.*s", STR_ARG(text));
}

static err_t read_client_auth(struct str text, enum web_client_auth *auth, struct strbuf *why)
{
    static const struct {
        const char *name;
        enum web_client_auth auth;
    } names[] = {
        {"", WEB_CLIENT_NONE},
        {"NoClientCert", WEB_CLIENT_NONE},
        {"RequestClientCert", WEB_CLIENT_REQUEST},
        {"RequireAnyClientCert", WEB_CLIENT_REQUIRE_ANY},
        {"RequireClientCert", WEB_CLIENT_REQUIRE_ANY}, /* an old name */
        {"VerifyClientCertIfGiven", WEB_CLIENT_VERIFY_IF_GIVEN},
        {"RequireAndVerifyClientCert", WEB_CLIENT_REQUIRE_AND_VERIFY},
    };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (str_equal_cstr(text, names[i].name)) {
            *auth = names[i].auth;
            return OK;
        }
    }
    return err_fail(why, ERR_INVALID, "invalid ClientAuth: %.*s", STR_ARG(text));
}

static err_t check_names(const struct value *names, bool (*known)(struct str), const char *what,
                         struct strbuf *why)
{
    for (uint32_t i = 0; i < names->count; i++) {
        if (!known(names->strings[i]))
            return err_fail(why, ERR_INVALID, "unknown %s: %.*s", what, STR_ARG(names->strings[i]));
    }
    return OK;
}

/* Presence of certificate and key, and how the clients' settings go together. */
static err_t check_tls(const struct web_tls_config *tls, struct strbuf *why)
{
    bool has_ca = tls->client_ca_file.size > 0 || tls->client_ca.size > 0;
    if (tls->cert_file.size == 0 && tls->cert.size == 0)
        return err_fail(why, ERR_INVALID, "missing one of cert or cert_file");
    if (tls->key_file.size == 0 && tls->key.size == 0)
        return err_fail(why, ERR_INVALID, "missing one of key or key_file");
    if (has_ca && tls->client_auth == WEB_CLIENT_NONE)
        return err_fail(why, ERR_INVALID,
                        "client CA's have been configured without a Client Auth Policy");
    if (tls->has_allowed_sans && tls->client_auth != WEB_CLIENT_REQUIRE_ANY &&
        tls->client_auth != WEB_CLIENT_REQUIRE_AND_VERIFY)
        return err_fail(why, ERR_INVALID,
                        "client_allowed_sans requires client_auth_type to be one of "
                        "RequireAnyClientCert or RequireAndVerifyClientCert");
    return OK;
}

static err_t read_tls(struct web_tls_config *tls, const struct object *from, struct strbuf *why)
{
    if (from == NULL)
        return OK;
    const struct value *ciphers = object_get(from, "cipher_suites");
    const struct value *curves = object_get(from, "curve_preferences");
    const struct value *sans = object_get(from, "client_allowed_sans");
    TRY(check_names(ciphers, web_tls_has_cipher, "cipher", why));
    TRY(check_names(curves, web_tls_has_curve, "curve", why));
    TRY(read_version(from, "min_version", &tls->min_version, why));
    TRY(read_version(from, "max_version", &tls->max_version, why));
    struct str auth = object_get(from, "client_auth_type")->text;
    tls->cert_file = object_get(from, "cert_file")->text;
    tls->key_file = object_get(from, "key_file")->text;
    tls->cert = object_get(from, "cert")->text;
    tls->key = object_get(from, "key")->text;
    tls->client_ca_file = object_get(from, "client_ca_file")->text;
    tls->client_ca = object_get(from, "client_ca")->text;
    tls->cipher_suites = ciphers->strings;
    tls->cipher_suite_count = ciphers->count;
    tls->curves = curves->strings;
    tls->curve_count = curves->count;
    tls->allowed_sans = sans->strings;
    tls->allowed_san_count = sans->count;
    tls->has_allowed_sans = sans->set;
    tls->enabled = tls->cert_file.size > 0 || tls->key_file.size > 0 || tls->cert.size > 0 ||
                   tls->key.size > 0 || tls->client_ca_file.size > 0 || tls->client_ca.size > 0 ||
                   auth.size > 0;
    if (!tls->enabled)
        return OK;
    TRY(read_client_auth(auth, &tls->client_auth, why));
    return check_tls(tls, why);
}

/* ---- http_server_config ---- */

static err_t check_header(struct str name, struct str value, struct strbuf *why)
{
    static const struct {
        const char *name;
        const char *values[3]; /* none: any */
        const char *printed;
    } known[] = {
        {"Strict-Transport-Security", {NULL}, NULL},
        {"X-Content-Type-Options", {"nosniff"}, "[\"nosniff\"]"},
        {"X-Frame-Options", {"deny", "sameorigin"}, "[\"deny\" \"sameorigin\"]"},
        {"X-XSS-Protection", {NULL}, NULL},
        {"Content-Security-Policy", {NULL}, NULL},
    };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        if (!str_equal_cstr(name, known[i].name))
            continue;
        for (size_t v = 0; known[i].values[v] != NULL; v++) {
            if (str_equal_cstr(value, known[i].values[v]))
                return OK;
        }
        if (known[i].printed == NULL && str_find(value, '\n', 0) == SIZE_MAX &&
            str_find(value, '\r', 0) == SIZE_MAX)
            return OK;
        return err_fail(why, ERR_INVALID,
                        "invalid value for %s. Expected one of: %s, but got: "
                        "\"%.*s\"",
                        known[i].name, known[i].printed == NULL ? "one line" : known[i].printed,
                        STR_ARG(value));
    }
    return err_fail(why, ERR_INVALID, "HTTP header \"%.*s\" can not be configured", STR_ARG(name));
}

/* ---- basic_auth_users ---- */

/* The faults of a bcrypt hash that Prometheus looks for before it starts. */
static err_t check_hash(struct str hash, struct strbuf *why)
{
    enum { HASH_BYTES_MIN = 59, COST_MIN = 4, COST_MAX = 31 };
    if (hash.size < HASH_BYTES_MIN)
        return err_fail(why, ERR_INVALID,
                        "crypto/bcrypt: hashedSecret too short to be a bcrypted password");
    if (hash.data[0] != '$')
        return err_fail(why, ERR_INVALID,
                        "crypto/bcrypt: bcrypt hashes must start with '$', but hashedSecret "
                        "started with '%c'",
                        hash.data[0]);
    if (hash.data[1] > '2')
        return err_fail(why, ERR_INVALID,
                        "crypto/bcrypt: bcrypt algorithm version '%c' requested is newer than "
                        "current version '2'",
                        hash.data[1]);
    size_t at = hash.data[2] == '$' ? 3 : 4;
    uint64_t cost = 0;
    if (!str_to_uint64(str_from(hash.data + at, 2), &cost))
        return err_fail(why, ERR_INVALID, "strconv.Atoi: parsing \"%.2s\": invalid syntax",
                        hash.data + at);
    if (cost < COST_MIN || cost > COST_MAX)
        return err_fail(why, ERR_INVALID,
                        "crypto/bcrypt: cost %d is outside allowed inclusive range %d..%d",
                        (int)cost, COST_MIN, COST_MAX);
    return OK;
}

static const struct web_pair *pairs(struct arena *arena, const struct value *map)
{
    struct web_pair *out = ARENA_NEW_ARRAY(arena, struct web_pair, map->count);
    for (uint32_t i = 0; i < map->count; i++)
        out[i] = (struct web_pair){map->named[i].name, map->named[i].items[0]};
    return out;
}

/* ---- rate_limit ---- */

/* One "1.5h" of a Go duration; *at moves behind it. */
static bool take_duration_part(struct str text, size_t *at, double *ns)
{
    static const struct {
        const char *unit;
        double ns;
    } units[] = {{"ns", 1},   {"us", 1e3}, {"\xc2\xb5s", 1e3}, {"\xce\xbcs", 1e3},
                 {"ms", 1e6}, {"s", 1e9},  {"m", 60e9},        {"h", 3600e9}};
    size_t start = *at;
    while (*at < text.size &&
           ((text.data[*at] >= '0' && text.data[*at] <= '9') || text.data[*at] == '.'))
        (*at)++;
    double number;
    bool range;
    if (!number_parse(str_from(text.data + start, *at - start), &number, &range))
        return false;
    struct str rest = str_from(text.data + *at, text.size - *at);
    for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
        struct str unit = str_from_cstr(units[i].unit);
        bool minutes_of_ms = units[i].ns == 60e9 && str_starts_with(rest, STR("ms"));
        if (str_starts_with(rest, unit) && !minutes_of_ms) {
            *at += unit.size;
            *ns += number * units[i].ns;
            return true;
        }
    }
    return false;
}

/* Go's durations, or a plain number of nanoseconds. */
static err_t read_interval(struct str text, int64_t *ns, struct strbuf *why)
{
    if (text.size == 0 || str_to_int64(text, ns))
        return OK;
    double sum = 0;
    size_t at = 0;
    while (at < text.size) {
        if (!take_duration_part(text, &at, &sum) || sum > 9e18)
            return err_fail(why, ERR_INVALID,
                            "yaml: unmarshal errors:\n  cannot unmarshal !!str `%.*s` into "
                            "time.Duration",
                            STR_ARG(text));
    }
    *ns = (int64_t)sum;
    return OK;
}

/* ---- the whole ---- */

static err_t read_all(struct web_config *config, const struct object *root, struct strbuf *why)
{
    const struct object *http = object_get(root, "http_server_config")->object;
    const struct object *rate = object_get(root, "rate_limit")->object;
    const struct value *users = object_get(root, "basic_auth_users");
    config->users = pairs(&config->arena, users);
    config->user_count = users->count;
    for (uint32_t i = 0; i < config->user_count; i++)
        TRY(check_hash(config->users[i].value, why));
    config->http2 = true;
    if (http != NULL) {
        const struct value *headers = object_get(http, "headers");
        config->http2 = object_get(http, "http2")->b;
        config->headers = pairs(&config->arena, headers);
        config->header_count = headers->count;
        for (uint32_t i = 0; i < config->header_count; i++)
            TRY(check_header(config->headers[i].name, config->headers[i].value, why));
    }
    if (rate != NULL) {
        config->rate_burst = object_get(rate, "burst")->i;
        TRY(read_interval(object_get(rate, "interval")->text, &config->rate_interval_ns, why));
        if (config->rate_interval_ns < 0 || config->rate_burst < 0)
            return err_fail(why, ERR_INVALID, "rate_limit: interval and burst can't be negative");
    }
    return read_tls(&config->tls, object_get(root, "tls_server_config")->object, why);
}

err_t web_config_load_text(struct str text, struct str folder, struct web_config **out,
                           struct strbuf *why)
{
    struct web_config *config = MEM_NEW(MEM_CONFIG, struct web_config);
    arena_init(&config->arena, MEM_CONFIG, SIZE_MAX);
    struct yaml_node *tree;
    struct object *root;
    err_t err = yaml_tree_parse(text, &config->arena, &tree, why);
    if (err == OK)
        err = schema_decode(&schema_web, tree, folder, &config->arena, &root, why);
    if (err == OK)
        err = read_all(config, root, why);
    if (err != OK) {
        web_config_free(config);
        return err;
    }
    *out = config;
    return OK;
}

err_t web_config_load(const char *path, struct web_config **config, struct strbuf *why)
{
    struct strbuf text = STRBUF_INIT;
    struct str folder = config__folder_of(str_from_cstr(path));
    err_t err = fs_read_file(path, WEB_CONFIG_BYTES_MAX, &text, why);
    if (err == OK)
        err = web_config_load_text(strbuf_str(&text), folder, config, why);
    strbuf_deinit(&text);
    return err;
}

void web_config_free(struct web_config *config)
{
    if (config == NULL)
        return;
    arena_deinit(&config->arena);
    mem_free(MEM_CONFIG, config);
}
