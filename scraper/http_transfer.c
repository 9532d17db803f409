#include "http_transfer.h"

#include <assert.h>
#include <string.h>

#include "http_client_private.h"

enum {
    CONNECTION_IDLE_S = 300,
    REDIRECT_BODY_BYTES_MAX = 64 << 10, /* read to keep the connection usable */
};

void http_transfer_init(struct http_transfer *transfer)
{
    memset(transfer, 0, sizeof *transfer);
}

static void free_lists(struct http_transfer *transfer)
{
    curl_slist_free_all(transfer->headers);
    curl_slist_free_all(transfer->proxy_headers);
    curl_slist_free_all(transfer->connect_to);
    transfer->headers = NULL;
    transfer->proxy_headers = NULL;
    transfer->connect_to = NULL;
}

void http_transfer_deinit(struct http_transfer *transfer)
{
    curl_easy_cleanup(transfer->easy);
    free_lists(transfer);
    http__strbuf_wipe(&transfer->scratch);
    strbuf_deinit(&transfer->scratch);
    strbuf_deinit(&transfer->url);
    strbuf_deinit(&transfer->location);
    strbuf_deinit(&transfer->origin);
    http__strbuf_wipe(&transfer->token_body);
    strbuf_deinit(&transfer->token_body);
}

static void take_status_line(struct http_answer *answer, struct str line)
{
    memset(answer, 0, sizeof *answer);
    size_t at = str_find(line, ' ', 0);
    if (at == SIZE_MAX)
        return;
    uint32_t status = 0;
    for (at++; at < line.size && line.data[at] >= '0' && line.data[at] <= '9' && status < 1000;
         at++)
        status = status * 10 + (uint32_t)(line.data[at] - '0');
    answer->status = status;
    struct str reason = str_trim(str_from(line.data + at, line.size - at));
    if (reason.size == 0)
        reason = str_from_cstr(http__status_phrase(status));
    size_t size = reason.size < HTTP_REASON_MAX ? reason.size : HTTP_REASON_MAX - 1;
    if (size > 0)
        memcpy(answer->reason, reason.data, size);
}

/* Bits of http_answer.taken. */
enum { TAKEN_TYPE = 1, TAKEN_ENCODING = 2, TAKEN_WANTED = 4 };

static void take_field(struct http_answer *answer, uint8_t bit, struct str line, struct str name,
                       char *out, size_t out_size)
{
    if ((answer->taken & bit) != 0 || line.size <= name.size || line.data[name.size] != ':' ||
        !str_equal_nocase(str_from(line.data, name.size), name))
        return;
    answer->taken |= bit;
    struct str value = str_trim(str_from(line.data + name.size + 1, line.size - name.size - 1));
    size_t size = value.size < out_size ? value.size : out_size - 1;
    memcpy(out, value.data, size);
    out[size] = '\0';
}

void http__answer_take_line(struct http_answer *answer, struct str line)
{
    if (str_starts_with(line, STR("HTTP/"))) {
        take_status_line(answer, line);
        return;
    }
    take_field(answer, TAKEN_TYPE, line, STR("Content-Type"), answer->content_type,
               sizeof answer->content_type);
    take_field(answer, TAKEN_ENCODING, line, STR("Content-Encoding"), answer->content_encoding,
               sizeof answer->content_encoding);
}

static void take_location(struct http_transfer *transfer, struct str line)
{
    const struct str name = STR("Location:");
    if (transfer->location.size > 0 || line.size <= name.size ||
        !str_equal_nocase(str_from(line.data, name.size), name))
        return;
    strbuf_add_str(&transfer->location,
                   str_trim(str_from(line.data + name.size, line.size - name.size)));
}

/* A status line begins a new answer: whatever was collected belonged to a redirect, a proxy's
 * CONNECT or an interim answer. */
static size_t on_header(char *data, size_t size, size_t count, void *context)
{
    struct http_transfer *transfer = context;
    struct str line = str_from(data, size * count);
    if (str_starts_with(line, STR("HTTP/"))) {
        transfer->answered = false;
        strbuf_clear(&transfer->location);
    }
    if (transfer->answered)
        return line.size; /* a trailer */
    if (str_trim(line).size == 0) {
        transfer->answered = true;
        return line.size;
    }
    http__answer_take_line(&transfer->answer, line);
    take_location(transfer, line);
    if (transfer->wanted_header.size > 0)
        take_field(&transfer->answer, TAKEN_WANTED, line, transfer->wanted_header,
                   transfer->answer.wanted_header, sizeof transfer->answer.wanted_header);
    return line.size;
}

