/* model/relabel.h: relabeling rules (spec config-and-scrape.md, section 2). */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "narthex/base/err.h"
#include "narthex/base/strbuf.h"
#include "narthex/model/labels.h"
#include "narthex/model/regex.h"

enum relabel_action {
    RELABEL_REPLACE,
    RELABEL_KEEP,
    RELABEL_DROP,
    RELABEL_KEEPEQUAL,
    RELABEL_DROPEQUAL,
    RELABEL_HASHMOD,
    RELABEL_LABELMAP,
    RELABEL_LABELDROP,
    RELABEL_LABELKEEP,
    RELABEL_LOWERCASE,
    RELABEL_UPPERCASE,
};

/* One rule as configured. The loader begins with relabel_rule_init and replaces what is written:
 * strings and the source list from MEM_CONFIG, the compiled regex. relabel_rule_deinit frees them;
 * it leaves the static default texts alone. `*_set` tell an explicit value from the default. */
struct relabel_rule {
    struct str *source_labels;
    uint32_t source_label_count;
    bool source_labels_set;
    struct str separator; /* default ";" */
    struct str target_label;
    struct str replacement; /* default "$1" */
    struct str regex_text;  /* as written */
    bool regex_set;
    struct regex *regex; /* NULL: the default (.*) */
    uint64_t modulus;
    enum relabel_action action;
};

/* Defaults of an empty rule. */
void relabel_rule_init(struct relabel_rule *rule);
void relabel_rule_deinit(struct relabel_rule *rule);
/* Case-insensitive name of an action; false if unknown. */
bool relabel_action_parse(struct str text, enum relabel_action *action);
const char *relabel_action_text(enum relabel_action action);
/* The checks of the specification, in its order, with its texts. */
err_t relabel_rule_validate(const struct relabel_rule *rule, enum name_scheme scheme,
                            struct strbuf *why);

/* Applies rules in order to the builder's labels. Any thread, on distinct builders. Returns false
 * when a rule dropped the set, with *dropped_by (may be NULL) the rule's index. New strings are put
 * into `arena`, which must live as long as the builder's content is used. `scheme` decides which
 * expanded target names are valid. */
bool relabel_apply(const struct relabel_rule *rules, uint32_t rule_count, enum name_scheme scheme,
                   struct label_builder *builder, struct arena *arena, uint32_t *dropped_by);
