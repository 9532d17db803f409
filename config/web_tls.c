/* GnuTLS credentials and priorities out of a web configuration. */
#include "narthex/config/web_tls.h"

#include <arpa/inet.h>
#include <assert.h>
#include <gnutls/x509.h>

#include "narthex/base/fs.h"
#include "narthex/base/mem.h"

enum { PEM_BYTES_MAX = 16 * 1024 * 1024, SAN_BYTES_MAX = 1024 };

struct web_tls {
    const struct web_tls_config *config;
    gnutls_certificate_credentials_t credentials;
    gnutls_priority_t priority;
};

/* ---- names ---- */

/* What Go lets one configure up to TLS 1.2, with GnuTLS' name of the cipher. TLS 1.3's three are
 * always on, as in Go. */
static const struct suite {
    const char *name;
    const char *cipher;
    gnutls_kx_algorithm_t exchange;
    gnutls_cipher_algorithm_t algorithm;
} suites[] = {
    {"TLS_AES_128_GCM_SHA256", "AES-128-GCM", GNUTLS_KX_UNKNOWN, GNUTLS_CIPHER_AES_128_GCM},
    {"TLS_AES_256_GCM_SHA384", "AES-256-GCM", GNUTLS_KX_UNKNOWN, GNUTLS_CIPHER_AES_256_GCM},
    {"TLS_CHACHA20_POLY1305_SHA256", "CHACHA20-POLY1305", GNUTLS_KX_UNKNOWN,
     GNUTLS_CIPHER_CHACHA20_POLY1305},
    {"TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA", "AES-128-CBC", GNUTLS_KX_ECDHE_ECDSA,
     GNUTLS_CIPHER_AES_128_CBC},
    {"TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA", "AES-256-CBC", GNUTLS_KX_ECDHE_ECDSA,
     GNUTLS_CIPHER_AES_256_CBC},
    {"TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA", "AES-128-CBC", GNUTLS_KX_ECDHE_RSA,
     GNUTLS_CIPHER_AES_128_CBC},
    {"TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA", "AES-256-CBC", GNUTLS_KX_ECDHE_RSA,
     GNUTLS_CIPHER_AES_256_CBC},
    {"TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256", "AES-128-GCM", GNUTLS_KX_ECDHE_ECDSA,
     GNUTLS_CIPHER_AES_128_GCM},
    {"TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384", "AES-256-GCM", GNUTLS_KX_ECDHE_ECDSA,
     GNUTLS_CIPHER_AES_256_GCM},
    {"TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", "AES-128-GCM", GNUTLS_KX_ECDHE_RSA,
     GNUTLS_CIPHER_AES_128_GCM},
    {"TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384", "AES-256-GCM", GNUTLS_KX_ECDHE_RSA,
     GNUTLS_CIPHER_AES_256_GCM},
    {"TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256", "CHACHA20-POLY1305", GNUTLS_KX_ECDHE_RSA,
     GNUTLS_CIPHER_CHACHA20_POLY1305},
    {"TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256", "CHACHA20-POLY1305", GNUTLS_KX_ECDHE_ECDSA,
     GNUTLS_CIPHER_CHACHA20_POLY1305},
};

static const struct {
    const char *name;
    const char *group;
} curve_names[] = {
    {"CurveP256", "SECP256R1"},
    {"CurveP384", "SECP384R1"},
    {"CurveP521", "SECP521R1"},
    {"X25519", "X25519"},
};

static const struct suite *find_suite(struct str name)
{
    for (size_t i = 0; i < sizeof suites / sizeof *suites; i++) {
        if (str_equal_cstr(name, suites[i].name))
            return &suites[i];
    }
    return NULL;
}

bool web_tls_has_cipher(struct str name)
{
    return find_suite(name) != NULL;
}

bool web_tls_has_curve(struct str name)
{
    for (size_t i = 0; i < sizeof curve_names / sizeof *curve_names; i++) {
        if (str_equal_cstr(name, curve_names[i].name))
            return true;
    }
    return false;
}

/* ---- priorities ---- */