static size_t on_write(char *data, size_t size, size_t count, void *context)
{
    struct http_transfer *transfer = context;
    if (http_transfer_is_redirect(transfer)) {
        transfer->discarded_bytes += size * count;
        return transfer->discarded_bytes <= REDIRECT_BODY_BYTES_MAX ? size * count : 0;
    }
    if (!transfer->on_body(transfer->context, data, size * count))
        return 0;
    return size * count;
}

/* What every exchange begins with. */
static void name_request(struct http_transfer *transfer, const char *method, struct str url)
{
    transfer->curl_error[0] = '\0';
    transfer->answered = false;
    transfer->discarded_bytes = 0;
    strbuf_clear(&transfer->location);
    memset(&transfer->answer, 0, sizeof transfer->answer);
    strbuf_clear(&transfer->url);
    strbuf_add_str(&transfer->url, url);
    size_t i = 0;
    for (; method[i] != '\0' && i + 1 < sizeof transfer->method; i++)
        transfer->method[i] = (char)(i == 0 ? method[i] : method[i] | 0x20);
    transfer->method[i] = '\0';
}

void http_transfer_begin_direct(struct http_transfer *transfer, struct str url)
{
    name_request(transfer, "GET", url);
    transfer->direct = true;
    transfer->direct_errno = 0;
    transfer->for_token = false;
    transfer->unix_socket = STR("");
}

void http__transfer_reset(struct http_transfer *transfer, const char *method, struct str url)
{
    if (transfer->easy == NULL)
        transfer->easy = curl_easy_init();
    CURL *easy = transfer->easy;
    assert(easy != NULL);
    curl_easy_reset(easy);
    free_lists(transfer);
    name_request(transfer, method, url);
    transfer->direct = false;

    curl_easy_setopt(easy, CURLOPT_URL, strbuf_cstr(&transfer->url));
    curl_easy_setopt(easy, CURLOPT_PATH_AS_IS, 1L);
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    /* A name server that hangs must not hold up the thread that gives the transfer up. */
    curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L);
    curl_easy_setopt(easy, CURLOPT_NOPROGRESS, 1L);
    curl_easy_setopt(easy, CURLOPT_MAXAGE_CONN, (long)CONNECTION_IDLE_S);
    curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, transfer->curl_error);
    curl_easy_setopt(easy, CURLOPT_PRIVATE, transfer);
    curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(easy, CURLOPT_HEADERDATA, transfer);
    curl_easy_setopt(easy, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_write);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, transfer);
}

err_t http__transfer_add_header(struct http_transfer *transfer, struct str name, struct str value,
                                struct strbuf *why)
{
    for (size_t i = 0; i < value.size; i++) {
        unsigned char c = (unsigned char)value.data[i];
        if ((c < 0x20 && c != '\t') || c == 0x7f)
            return err_fail(why, ERR_INVALID, "net/http: invalid header field value for \"%.*s\"",
                            STR_ARG(name));
    }
    strbuf_clear(&transfer->scratch);
    strbuf_add_str(&transfer->scratch, name);
    /* curl's way to send a header without a value. */
    strbuf_add_cstr(&transfer->scratch, value.size == 0 ? ";" : ": ");
    strbuf_add_str(&transfer->scratch, value);
    struct curl_slist *list = curl_slist_append(transfer->headers, strbuf_cstr(&transfer->scratch));
    assert(list != NULL);
    transfer->headers = list;
    return OK;
}

static const char *scratch_text(struct http_transfer *transfer, struct str s)
{
    strbuf_clear(&transfer->scratch);
    strbuf_add_str(&transfer->scratch, s);
    return strbuf_cstr(&transfer->scratch);
}

static void set_str(struct http_transfer *transfer, CURLoption option, struct str s)
{
    if (s.size > 0)
        curl_easy_setopt(transfer->easy, option, scratch_text(transfer, s));
}

static void set_blob(struct http_transfer *transfer, CURLoption option, struct str s)
{
    if (s.size == 0)
        return;
    struct curl_blob blob = {
        .data = (void *)(uintptr_t)s.data, .len = s.size, .flags = CURL_BLOB_COPY};
    curl_easy_setopt(transfer->easy, option, &blob);
}

