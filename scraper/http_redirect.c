/* Redirects hop by hop: curl would keep credentials from another port or scheme of the same host,
 * and give them back on a way that led through a foreign host. */
#include <string.h>

#include "http_client_private.h"

enum { REQUESTS_MAX = 10 };

static bool asks_elsewhere(uint32_t status)
{
    return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

bool http_transfer_is_redirect(const struct http_transfer *transfer)
{
    return !transfer->for_token && transfer->follow_redirects && transfer->answered &&
           transfer->location.size > 0 && asks_elsewhere(transfer->answer.status);
}

/* `location` seen from `base`. */
static err_t resolve(struct strbuf *base, struct strbuf *location, struct strbuf *url,
                     struct strbuf *why)
{
    CURLU *parts = curl_url();
    char *text = NULL;
    err_t err = OK;
    CURLUcode code = curl_url_set(parts, CURLUPART_URL, strbuf_cstr(base), 0);
    if (code == CURLUE_OK)
        code = curl_url_set(parts, CURLUPART_URL, strbuf_cstr(location),
                            CURLU_URLENCODE | CURLU_NON_SUPPORT_SCHEME);
    if (code == CURLUE_OK)
        code = curl_url_set(parts, CURLUPART_FRAGMENT, NULL, 0);
    if (code == CURLUE_OK)
        code = curl_url_get(parts, CURLUPART_URL, &text, 0);
    if (code == CURLUE_OK) {
        strbuf_clear(url);
        strbuf_add_cstr(url, text);
    } else {
        strbuf_clear(why);
        strbuf_add_cstr(why, "failed to parse Location header ");
        strbuf_add_quoted(why, strbuf_str(location));
        strbuf_printf(why, ": %s", curl_url_strerror(code));
        err = ERR_INVALID;
    }
    curl_free(text);
    curl_url_cleanup(parts);
    return err;
}

/* Host of a URL in lower case; empty when there is none. */
static void host_of(struct strbuf *url, struct strbuf *host)
{
    CURLU *parts = curl_url();
    char *text = NULL;
    strbuf_clear(host);
    if (curl_url_set(parts, CURLUPART_URL, strbuf_cstr(url), CURLU_NON_SUPPORT_SCHEME) ==
            CURLUE_OK &&
        curl_url_get(parts, CURLUPART_HOST, &text, 0) == CURLUE_OK)
        strbuf_add_cstr(host, text);
    curl_free(text);
    curl_url_cleanup(parts);
}

/* The host itself, or a name below it. */
static bool is_host_or_below(struct str host, struct str parent)
{
    if (str_equal_nocase(host, parent))
        return true;
    if (parent.size == 0 || host.size <= parent.size + 1 ||
        str_find(host, ':', 0) != SIZE_MAX) /* IPv6 */
        return false;
    struct str tail = str_from(host.data + host.size - parent.size, parent.size);
    return str_equal_nocase(tail, parent) && host.data[host.size - parent.size - 1] == '.';
}

static bool stays_home(struct strbuf *url, struct strbuf *origin)
{
    struct strbuf host = STRBUF_INIT;
    struct strbuf parent = STRBUF_INIT;
    host_of(url, &host);
    host_of(origin, &parent);
    bool home = is_host_or_below(strbuf_str(&host), strbuf_str(&parent));
    strbuf_deinit(&host);
    strbuf_deinit(&parent);
    return home;
}

static err_t check_scheme(const struct strbuf *url, struct strbuf *why)
{
    struct str text = strbuf_str(url);
    if (str_starts_with(text, STR("http://")) || str_starts_with(text, STR("https://")))
        return OK;
    size_t end = str_find(text, ':', 0);
    strbuf_clear(why);
    strbuf_add_cstr(why, "unsupported protocol scheme ");
    strbuf_add_quoted(why, str_from(text.data, end == SIZE_MAX ? 0 : end));
    return ERR_INVALID;
}

/* Puts the URL in front that Go names: the next one, or what the answer said when that is refused.
 */
static void explain(const struct http_transfer *transfer, struct str url, struct strbuf *why)
{
    struct strbuf cause = STRBUF_INIT;
    strbuf_add_str(&cause, strbuf_str(why));
    strbuf_clear(why);
    strbuf_printf(why, "%s ", transfer->method);
    strbuf_add_quoted(why, url);
    strbuf_printf(why, ": %s", strbuf_cstr(&cause));
    strbuf_deinit(&cause);
}

err_t http_transfer_follow(struct http_transfer *transfer, struct http_client *client,
                           const struct http_request *request, struct strbuf *why)
{
    struct strbuf url = STRBUF_INIT;
    struct http_request next = *request;
    strbuf_add_str(&url, strbuf_str(&transfer->url));
    err_t err = resolve(&transfer->url, &transfer->location, &url, why);
    if (err == OK && ++transfer->redirects >= REQUESTS_MAX) {
        err = err_fail(why, ERR_INVALID, "stopped after %d redirects", REQUESTS_MAX);
        strbuf_clear(&url);
        strbuf_add_str(&url, strbuf_str(&transfer->location));
    }
    if (err == OK)
        err = check_scheme(&url, why);
    if (err != OK) {
        explain(transfer, strbuf_str(&url), why);
        goto out;
    }
    transfer->withhold = transfer->withhold || !stays_home(&url, &transfer->origin);
    next.url = strbuf_str(&url);
    if (request->method != NULL && transfer->answer.status < 307) {
        next.method = NULL;
        next.body = STR("");
    }
    err = http__transfer_prepare_hop(transfer, client, &next, why);
out:
    strbuf_deinit(&url);
    return err;
}