/* Ciphers of the configured suites in their order, then TLS 1.3's; which pairs of key exchange and
 * cipher are meant is settled by check_suite. */
static void add_ciphers(const struct web_tls_config *config, struct strbuf *out)
{
    strbuf_add_cstr(out, ":-CIPHER-ALL");
    for (uint32_t i = 0; i < config->cipher_suite_count; i++)
        strbuf_printf(out, ":+%s", find_suite(config->cipher_suites[i])->cipher);
    strbuf_add_cstr(out, ":+AES-128-GCM:+AES-256-GCM:+CHACHA20-POLY1305");
    if (config->cipher_suite_count == 0)
        strbuf_add_cstr(out, ":+AES-128-CBC:+AES-256-CBC");
}

static void add_groups(const struct web_tls_config *config, struct strbuf *out)
{
    if (config->curve_count == 0)
        return;
    strbuf_add_cstr(out, ":-GROUP-ALL");
    for (uint32_t i = 0; i < config->curve_count; i++) {
        for (size_t c = 0; c < sizeof curve_names / sizeof *curve_names; c++) {
            if (str_equal_cstr(config->curves[i], curve_names[c].name))
                strbuf_printf(out, ":+GROUP-%s", curve_names[c].group);
        }
    }
}

static err_t set_priority(struct web_tls *tls, struct strbuf *why)
{
    const struct web_tls_config *config = tls->config;
    struct strbuf text = STRBUF_INIT;
    strbuf_add_cstr(&text, "NORMAL:-VERS-ALL");
    for (int v = (int)config->max_version; v >= (int)config->min_version; v--)
        strbuf_printf(&text, ":+VERS-TLS1.%d", v);
    strbuf_add_cstr(&text, ":-KX-ALL:+ECDHE-ECDSA:+ECDHE-RSA:-MAC-ALL:+AEAD:+SHA1");
    add_ciphers(config, &text);
    add_groups(config, &text);
    strbuf_add_cstr(&text, ":%SERVER_PRECEDENCE");
    int code = gnutls_priority_init(&tls->priority, strbuf_cstr(&text), NULL);
    strbuf_deinit(&text);
    if (code < 0)
        return err_fail(why, ERR_INVALID, "no TLS version and cipher is left to use: %s",
                        gnutls_strerror(code));
    return OK;
}

/* ---- certificates ---- */

static bool holds_pem(const struct strbuf *text)
{
    return strstr(strbuf_cstr((struct strbuf *)text), "-----BEGIN ") != NULL;
}

static err_t read_pem(struct str file, struct str text, const char *key, struct strbuf *out,
                      struct strbuf *why)
{
    if (file.size == 0) {
        strbuf_add_str(out, text);
        return OK;
    }
    struct strbuf inner = STRBUF_INIT;
    err_t err = fs_read_file(file.data, PEM_BYTES_MAX, out, &inner);
    if (err != OK && key != NULL)
        err = err_fail(why, err, "failed to read %s (%s): %s", key, file.data, strbuf_cstr(&inner));
    else if (err != OK)
        err = err_fail(why, err, "%s", strbuf_cstr(&inner));
    strbuf_deinit(&inner);
    return err;
}

static gnutls_datum_t datum(struct strbuf *text)
{
    return (gnutls_datum_t){(unsigned char *)text->data, (unsigned)text->size};
}

static err_t set_pair(struct web_tls *tls, struct strbuf *cert, struct strbuf *key,
                      struct strbuf *why)
{
    if (!holds_pem(cert))
        return err_fail(why, ERR_INVALID,
                        "failed to load X509KeyPair: tls: failed to find any PEM "
                        "data in certificate input");
    if (!holds_pem(key))
        return err_fail(why, ERR_INVALID,
                        "failed to load X509KeyPair: tls: failed to find any PEM "
                        "data in key input");
    gnutls_datum_t cert_bytes = datum(cert), key_bytes = datum(key);
    int code = gnutls_certificate_set_x509_key_mem(tls->credentials, &cert_bytes, &key_bytes,
                                                   GNUTLS_X509_FMT_PEM);
    if (code == GNUTLS_E_CERTIFICATE_KEY_MISMATCH)
        return err_fail(why, ERR_INVALID,
                        "failed to load X509KeyPair: tls: private key does not "
                        "match public key");
    if (code < 0)
        return err_fail(why, ERR_INVALID, "failed to load X509KeyPair: %s", gnutls_strerror(code));
    return OK;
}

