/* OAuth2: a token is fetched with the client's name and secret (client credentials, RFC 6749 4.4)
 * or with an assertion signed by its key (RFC 7523), and used until shortly before it expires. */
#include <jansson.h>
#include <string.h>

#include "http_client_private.h"
#include "narthex/base/clock.h"
#include "oauth2_assertion.h"

enum {
    TOKEN_ANSWER_BYTES_MAX = 1 << 20,
    TOKEN_EARLY_S = 10, /* renewed this long before it expires */
};
static const int64_t ns_per_s = 1000000000;

bool http_client_needs_token(struct http_client *client)
{
    if (client->config->oauth2 == NULL)
        return false;
    mutex_lock(&client->token_lock);
    bool needs =
        client->token.size == 0 || clock_monotonic_ns(clock_system()) >= client->token_expires_ns;
    mutex_unlock(&client->token_lock);
    return needs;
}

static bool take_token_body(void *context, const char *data, size_t size)
{
    struct http_transfer *transfer = context;
    if (transfer->token_body.size + size > TOKEN_ANSWER_BYTES_MAX)
        return false;
    strbuf_add(&transfer->token_body, data, size);
    return true;
}

static void add_form_text(struct strbuf *form, struct str text)
{
    for (size_t i = 0; i < text.size; i++) {
        unsigned char c = (unsigned char)text.data[i];
        bool plain = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                     c == '-' || c == '_' || c == '.' || c == '~';
        if (plain)
            strbuf_add_char(form, (char)c);
        else if (c == ' ')
            strbuf_add_char(form, '+');
        else
            strbuf_printf(form, "%%%02X", c);
    }
}

static void add_form_field(struct strbuf *form, struct str name, struct str value)
{
    if (form->size > 0)
        strbuf_add_char(form, '&');
    add_form_text(form, name);
    strbuf_add_char(form, '=');
    add_form_text(form, value);
}

static err_t add_assertion(const struct oauth2_config *config, struct strbuf *form,
                           struct strbuf *why)
{
    struct strbuf assertion = STRBUF_INIT;
    int64_t now_s = clock_wall_ms(clock_system()) / 1000;
    err_t err = oauth2_assertion_write(config, now_s, &assertion, why);
    if (err == OK) {
        add_form_field(form, STR("grant_type"), STR(OAUTH2_GRANT_JWT_BEARER));
        add_form_field(form, STR("assertion"), strbuf_str(&assertion));
    }
    http__strbuf_wipe(&assertion);
    strbuf_deinit(&assertion);
    return err;
}

static err_t write_form(const struct oauth2_config *config, struct strbuf *form, struct strbuf *why)
{
    if (oauth2_uses_assertion(config))
        TRY(add_assertion(config, form, why));
    else
        add_form_field(form, STR("grant_type"), STR("client_credentials"));
    if (config->scope_count > 0) {
        struct strbuf scopes = STRBUF_INIT;
        oauth2_scopes_write(config, &scopes);
        add_form_field(form, STR("scope"), strbuf_str(&scopes));
        strbuf_deinit(&scopes);
    }
    for (uint32_t i = 0; i < config->endpoint_param_count; i++)
        add_form_field(form, config->endpoint_params[i].name, config->endpoint_params[i].value);
    return OK;
}

/* The client's name and secret. RFC 6749 2.3.1: both are form-encoded before Basic authentication.
 */
static err_t set_client(struct http_transfer *transfer, const struct oauth2_config *config,
                        struct strbuf *why)
{
    struct strbuf user = STRBUF_INIT;
    struct strbuf secret = STRBUF_INIT;
    struct strbuf plain_secret = STRBUF_INIT;
    err_t err = OK;
    TRY_OUT(http__read_secret(&config->client_secret, "oauth2 client secret", &plain_secret, why));
    add_form_text(&user, config->client_id);
    add_form_text(&secret, strbuf_str(&plain_secret));
    http__transfer_set_basic_auth(transfer, strbuf_cstr(&user), strbuf_cstr(&secret));
out:
    http__strbuf_wipe(&secret);
    http__strbuf_wipe(&plain_secret);
    strbuf_deinit(&secret);
    strbuf_deinit(&plain_secret);
    strbuf_deinit(&user);
    return err;
}

err_t http_transfer_prepare_token(struct http_transfer *transfer, struct http_client *client,
                                  const struct http_request *request, struct strbuf *why)
{
    const struct oauth2_config *config = client->config->oauth2;
    http__transfer_reset(transfer, "POST", config->token_url);
    http__strbuf_wipe(&transfer->token_body);
    transfer->for_token = true;
    transfer->unix_socket = STR("");
    transfer->on_body = take_token_body;
    transfer->context = transfer;

    struct strbuf form = STRBUF_INIT;
    err_t err = OK;
    if (!oauth2_uses_assertion(config))
        TRY_OUT(set_client(transfer, config, why));
    TRY_OUT(write_form(config, &form, why));
    TRY_OUT(http__transfer_add_header(transfer, STR("Content-Type"),
                                      STR("application/x-www-form-urlencoded"), why));
    TRY_OUT(http__transfer_set_tls(transfer, &config->tls, why));
    http__transfer_set_proxy(transfer, &config->proxy);
    curl_easy_setopt(transfer->easy, CURLOPT_HTTPHEADER, transfer->headers);
    curl_easy_setopt(transfer->easy, CURLOPT_TIMEOUT_MS, (long)request->timeout_ms);
    curl_easy_setopt(transfer->easy, CURLOPT_POSTFIELDSIZE, (long)form.size);
    curl_easy_setopt(transfer->easy, CURLOPT_COPYPOSTFIELDS, strbuf_cstr(&form));
out:
    http__strbuf_wipe(&form);
    strbuf_deinit(&form);
    return err;
}

static void keep_token(struct http_client *client, const char *type, const char *token,
                       json_int_t expires_s)
{
    int64_t now_ns = clock_monotonic_ns(clock_system());
    mutex_lock(&client->token_lock);
    http__strbuf_wipe(&client->token);
    bool bearer = type[0] == '\0' || str_equal_nocase(str_from_cstr(type), STR("bearer"));
    strbuf_printf(&client->token, "%s %s", bearer ? "Bearer" : type, token);
    int64_t life_s = expires_s > TOKEN_EARLY_S ? expires_s - TOKEN_EARLY_S : 0;
    bool for_ever = expires_s <= 0 || life_s > INT64_MAX / ns_per_s / 2;
    client->token_expires_ns = for_ever ? INT64_MAX : now_ns + life_s * ns_per_s;
    mutex_unlock(&client->token_lock);
}

err_t http_client_take_token(struct http_client *client, struct http_transfer *transfer,
                             struct strbuf *why)
{
    const struct http_answer *answer = &transfer->answer;
    err_t err = OK;
    json_t *root = NULL;
    if (answer->status < 200 || answer->status > 299) {
        err = err_fail(why, ERR_IO, "oauth2: cannot fetch token: %u %s", answer->status,
                       answer->reason);
        goto out;
    }
    root = json_loadb(transfer->token_body.data, transfer->token_body.size, 0, NULL);
    const char *token = json_string_value(json_object_get(root, "access_token"));
    const char *type = json_string_value(json_object_get(root, "token_type"));
    if (token == NULL || token[0] == '\0') {
        err = err_fail(why, ERR_INVALID, "oauth2: server response missing access_token");
        goto out;
    }
    keep_token(client, type == NULL ? "" : type, token,
               json_integer_value(json_object_get(root, "expires_in")));
out:
    json_decref(root);
    http__strbuf_wipe(&transfer->token_body);
    return err;
}