static long tls_version(struct str text, bool maximum)
{
    static const struct {
        struct str name;
        long min, max;
    } versions[] = {
        {STR_INIT("TLS10"), CURL_SSLVERSION_TLSv1_0, CURL_SSLVERSION_MAX_TLSv1_0},
        {STR_INIT("TLS11"), CURL_SSLVERSION_TLSv1_1, CURL_SSLVERSION_MAX_TLSv1_1},
        {STR_INIT("TLS12"), CURL_SSLVERSION_TLSv1_2, CURL_SSLVERSION_MAX_TLSv1_2},
        {STR_INIT("TLS13"), CURL_SSLVERSION_TLSv1_3, CURL_SSLVERSION_MAX_TLSv1_3},
    };
    for (size_t i = 0; i < sizeof versions / sizeof versions[0]; i++) {
        if (str_equal(versions[i].name, text))
            return maximum ? versions[i].max : versions[i].min;
    }
    return maximum ? CURL_SSLVERSION_MAX_DEFAULT : CURL_SSLVERSION_TLSv1_2;
}

/* Position of host and port inside the URL: after "://" and any user, up to '/', '?' or the end. */
static struct str url_authority(struct str url)
{
    size_t start = 0;
    for (size_t i = 0; i + 2 < url.size; i++) {
        if (memcmp(url.data + i, "://", 3) == 0) {
            start = i + 3;
            break;
        }
    }
    size_t end = start;
    while (end < url.size && url.data[end] != '/' && url.data[end] != '?')
        end++;
    for (size_t i = start; i < end; i++) {
        if (url.data[i] == '@')
            start = i + 1;
    }
    return str_from(url.data + start, end - start);
}

/* curl has no option for the name sent and checked in TLS: ask for a URL with that name, connect it
 * to the real host, and send the real Host header. */
static err_t set_server_name(struct http_transfer *transfer, struct str server_name,
                             struct strbuf *why)
{
    struct str url = strbuf_str(&transfer->url);
    struct str authority = url_authority(url);
    if (!str_starts_with(url, STR("https://")) || authority.size == 0)
        return OK;
    TRY(http__transfer_add_header(transfer, STR("Host"), authority, why));
    size_t colon = authority.size;
    while (colon > 0 && authority.data[colon - 1] != ':' && authority.data[colon - 1] != ']')
        colon--;
    bool has_port = colon > 0 && authority.data[colon - 1] == ':';
    struct str port =
        has_port ? str_from(authority.data + colon, authority.size - colon) : STR("443");
    struct str host = has_port ? str_from(authority.data, colon - 1) : authority;

    struct strbuf text = STRBUF_INIT;
    strbuf_printf(&text, "%.*s:%.*s:%.*s:%.*s", STR_ARG(server_name), STR_ARG(port), STR_ARG(host),
                  STR_ARG(port));
    transfer->connect_to = curl_slist_append(NULL, strbuf_cstr(&text));
    curl_easy_setopt(transfer->easy, CURLOPT_CONNECT_TO, transfer->connect_to);
    strbuf_clear(&text);
    strbuf_printf(&text, "https://%.*s:%.*s%s", STR_ARG(server_name), STR_ARG(port),
                  authority.data + authority.size);
    curl_easy_setopt(transfer->easy, CURLOPT_URL, strbuf_cstr(&text));
    strbuf_deinit(&text);
    return OK;
}

err_t http__transfer_set_tls(struct http_transfer *transfer, const struct tls_config *tls,
                             struct strbuf *why)
{
    CURL *easy = transfer->easy;
    if (tls->ca.size > 0 || tls->ca_file.size > 0)
        curl_easy_setopt(easy, CURLOPT_CAPATH, NULL); /* only this authority counts */
    if (tls->ca_file.size > 0) /* else what the file said is kept for a day */
        curl_easy_setopt(easy, CURLOPT_CA_CACHE_TIMEOUT, 0L);
    set_blob(transfer, CURLOPT_CAINFO_BLOB, tls->ca);
    set_str(transfer, CURLOPT_CAINFO, tls->ca_file);
    set_blob(transfer, CURLOPT_SSLCERT_BLOB, tls->cert);
    set_str(transfer, CURLOPT_SSLCERT, tls->cert_file);
    set_blob(transfer, CURLOPT_SSLKEY_BLOB, tls->key.value);
    set_str(transfer, CURLOPT_SSLKEY, tls->key.file);
    curl_easy_setopt(easy, CURLOPT_SSLVERSION,
                     tls_version(tls->min_version, false) | tls_version(tls->max_version, true));
    if (tls->insecure_skip_verify) {
        curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 0L);
        curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 0L);
    }
    if (tls->server_name.size > 0)
        return set_server_name(transfer, tls->server_name, why);
    return OK;
}

