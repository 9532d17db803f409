/* Asking a server over HTTP. */
#include "ctl.h"

#include <curl/curl.h>

enum { REQUEST_TIMEOUT_S = 120 };

static size_t receive(char *data, size_t size, size_t count, void *context)
{
    strbuf_add(context, data, size * count);
    return size * count;
}

err_t ctl_get(const char *url, long *status, struct strbuf *body, struct strbuf *why)
{
    CURL *curl = curl_easy_init();
    if (curl == NULL)
        return err_fail(why, ERR_IO, "the HTTP client cannot start");
    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT, (long)REQUEST_TIMEOUT_S);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, receive);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, body);
    curl_easy_setopt(curl, CURLOPT_USERAGENT, "narthexctl/" NARTHEX_VERSION);
    CURLcode code = curl_easy_perform(curl);
    err_t err = OK;
    if (code != CURLE_OK)
        err = err_fail(why, ERR_IO, "Get \"%s\": %s", url, curl_easy_strerror(code));
    else
        curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, status);
    curl_easy_cleanup(curl);
    return err;
}

void ctl_add_param(struct strbuf *url, const char *name, const char *value)
{
    static const char unreserved[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                                     "0123456789-_.~";
    strbuf_printf(url, "%c%s=", strchr(strbuf_cstr(url), '?') == NULL ? '?' : '&', name);
    for (; *value != '\0'; value++) {
        if (strchr(unreserved, *value) != NULL)
            strbuf_add_char(url, *value);
        else
            strbuf_printf(url, "%%%02X", (unsigned char)*value);
    }
}
