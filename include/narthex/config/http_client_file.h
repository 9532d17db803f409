/* config/http_client_file.h: a file that holds nothing but the keys of an HTTP client
 * (--http.config.file of narthexctl). */
#pragma once

#include "narthex/base/err.h"
#include "narthex/base/strbuf.h"
#include "narthex/scraper/http_config.h"

struct http_client_file; /* immutable; one owner */

/* Loads and checks a file; relative paths are joined with its folder. ERR_INVALID with the line,
 * ERR_NOT_FOUND and ERR_IO with "open PATH: …". */
err_t http_client_file_load(const char *path, struct http_client_file **file, struct strbuf *why);
void http_client_file_free(struct http_client_file *file);
/* What it says; lives as long as the file. */
const struct http_client_config *http_client_file_config(const struct http_client_file *file);