void http__transfer_set_proxy(struct http_transfer *transfer, const struct proxy_config *proxy)
{
    CURL *easy = transfer->easy;
    if (proxy->url.size == 0 && !proxy->from_environment) {
        curl_easy_setopt(easy, CURLOPT_PROXY, ""); /* curl would ask the environment */
        return;
    }
    set_str(transfer, CURLOPT_PROXY, proxy->url);
    if (!proxy->from_environment)
        curl_easy_setopt(easy, CURLOPT_NOPROXY, scratch_text(transfer, proxy->no_proxy));
    for (uint32_t i = 0; i < proxy->connect_header_count; i++) {
        const struct proxy_header *header = &proxy->connect_headers[i];
        for (uint32_t k = 0; k < header->value_count; k++) {
            strbuf_clear(&transfer->scratch);
            strbuf_printf(&transfer->scratch, "%.*s: %.*s", STR_ARG(header->name),
                          STR_ARG(header->values[k]));
            transfer->proxy_headers =
                curl_slist_append(transfer->proxy_headers, strbuf_cstr(&transfer->scratch));
        }
    }
    if (transfer->proxy_headers != NULL) {
        curl_easy_setopt(easy, CURLOPT_PROXYHEADER, transfer->proxy_headers);
        curl_easy_setopt(easy, CURLOPT_HEADEROPT, CURLHEADER_SEPARATE);
    }
}

void http__transfer_set_basic_auth(struct http_transfer *transfer, const char *user,
                                   const char *password)
{
    curl_easy_setopt(transfer->easy, CURLOPT_HTTPAUTH, CURLAUTH_BASIC);
    curl_easy_setopt(transfer->easy, CURLOPT_USERNAME, user);
    curl_easy_setopt(transfer->easy, CURLOPT_PASSWORD, password);
}

static err_t set_basic_auth(struct http_transfer *transfer, const struct http_client_config *config,
                            struct strbuf *why)
{
    struct strbuf user = STRBUF_INIT;
    struct strbuf password = STRBUF_INIT;
    struct secret_source username = {config->username, config->username_file, config->username_ref};
    err_t err = OK;
    TRY_OUT(http__read_secret(&username, "basic auth username", &user, why));
    TRY_OUT(http__read_secret(&config->password, "basic auth password", &password, why));
    http__transfer_set_basic_auth(transfer, strbuf_cstr(&user), strbuf_cstr(&password));
out:
    http__strbuf_wipe(&password);
    strbuf_deinit(&password);
    strbuf_deinit(&user);
    return err;
}

static err_t set_authorization(struct http_transfer *transfer,
                               const struct http_client_config *config, struct strbuf *why)
{
    struct strbuf value = STRBUF_INIT;
    struct str type = str_trim(config->authorization_type);
    strbuf_add_str(&value, type.size == 0 ? STR("Bearer") : type);
    strbuf_add_char(&value, ' ');
    err_t err = OK;
    TRY_OUT(http__read_secret(&config->credentials, "authorization credentials", &value, why));
    TRY_OUT(http__transfer_add_header(transfer, STR("Authorization"), strbuf_str(&value), why));
out:
    http__strbuf_wipe(&value);
    strbuf_deinit(&value);
    return err;
}

static err_t set_token(struct http_transfer *transfer, struct http_client *client,
                       struct strbuf *why)
{
    mutex_lock(&client->token_lock);
    err_t err =
        http__transfer_add_header(transfer, STR("Authorization"), strbuf_str(&client->token), why);
    mutex_unlock(&client->token_lock);
    return err;
}

static err_t add_header_file(struct http_transfer *transfer, struct str name, struct str file,
                             struct strbuf *why)
{
    struct strbuf value = STRBUF_INIT;
    err_t err = OK;
    TRY_OUT(http__read_secret_file(file, &value, why));
    TRY_OUT(http__transfer_add_header(transfer, name, strbuf_str(&value), why));
out:
    http__strbuf_wipe(&value);
    strbuf_deinit(&value);
    return err;
}

static bool is_sensitive(struct str name)
{
    static const struct str proxy = STR_INIT("Proxy-");
    return str_equal_nocase(name, STR("Authorization")) || str_equal_nocase(name, STR("Cookie")) ||
           str_equal_nocase(name, STR("Cookie2")) ||
           str_equal_nocase(name, STR("X-Consul-Token")) ||
           (name.size > proxy.size && str_equal_nocase(str_from(name.data, proxy.size), proxy));
}

