/* config/schema.h: the configuration's shape as tables.
 *
 * Each section of the file has a struct schema: its keys in output order, their kinds and defaults,
 * and a check that runs once its values are there. Decoding a YAML tree by a schema gives a struct
 * object; printing one gives the effective configuration of /api/v1/status/config. So a key is
 * written down once, in a table (schema_*.c).
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "narthex/base/arena.h"
#include "narthex/base/err.h"
#include "narthex/base/strbuf.h"
#include "yaml_tree.h"

enum field_kind {
    FIELD_STRING,
    FIELD_URL,    /* string; a password inside is printed as xxxxx */
    FIELD_SECRET, /* string; printed as <secret> */
    FIELD_BOOL,
    FIELD_INT,
    FIELD_UINT,
    FIELD_FLOAT,
    FIELD_DURATION, /* i: milliseconds */
    FIELD_SIZE,     /* i: bytes */
    FIELD_STRINGS,  /* list */
    FIELD_SECRETS,  /* list, each printed as <secret> */
    FIELD_MAP,      /* name -> string */
    FIELD_LISTS,    /* name -> list of strings */
    FIELD_SECRET_LISTS,
    FIELD_OBJECT,
    FIELD_OBJECTS,    /* list of objects; a null element is an error */
    FIELD_OBJECT_MAP, /* name -> object */
    FIELD_ANY,        /* kept as YAML, printed as scalars */
};

enum {                    /* flags */
       FIELD_ALWAYS = 1,  /* printed even when zero or empty */
       FIELD_FLOW = 2,    /* list printed as [a, b] */
       FIELD_PATH = 4,    /* file name relative to the configuration's folder */
       FIELD_IF_SET = 16, /* printed when the file set it, even if empty */
       FIELD_HIDDEN = 8,  /* accepted, never printed (it was rewritten into another key) */
};

struct schema;

struct field {
    const char *name;
    enum field_kind kind;
    const struct schema *schema; /* objects */
    const char *fallback;        /* default as text; NULL: zero, empty, no object */
    const char *null_error;      /* text when an element of FIELD_OBJECTS is null */
    unsigned flags;
};

struct named_strings {
    struct str name;
    struct str *items; /* FIELD_MAP: exactly one */
    uint32_t count;
};

struct named_object {
    struct str name;
    struct object *object;
};

struct value {
    bool set;      /* the key stands in the file */
    uint32_t line; /* of the key, when set */
    struct str text;
    bool b;
    int64_t i;
    uint64_t u;
    double f;
    struct str *strings;
    struct named_strings *named;
    struct object *object;
    struct object **objects;
    struct named_object *named_objects;
    struct yaml_node *any;
    uint32_t count; /* of whichever list there is */
};

struct object {
    const struct schema *schema;
    struct value *values; /* one per field */
    uint32_t line;
};

/* What a check may use. */
struct check_context {
    struct arena *arena;
    struct strbuf *why;
};

struct schema {
    const char *type_name;      /* as unknown-key errors name it, "config.plain" */
    const struct field *fields; /* ends with a NULL name */
    err_t (*check)(struct check_context *context, struct object *object);
};

/* Decodes `node` by `schema`. Unknown and repeated keys and wrong types are collected: ERR_INVALID
 * with "yaml: unmarshal errors:\n  line N: …". Then checks run, innermost first; their texts get
 * " (line N)" appended. A null node gives an object of defaults. `folder` (may be empty) is put in
 * front of relative FIELD_PATH values. */
err_t schema_decode(const struct schema *schema, const struct yaml_node *node, struct str folder,
                    struct arena *arena, struct object **object, struct strbuf *why);
/* An object of defaults. */
struct object *schema_default(const struct schema *schema, struct arena *arena);

/* Value of a key that the schema has; asserts otherwise. */
struct value *object_get(const struct object *object, const char *name);
/* As above, NULL when the schema has no such key. */
struct value *object_find(const struct object *object, const char *name);
/* Whether a string value is non-empty. */
bool object_has_text(const struct object *object, const char *name);

/* Appends the object's keys as YAML lines, indented by `indent` spaces. */
void schema_print(const struct object *object, uint32_t indent, struct strbuf *out);
