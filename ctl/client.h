/* ctl/client.h: asking a server over HTTP, as --http.config.file and --header have it. */
#pragma once

#include <jansson.h>

#include "ctl.h"

struct ctl_client; /* one owner */

/* What the command's flags ask for; they must outlive the client. */
err_t ctl_client_open(const struct ctl_arguments *arguments, struct ctl_client **client,
                      struct strbuf *why);
void ctl_client_close(struct ctl_client *client);
/* GET url, or POST of `form` unless that is NULL; the body is appended. ERR_IO when nothing
 * answered. */
err_t ctl_client_fetch(struct ctl_client *client, const char *url, const struct strbuf *form,
                       int64_t timeout_ms, uint32_t *status, struct strbuf *body,
                       struct strbuf *why);

/* Asks the API of `server`: `path` is below /api/v1. With `post` the parameters go as a form, and
 * once more in the URL if the server takes no POST. Returns the "data" of the answer *whole, which
 * the caller frees, or NULL after saying on stderr what was wrong. */
json_t *ctl_client_ask(struct ctl_client *client, const char *server, const char *path,
                       const struct strbuf *params, bool post, json_t **whole);
/* Appends `server` without slashes at its end, http:// in front if it names no scheme, and path. */
void ctl_url_add(struct strbuf *url, const char *server, const char *path);
/* Appends name=value, percent-encoded, with & in front unless it is the first. */
void ctl_add_param(struct strbuf *params, const char *name, const char *value);
/* Appends text with all but letters, digits and -_.~ percent-encoded. */
void ctl_url_escape(struct strbuf *out, const char *text);

/* POSTs the file as it is, without a limit of time; the answer's body is appended. `progress` is
 * called with the bytes sent so far. ERR_NOT_FOUND and the like when the file cannot be read. */
err_t ctl_post_file(const char *url, const char *file,
                    void (*progress)(void *context, uint64_t bytes), void *context, long *status,
                    struct strbuf *body, struct strbuf *why);