static err_t add_request_headers(struct http_transfer *transfer, const struct http_request *request,
                                 struct strbuf *why)
{
    for (size_t i = 0; i < request->header_count; i++) {
        const struct name_value *header = &request->headers[i];
        if (!transfer->withhold || !is_sensitive(header->name))
            TRY(http__transfer_add_header(transfer, header->name, header->value, why));
    }
    return OK;
}

static err_t add_configured_headers(struct http_transfer *transfer,
                                    const struct http_client_config *config, struct strbuf *why)
{
    for (uint32_t i = 0; i < config->header_count; i++) {
        const struct http_header_config *header = &config->headers[i];
        if (transfer->withhold && is_sensitive(header->name))
            continue;
        for (uint32_t k = 0; k < header->value_count; k++)
            TRY(http__transfer_add_header(transfer, header->name, header->values[k], why));
        if (transfer->withhold)
            continue; /* the rest is secret, whatever its name */
        for (uint32_t k = 0; k < header->secret_count; k++)
            TRY(http__transfer_add_header(transfer, header->name, header->secrets[k], why));
        for (uint32_t k = 0; k < header->file_count; k++)
            TRY(add_header_file(transfer, header->name, header->files[k], why));
    }
    return OK;
}

static err_t set_authentication(struct http_transfer *transfer, struct http_client *client,
                                struct strbuf *why)
{
    if (transfer->withhold)
        return OK;
    if (client->config->has_basic_auth)
        return set_basic_auth(transfer, client->config, why);
    if (client->config->has_authorization)
        return set_authorization(transfer, client->config, why);
    if (client->config->oauth2 != NULL)
        return set_token(transfer, client, why);
    return OK;
}

err_t http_transfer_prepare(struct http_transfer *transfer, struct http_client *client,
                            const struct http_request *request,
                            bool (*on_body)(void *context, const char *data, size_t size),
                            void *context, struct strbuf *why)
{
    transfer->on_body = on_body;
    transfer->context = context;
    transfer->follow_redirects = client->config->follow_redirects;
    transfer->withhold = false;
    transfer->redirects = 0;
    strbuf_clear(&transfer->origin);
    strbuf_add_str(&transfer->origin, request->url);
    return http__transfer_prepare_hop(transfer, client, request, why);
}

err_t http__transfer_prepare_hop(struct http_transfer *transfer, struct http_client *client,
                                 const struct http_request *request, struct strbuf *why)
{
    const struct http_client_config *config = client->config;
    const char *method = request->method == NULL ? "GET" : request->method;
    http__transfer_reset(transfer, method, request->url);
    CURL *easy = transfer->easy;
    transfer->for_token = false;
    transfer->unix_socket = request->unix_socket;
    transfer->wanted_header = request->wanted_header;

    err_t err = OK;
    TRY_OUT(add_request_headers(transfer, request, why));
    TRY_OUT(http__transfer_set_tls(transfer, &config->tls, why));
    TRY_OUT(set_authentication(transfer, client, why));
    TRY_OUT(add_configured_headers(transfer, config, why));
    http__transfer_set_proxy(transfer, &config->proxy);
    set_str(transfer, CURLOPT_UNIX_SOCKET_PATH, request->unix_socket);
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, transfer->headers);
    curl_easy_setopt(easy, CURLOPT_HTTP_VERSION,
                     (long)(config->enable_http2 ? CURL_HTTP_VERSION_2TLS : CURL_HTTP_VERSION_1_1));
    curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)request->timeout_ms);
    if (request->body.size > 0) {
        curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)request->body.size);
        curl_easy_setopt(easy, CURLOPT_COPYPOSTFIELDS, request->body.data);
    }
    if (strcmp(method, "GET") != 0)
        curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, method);
    return OK;
out:;
    struct strbuf cause = STRBUF_INIT;
    strbuf_add_str(&cause, strbuf_str(why));
    http_transfer_explain(transfer, strbuf_cstr(&cause), why);
    strbuf_deinit(&cause);
    return err;
}

void http_transfer_prepare_connect(struct http_transfer *transfer,
                                   const struct http_request *request)
{
    http__transfer_reset(transfer, "GET", request->url);
    CURL *easy = transfer->easy;
    transfer->for_token = false;
    transfer->unix_socket = STR("");
    curl_easy_setopt(easy, CURLOPT_PROXY, "");
    curl_easy_setopt(easy, CURLOPT_CONNECT_ONLY, 1L);
    curl_easy_setopt(easy, CURLOPT_FRESH_CONNECT, 1L);
    curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)request->timeout_ms);
}
