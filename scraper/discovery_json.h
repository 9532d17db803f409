/* Reading what service registries answer in JSON: values by key, absent and of another kind being
 * the same as empty, since registries leave empty fields out. Views live as long as the value. */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "narthex/base/err.h"
#include "narthex/base/str.h"
#include "narthex/base/strbuf.h"

/* Parses a whole document; json_decref when done. ERR_INVALID with the place of the fault. */
err_t discovery_json_read(struct str text, json_t **root, struct strbuf *why);
/* A string value, or empty. */
struct str discovery_json_text(const json_t *value);
struct str discovery_json_get_text(const json_t *object, const char *key);
/* A number without fraction, or `otherwise`. */
int64_t discovery_json_get_int(const json_t *object, const char *key, int64_t otherwise);
/* True only for a true. */
bool discovery_json_get_bool(const json_t *object, const char *key);

/* Appends a key as a part of a label name: each character outside [a-zA-Z0-9_] becomes one '_'. */
void discovery_label_name_add(struct strbuf *name, struct str key);
/* Appends "host:port", an IPv6 address in brackets. */
void discovery_address_add(struct strbuf *address, struct str host, int64_t port);
/* Appends text for the query of a URL, escaped. */
void discovery_query_add(struct strbuf *url, struct str text);

enum { DISCOVERY_ELEMENT_BYTES_MAX = 2 << 20 };

/* A JSON list read one element at a time, so that memory is needed for one only: whoever answers
 * decides how long the list is. Begins as {text}; null is an empty list. */
struct discovery_json_list {
    struct str text;          /* of the whole list, borrowed */
    size_t element_bytes_max; /* 0: DISCOVERY_ELEMENT_BYTES_MAX */
    size_t at;
    uint32_t count; /* elements given */
};
/* Gives the next element, to be json_decref'd, or NULL after the last one. ERR_LIMIT for one that
 * is too long. */
err_t discovery_json_next(struct discovery_json_list *list, json_t **element, struct strbuf *why);