static err_t load_pair(struct web_tls *tls, struct strbuf *why)
{
    const struct web_tls_config *config = tls->config;
    struct strbuf cert = STRBUF_INIT;
    struct strbuf key = STRBUF_INIT;
    err_t err = read_pem(config->cert_file, config->cert, "cert_file", &cert, why);
    if (err == OK)
        err = read_pem(config->key_file, config->key, "key_file", &key, why);
    if (err == OK)
        err = set_pair(tls, &cert, &key, why);
    if (key.size > 0)
        gnutls_memset(key.data, 0, key.size);
    strbuf_deinit(&key);
    strbuf_deinit(&cert);
    return err;
}

/* As in Go, a file without certificates trusts nobody. */
static err_t load_client_ca(struct web_tls *tls, struct strbuf *why)
{
    const struct web_tls_config *config = tls->config;
    if (config->client_ca_file.size == 0 && config->client_ca.size == 0)
        return OK;
    struct strbuf pem = STRBUF_INIT;
    err_t err = read_pem(config->client_ca_file, config->client_ca, NULL, &pem, why);
    if (err == OK && holds_pem(&pem)) {
        gnutls_datum_t bytes = datum(&pem);
        int code =
            gnutls_certificate_set_x509_trust_mem(tls->credentials, &bytes, GNUTLS_X509_FMT_PEM);
        if (code < 0)
            err = err_fail(why, ERR_INVALID, "client CA: %s", gnutls_strerror(code));
    }
    strbuf_deinit(&pem);
    return err;
}

/* ---- what the client shows ---- */

static bool is_allowed(const struct web_tls_config *config, struct str name)
{
    for (uint32_t i = 0; i < config->allowed_san_count; i++) {
        if (str_equal(config->allowed_sans[i], name))
            return true;
    }
    return false;
}

static bool has_allowed_san(const struct web_tls_config *config, gnutls_x509_crt_t cert)
{
    for (unsigned i = 0;; i++) {
        char san[SAN_BYTES_MAX];
        size_t size = sizeof san;
        int type = gnutls_x509_crt_get_subject_alt_name(cert, i, san, &size, NULL);
        if (type == GNUTLS_E_REQUESTED_DATA_NOT_AVAILABLE)
            return false;
        if (type < 0)
            continue;
        char address[INET6_ADDRSTRLEN];
        struct str name = str_from(san, size);
        if (type == GNUTLS_SAN_IPADDRESS) {
            if (inet_ntop(size == 4 ? AF_INET : AF_INET6, san, address, sizeof address) == NULL)
                continue;
            name = str_from_cstr(address);
        } else if (type != GNUTLS_SAN_DNSNAME && type != GNUTLS_SAN_RFC822NAME &&
                   type != GNUTLS_SAN_URI) {
            continue;
        }
        if (is_allowed(config, name))
            return true;
    }
}

static bool leaf_is_allowed(const struct web_tls_config *config, const gnutls_datum_t *leaf)
{
    gnutls_x509_crt_t cert;
    if (gnutls_x509_crt_init(&cert) < 0)
        return false;
    bool allowed = gnutls_x509_crt_import(cert, leaf, GNUTLS_X509_FMT_DER) >= 0 &&
                   has_allowed_san(config, cert);
    gnutls_x509_crt_deinit(cert);
    return allowed;
}

