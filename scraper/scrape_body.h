/* Bodies of scrape answers: bytes as they arrive, and gzip undone. One owner thread. */
#pragma once

#include <libdeflate.h>
#include <stdbool.h>
#include <stddef.h>

#include "narthex/base/err.h"

/* A growing buffer that gives back what a rare large body made it take. */
struct scrape_body {
    char *data;
    size_t size;
    size_t capacity;
};

enum {
    SCRAPE_BODY_KEPT_BYTES = 256 << 10, /* capacity that an idle buffer may keep */
    SCRAPE_BODY_SLACK_BYTES = 64,       /* readable zero bytes after `size` */
};

void scrape_body_deinit(struct scrape_body *body);
/* Empties it, and frees it if it is larger than SCRAPE_BODY_KEPT_BYTES. */
void scrape_body_clear(struct scrape_body *body);
/* Adds a piece; false, with nothing added, when the body would reach `limit` bytes. */
bool scrape_body_add(struct scrape_body *body, const char *data, size_t size, size_t limit);

/* Undoes gzip member by member into `out`, which is emptied first; neither the stated size nor the
 * stated end is believed. `size_hint`: expected result, 0 if unknown. ERR_LIMIT when the result
 * would reach `limit` bytes; ERR_CORRUPT with Go's text. */
err_t scrape_body_gunzip(struct libdeflate_decompressor *decompressor,
                         const struct scrape_body *packed, size_t size_hint, size_t limit,
                         struct scrape_body *out, struct strbuf *why);
