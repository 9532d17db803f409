#include "oauth2_assertion.h"

#include <gnutls/abstract.h>
#include <gnutls/crypto.h>
#include <jansson.h>
#include <string.h>

#include "http_client_private.h"

enum { ASSERTION_LIFE_S = 3600, TOKEN_ID_BYTES = 16 };

static const struct algorithm {
    struct str name;
    gnutls_sign_algorithm_t sign;
} algorithms[] = {
    {STR_INIT("RS256"), GNUTLS_SIGN_RSA_SHA256},
    {STR_INIT("RS384"), GNUTLS_SIGN_RSA_SHA384},
    {STR_INIT("RS512"), GNUTLS_SIGN_RSA_SHA512},
};

static const struct algorithm *find_algorithm(const struct oauth2_config *config)
{
    if (config->signature_algorithm.size == 0)
        return &algorithms[0];
    for (size_t i = 0; i < sizeof algorithms / sizeof *algorithms; i++) {
        if (str_equal(algorithms[i].name, config->signature_algorithm))
            return &algorithms[i];
    }
    return NULL;
}

void oauth2_scopes_write(const struct oauth2_config *config, struct strbuf *out)
{
    for (uint32_t i = 0; i < config->scope_count; i++) {
        if (i > 0)
            strbuf_add_char(out, ' ');
        strbuf_add_str(out, config->scopes[i]);
    }
}

bool oauth2_uses_assertion(const struct oauth2_config *config)
{
    return str_equal(config->grant_type, STR(OAUTH2_GRANT_JWT_BEARER));
}

err_t oauth2_assertion_check(const struct oauth2_config *config, struct strbuf *why)
{
    if (find_algorithm(config) == NULL)
        return err_fail(why, ERR_INVALID, "valid signature algorithms are RS256, RS384 and RS512");
    if (config->client_certificate_key.ref.size > 0)
        return err_fail(why, ERR_INVALID, "cannot use secret ref without manager");
    return OK;
}

/* ---- the two JSON parts ---- */

static json_t *text_value(struct str text)
{
    return json_stringn(text.data, text.size);
}

static void set_token_id(json_t *claims)
{
    unsigned char bytes[TOKEN_ID_BYTES];
    char text[2 * TOKEN_ID_BYTES + 1];
    gnutls_rnd(GNUTLS_RND_NONCE, bytes, sizeof bytes);
    for (size_t i = 0; i < sizeof bytes; i++) {
        text[2 * i] = "0123456789abcdef"[bytes[i] >> 4];
        text[2 * i + 1] = "0123456789abcdef"[bytes[i] & 15];
    }
    text[2 * TOKEN_ID_BYTES] = '\0';
    json_object_set_new(claims, "jti", json_string(text));
}

/* The configured claims come last and may replace any other. */
static json_t *make_claims(const struct oauth2_config *config, int64_t now_s)
{
    json_t *claims = json_object();
    struct str issuer = config->issuer.size > 0 ? config->issuer : config->client_id;
    struct str audience = config->audience.size > 0 ? config->audience : config->token_url;
    json_object_set_new(claims, "iss", text_value(issuer));
    json_object_set_new(claims, "sub", text_value(config->client_id));
    json_object_set_new(claims, "aud", text_value(audience));
    json_object_set_new(claims, "iat", json_integer(now_s));
    json_object_set_new(claims, "exp", json_integer(now_s + ASSERTION_LIFE_S));
    set_token_id(claims);
    if (config->scope_count > 0) {
        struct strbuf scopes = STRBUF_INIT;
        oauth2_scopes_write(config, &scopes);
        json_object_set_new(claims, "scope", text_value(strbuf_str(&scopes)));
        strbuf_deinit(&scopes);
    }
    json_t *more = json_loadb(config->claims.data, config->claims.size, 0, NULL);
    if (more != NULL)
        json_object_update(claims, more);
    json_decref(more);
    return claims;
}

static json_t *make_header(const struct oauth2_config *config, const struct algorithm *algorithm)
{
    json_t *header = json_object();
    json_object_set_new(header, "alg", text_value(algorithm->name));
    json_object_set_new(header, "typ", json_string("JWT"));
    if (config->client_certificate_key_id.size > 0)
        json_object_set_new(header, "kid", text_value(config->client_certificate_key_id));
    return header;
}

/* ---- the token ---- */

/* base64url without padding, RFC 7515. */
static void add_base64url(struct strbuf *out, struct str bytes)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    for (size_t i = 0; i < bytes.size; i += 3) {
        uint32_t group = 0;
        for (size_t k = 0; k < 3; k++)
            group = group << 8 | (i + k < bytes.size ? (unsigned char)bytes.data[i + k] : 0);
        for (size_t k = 0; k < 4 && i + k <= bytes.size; k++)
            strbuf_add_char(out, digits[group >> (18 - 6 * k) & 63]);
    }
}

static int add_text(const char *text, size_t size, void *context)
{
    strbuf_add(context, text, size);
    return 0;
}

/* Takes `value`. */
static void add_part(struct strbuf *out, json_t *value)
{
    struct strbuf text = STRBUF_INIT;
    json_dump_callback(value, add_text, &text, JSON_COMPACT);
    json_decref(value);
    add_base64url(out, strbuf_str(&text));
    strbuf_deinit(&text);
}

static err_t fail_key(int code, struct strbuf *why)
{
    return err_fail(why, ERR_INVALID, "oauth2: cannot use client certificate key: %s",
                    gnutls_strerror(code));
}

static err_t sign(const struct algorithm *algorithm, struct str key, struct strbuf *token,
                  struct strbuf *why)
{
    gnutls_privkey_t private_key;
    gnutls_datum_t signature = {0};
    const gnutls_datum_t pem = {(unsigned char *)(uintptr_t)key.data, (unsigned)key.size};
    const gnutls_datum_t data = {(unsigned char *)token->data, (unsigned)token->size};
    int code = gnutls_privkey_init(&private_key);
    if (code != GNUTLS_E_SUCCESS)
        return fail_key(code, why);
    code = gnutls_privkey_import_x509_raw(private_key, &pem, GNUTLS_X509_FMT_PEM, NULL, 0);
    if (code == GNUTLS_E_SUCCESS)
        code = gnutls_privkey_sign_data2(private_key, algorithm->sign, 0, &data, &signature);
    gnutls_privkey_deinit(private_key);
    if (code != GNUTLS_E_SUCCESS)
        return fail_key(code, why);
    strbuf_add_char(token, '.');
    add_base64url(token, str_from((const char *)signature.data, signature.size));
    gnutls_free(signature.data);
    return OK;
}

err_t oauth2_assertion_write(const struct oauth2_config *config, int64_t now_s, struct strbuf *out,
                             struct strbuf *why)
{
    const struct algorithm *algorithm = find_algorithm(config);
    struct strbuf key = STRBUF_INIT;
    struct strbuf token = STRBUF_INIT;
    err_t err = OK;
    TRY_OUT(oauth2_assertion_check(config, why));
    TRY_OUT(http__read_secret(&config->client_certificate_key, "oauth2 client certificate key",
                              &key, why));
    add_part(&token, make_header(config, algorithm));
    strbuf_add_char(&token, '.');
    add_part(&token, make_claims(config, now_s));
    TRY_OUT(sign(algorithm, strbuf_str(&key), &token, why));
    strbuf_add_str(out, strbuf_str(&token));
out:
    http__strbuf_wipe(&key);
    http__strbuf_wipe(&token);
    strbuf_deinit(&key);
    strbuf_deinit(&token);
    return err;
}
