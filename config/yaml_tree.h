/* config/yaml_tree.h: a YAML document as a tree of nodes with line numbers.
 *
 * Built by libyaml's parser; aliases are resolved, merge keys (<<) applied, all memory is in the
 * caller's arena. Depth and size are bounded, so that no alias bomb unfolds.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "narthex/base/arena.h"
#include "narthex/base/err.h"
#include "narthex/base/strbuf.h"

enum { YAML_NODES_MAX = 1000000, YAML_DEPTH_MAX = 100 };

enum yaml_kind { YAML_SCALAR, YAML_LIST, YAML_MAP };

struct yaml_pair;

struct yaml_node {
    enum yaml_kind kind;
    uint32_t line;   /* from 1 */
    struct str text; /* scalar; !!binary is decoded */
    bool plain;      /* scalar without quotes or tag: may be null, bool or number */
    bool binary;
    struct yaml_node **items; /* list */
    struct yaml_pair *pairs;  /* map, in order */
    uint32_t count;
};

struct yaml_pair {
    struct yaml_node *key; /* always a scalar */
    struct yaml_node *value;
};

/* An empty document gives a null scalar. */
err_t yaml_tree_parse(struct str text, struct arena *arena, struct yaml_node **root,
                      struct strbuf *why);
bool yaml_node_is_null(const struct yaml_node *node);
/* YAML 1.1 words: true/false, yes/no, on/off, y/n. False when it is none of them. */
bool yaml_node_to_bool(const struct yaml_node *node, bool *value);
/* Numbers as go-yaml 2 reads them: plain only; 0x, 0o, 0b, a leading 0 for octal, underscores; a
 * decimal fraction or exponent where an integer is wanted is cut off. False when it is none, or out
 * of range. */
bool yaml_node_to_int(const struct yaml_node *node, int64_t *value);
bool yaml_node_to_uint(const struct yaml_node *node, uint64_t *value);
bool yaml_node_to_float(const struct yaml_node *node, double *value);
/* "!!str", "!!int", …: how the scalar would resolve, for error texts. */
const char *yaml_node_tag(const struct yaml_node *node);
