/* Asking a server over HTTP. */
#include "ctl.h"

#include <curl/curl.h>
#include <errno.h>
#include <stdio.h>

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

err_t ctl_post_file(const char *url, const char *path, long *status, struct strbuf *body,
                    struct strbuf *why)
{
    struct curl_slist *headers =
        curl_slist_append(NULL, "Content-Type: application/openmetrics-text");
    FILE *file = fopen(path, "rb");
    CURL *curl = curl_easy_init();
    err_t err = OK;
    if (file == NULL) {
        err = err_fail_errno(why, errno, "open %s", path);
    } else if (curl == NULL || headers == NULL) {
        err = err_fail(why, ERR_IO, "the HTTP client cannot start");
    } else {
        curl_easy_setopt(curl, CURLOPT_URL, url);
        curl_easy_setopt(curl, CURLOPT_POST, 1L);
        curl_easy_setopt(curl, CURLOPT_READDATA, file);
        curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
        curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
        curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, receive);
        curl_easy_setopt(curl, CURLOPT_WRITEDATA, body);
        curl_easy_setopt(curl, CURLOPT_USERAGENT, "narthexctl/" NARTHEX_VERSION);
        CURLcode code = curl_easy_perform(curl); /* without a size: in chunks, as they are read */
        if (code != CURLE_OK)
            err = err_fail(why, ERR_IO, "Post \"%s\": %s", url, curl_easy_strerror(code));
        else
            curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, status);
    }
    if (curl != NULL)
        curl_easy_cleanup(curl);
    if (file != NULL)
        fclose(file);
    curl_slist_free_all(headers);
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