/* Called by GnuTLS within the handshake; not 0 ends it. */
static int verify_client(gnutls_session_t session)
{
    const struct web_tls *tls = gnutls_session_get_ptr(session);
    const struct web_tls_config *config = tls->config;
    unsigned count = 0;
    const gnutls_datum_t *chain = gnutls_certificate_get_peers(session, &count);
    bool required = config->client_auth == WEB_CLIENT_REQUIRE_ANY ||
                    config->client_auth == WEB_CLIENT_REQUIRE_AND_VERIFY;
    bool verified = config->client_auth == WEB_CLIENT_VERIFY_IF_GIVEN ||
                    config->client_auth == WEB_CLIENT_REQUIRE_AND_VERIFY;
    if (chain == NULL || count == 0)
        return required ? -1 : 0;
    unsigned status = 0;
    gnutls_typed_vdata_st purpose = {GNUTLS_DT_KEY_PURPOSE_OID,
                                     (unsigned char *)GNUTLS_KP_TLS_WWW_CLIENT, 0};
    if (verified &&
        (gnutls_certificate_verify_peers(session, &purpose, 1, &status) < 0 || status != 0))
        return -1;
    return config->has_allowed_sans && !leaf_is_allowed(config, &chain[0]) ? -1 : 0;
}

/* Before the server's last handshake message, when the suite is settled: ends sessions below TLS
 * 1.3 with one that is not configured. */
static int check_suite(gnutls_session_t session, unsigned type, unsigned when, unsigned incoming,
                       const gnutls_datum_t *message)
{
    (void)type;
    (void)when;
    (void)incoming;
    (void)message;
    const struct web_tls *tls = gnutls_session_get_ptr(session);
    if (tls->config->cipher_suite_count == 0 ||
        gnutls_protocol_get_version(session) >= GNUTLS_TLS1_3)
        return 0;
    for (uint32_t i = 0; i < tls->config->cipher_suite_count; i++) {
        const struct suite *suite = find_suite(tls->config->cipher_suites[i]);
        if (suite->exchange == gnutls_kx_get(session) &&
            suite->algorithm == gnutls_cipher_get(session))
            return 0;
    }
    return GNUTLS_E_NO_CIPHER_SUITES;
}

/* ---- public ---- */

err_t web_tls_create(const struct web_tls_config *config, struct web_tls **out, struct strbuf *why)
{
    struct web_tls *tls = MEM_NEW(MEM_CONFIG, struct web_tls);
    tls->config = config;
    int code = gnutls_certificate_allocate_credentials(&tls->credentials);
    assert(code >= 0);
    (void)code;
    gnutls_certificate_set_verify_function(tls->credentials, verify_client);
    err_t err = load_pair(tls, why);
    if (err == OK)
        err = load_client_ca(tls, why);
    if (err == OK)
        err = set_priority(tls, why);
    if (err != OK) {
        web_tls_destroy(tls);
        return err;
    }
    *out = tls;
    return OK;
}

void web_tls_destroy(struct web_tls *tls)
{
    if (tls == NULL)
        return;
    if (tls->priority != NULL)
        gnutls_priority_deinit(tls->priority);
    gnutls_certificate_free_credentials(tls->credentials);
    mem_free(MEM_CONFIG, tls);
}

bool web_tls_apply(struct web_tls *tls, gnutls_session_t session)
{
    static const gnutls_certificate_request_t requests[] = {
        [WEB_CLIENT_NONE] = GNUTLS_CERT_IGNORE,
        [WEB_CLIENT_REQUEST] = GNUTLS_CERT_REQUEST,
        [WEB_CLIENT_REQUIRE_ANY] = GNUTLS_CERT_REQUIRE,
        [WEB_CLIENT_VERIFY_IF_GIVEN] = GNUTLS_CERT_REQUEST,
        [WEB_CLIENT_REQUIRE_AND_VERIFY] = GNUTLS_CERT_REQUIRE,
    };
    gnutls_session_set_ptr(session, tls);
    gnutls_certificate_server_set_request(session, requests[tls->config->client_auth]);
    gnutls_handshake_set_hook_function(session, GNUTLS_HANDSHAKE_FINISHED, GNUTLS_HOOK_PRE,
                                       check_suite);
    return gnutls_priority_set(session, tls->priority) >= 0 &&
           gnutls_credentials_set(session, GNUTLS_CRD_CERTIFICATE, tls->credentials) >= 0;
}
