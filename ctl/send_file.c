/* Sending a file to a server as it is read, however large it is. */
#include <curl/curl.h>
#include <errno.h>
#include <stdio.h>

#include "client.h"

static size_t receive(char *data, size_t size, size_t count, void *context)
{
    strbuf_add(context, data, size * count);
    return size * count;
}

struct upload {
    void (*progress)(void *context, uint64_t bytes);
    void *context;
};

static int on_progress(void *context, curl_off_t down_all, curl_off_t down, curl_off_t up_all,
                       curl_off_t up)
{
    (void)down_all, (void)down, (void)up_all;
    const struct upload *upload = context;
    upload->progress(upload->context, (uint64_t)up);
    return 0;
}

err_t ctl_post_file(const char *url, const char *path,
                    void (*progress)(void *context, uint64_t bytes), void *context, long *status,
                    struct strbuf *body, struct strbuf *why)
{
    struct upload upload = {progress, context};
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
        curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
        curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, on_progress);
        curl_easy_setopt(curl, CURLOPT_XFERINFODATA, &upload);
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
