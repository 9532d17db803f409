/* model/labels.h: label sets.
 *
 * A struct labels is a borrowed, sorted list of name/value pairs: sorted by name bytewise, names
 * unique, values never empty (an empty value means that the label is absent). The metric name is
 * the label __name__. Views say how long they live; labels_copy puts one into an arena.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "narthex/base/arena.h"
#include "narthex/base/str.h"
#include "narthex/base/strbuf.h"

#define LABEL_NAME STR("__name__")

struct label {
    struct str name;
    struct str value;
};

struct labels {
    const struct label *items;
    uint32_t count;
};

/* Value of a label, or an empty str. */
struct str labels_get(struct labels labels, struct str name);
bool labels_has(struct labels labels, struct str name);
bool labels_equal(struct labels a, struct labels b);
/* Order of results: pairs compared by name, then value, bytewise; a prefix is smaller. */
int labels_compare(struct labels a, struct labels b);
/* Table hash, of this process only (see hash.h). */
uint64_t labels_hash(struct labels labels);
/* Deep copy. */
struct labels labels_copy(struct arena *arena, struct labels labels);
/* Copy of the pair list only; the strings are shared with the source. */
struct labels labels_copy_shallow(struct arena *arena, struct labels labels);

/* {__name__="up", job="a"}: every label in braces, values Go-quoted, as error texts show them. */
void labels_print(struct labels labels, struct strbuf *out);
/* up{job="a"}: the metric name in front when it is a plain identifier. */
void labels_print_metric(struct labels labels, struct strbuf *out);

/* Builds a label set in any order of calls. All zero is empty; one owner. Strings are borrowed
 * until label_builder_labels. */
struct label_builder {
    struct label *items;
    uint32_t count;
    uint32_t capacity;
};
void label_builder_deinit(struct label_builder *builder);
void label_builder_clear(struct label_builder *builder);
/* Starts from an existing set. */
void label_builder_reset(struct label_builder *builder, struct labels base);
/* Starts from labels in any order, names perhaps repeated: what setting them one by one leaves, in
 * n log n. */
void label_builder_assign(struct label_builder *builder, const struct label *items, uint32_t count);
/* Sets a label; an empty value removes it. Linear in the number of labels. */
void label_builder_set(struct label_builder *builder, struct str name, struct str value);
void label_builder_remove(struct label_builder *builder, struct str name);
struct str label_builder_get(const struct label_builder *builder, struct str name);
/* Sorts in place and returns a view of the builder's own memory, valid until it is changed. */
struct labels label_builder_labels(struct label_builder *builder);

/* Name schemes (spec config-and-scrape 4.4). */
enum name_scheme { NAME_SCHEME_UTF8, NAME_SCHEME_LEGACY };
bool metric_name_is_valid(struct str name, enum name_scheme scheme);
bool label_name_is_valid(struct str name, enum name_scheme scheme);
enum name_escaping {
    NAME_ESCAPING_NONE, /* allow-utf-8 */
    NAME_ESCAPING_UNDERSCORES,
    NAME_ESCAPING_DOTS,
    NAME_ESCAPING_VALUES,
};
void name_escape(struct str name, enum name_escaping escaping, struct strbuf *out);
/* Reverses NAME_ESCAPING_VALUES (U__…); malformed input is appended unchanged. */
void name_unescape_values(struct str name, struct strbuf *out);
