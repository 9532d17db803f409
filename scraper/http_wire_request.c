#include "http_wire_request.h"

#include "http_client_private.h"

static bool is_alphanumeric(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

/* A name, an IPv4 address, or an IPv6 address in brackets; then a port or nothing. */
static bool is_plain_authority(struct str s)
{
    size_t i = 0;
    if (s.size > 0 && s.data[0] == '[') {
        for (i = 1; i < s.size && (is_alphanumeric(s.data[i]) || s.data[i] == ':'); i++)
            ;
        if (i == 1 || i == s.size || s.data[i++] != ']')
            return false;
    } else {
        for (; i < s.size && (is_alphanumeric(s.data[i]) || s.data[i] == '.' || s.data[i] == '-' ||
                              s.data[i] == '_');
             i++)
            ;
        if (i == 0)
            return false;
    }
    if (i == s.size)
        return true;
    uint64_t port;
    return s.data[i] == ':' && s.size - i <= 6 &&
           str_to_uint64(str_from(s.data + i + 1, s.size - i - 1), &port) && port >= 1 &&
           port <= UINT16_MAX;
}

bool http_wire_url_parse(struct str url, struct http_wire_url *out)
{
    struct str scheme = STR("http://");
    if (!str_starts_with(url, scheme))
        return false;
    size_t end = scheme.size;
    while (end < url.size && url.data[end] != '/' && url.data[end] != '?')
        end++;
    out->authority = str_from(url.data + scheme.size, end - scheme.size);
    out->target = str_from(url.data + end, url.size - end);
    for (size_t i = end; i < url.size; i++) {
        if (url.data[i] <= ' ' || url.data[i] > '~' || url.data[i] == '#')
            return false;
    }
    return is_plain_authority(out->authority);
}

/* ---- the part that the configuration gives ---- */

static bool is_sendable(struct str value)
{
    for (size_t i = 0; i < value.size; i++) {
        unsigned char c = (unsigned char)value.data[i];
        if ((c < 0x20 && c != '\t') || c == 0x7f)
            return false;
    }
    return true;
}

static bool add_field(struct strbuf *out, struct str name, struct str value)
{
    strbuf_add_str(out, name);
    strbuf_add_cstr(out, value.size == 0 ? ":" : ": ");
    strbuf_add_str(out, value);
    strbuf_add_cstr(out, "\r\n");
    return is_sendable(value);
}

static void add_base64(struct strbuf *out, struct str s)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (size_t i = 0; i < s.size; i += 3) {
        uint32_t group = 0;
        for (size_t k = 0; k < 3; k++)
            group = group << 8 | (i + k < s.size ? (unsigned char)s.data[i + k] : 0);
        for (size_t k = 0; k < 4; k++)
            strbuf_add_char(out, i + k > s.size ? '=' : digits[group >> (18 - 6 * k) & 63]);
    }
}

static void add_basic_auth(const struct http_client_config *config, struct strbuf *out)
{
    struct strbuf pair = STRBUF_INIT;
    strbuf_add_str(&pair, config->username);
    strbuf_add_char(&pair, ':');
    strbuf_add_str(&pair, config->password.value);
    strbuf_add_cstr(out, "Authorization: Basic ");
    add_base64(out, strbuf_str(&pair));
    strbuf_add_cstr(out, "\r\n");
    http__strbuf_wipe(&pair);
    strbuf_deinit(&pair);
}

static bool add_authorization(const struct http_client_config *config, struct strbuf *out)
{
    struct str type = str_trim(config->authorization_type);
    strbuf_add_cstr(out, "Authorization: ");
    strbuf_add_str(out, type.size == 0 ? STR("Bearer") : type);
    strbuf_add_char(out, ' ');
    strbuf_add_str(out, config->credentials.value);
    strbuf_add_cstr(out, "\r\n");
    return is_sendable(type) && is_sendable(config->credentials.value);
}

static bool is_given(const struct secret_source *secret)
{
    return secret->file.size == 0 && secret->ref.size == 0;
}

static bool is_plain(const struct http_client_config *config)
{
    return config->oauth2 == NULL && config->proxy.url.size == 0 &&
           !config->proxy.from_environment && config->username_file.size == 0 &&
           config->username_ref.size == 0 && is_given(&config->password) &&
           is_given(&config->credentials);
}

bool http__write_plain_fields(const struct http_client_config *config, struct strbuf *out)
{
    if (!is_plain(config))
        return false;
    bool good = true;
    if (config->has_basic_auth)
        add_basic_auth(config, out);
    else if (config->has_authorization)
        good = add_authorization(config, out);
    for (uint32_t i = 0; i < config->header_count; i++) {
        const struct http_header_config *header = &config->headers[i];
        /* curl reads these two itself. */
        good = good && header->file_count == 0 &&
               !str_equal_nocase(header->name, STR("Transfer-Encoding")) &&
               !str_equal_nocase(header->name, STR("Expect"));
        for (uint32_t k = 0; k < header->value_count; k++)
            good = add_field(out, header->name, header->values[k]) && good;
        for (uint32_t k = 0; k < header->secret_count; k++)
            good = add_field(out, header->name, header->secrets[k]) && good;
    }
    return good;
}

bool http_client_is_plain(const struct http_client *client)
{
    return client->is_plain;
}

/* ---- a request ---- */

void http_wire_request_write(const struct http_client *client, const struct http_wire_url *url,
                             const struct name_value *headers, size_t header_count,
                             struct strbuf *out)
{
    strbuf_clear(out);
    strbuf_add_cstr(out, "GET ");
    if (url->target.size == 0 || url->target.data[0] != '/')
        strbuf_add_char(out, '/');
    strbuf_add_str(out, url->target);
    struct str host = url->authority;
    if (str_ends_with(host, STR(":80")))
        host.size -= 3;
    strbuf_add_cstr(out, " HTTP/1.1\r\n");
    add_field(out, STR("Host"), host);
    for (size_t i = 0; i < header_count; i++)
        add_field(out, headers[i].name, headers[i].value);
    strbuf_add_str(out, strbuf_str(&client->plain_fields));
    strbuf_add_cstr(out, "\r\n");
}
