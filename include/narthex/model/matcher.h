/* model/matcher.h: label matchers. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "narthex/base/err.h"
#include "narthex/base/str.h"
#include "narthex/base/strbuf.h"
#include "narthex/model/labels.h"
#include "narthex/model/regex.h"

enum matcher_kind { MATCH_EQUAL, MATCH_NOT_EQUAL, MATCH_REGEX, MATCH_NOT_REGEX };

/* Immutable after init; any thread may match. Owns copies of name and value and the regex. */
struct matcher {
    enum matcher_kind kind;
    struct str name;
    struct str value;
    struct regex *regex; /* for the two regex kinds */
};

/* ERR_INVALID with the regex error. */
err_t matcher_init(struct matcher *matcher, enum matcher_kind kind, struct str name,
                   struct str value, struct strbuf *why);
void matcher_deinit(struct matcher *matcher);
/* An absent label has the value "". */
bool matcher_matches(const struct matcher *matcher, struct str value);
bool matcher_matches_empty(const struct matcher *matcher);
/* All matchers hold for the label set. */
bool matchers_match(const struct matcher *matchers, size_t count, struct labels labels);
/* "=", "!=", "=~", "!~". */
const char *matcher_kind_text(enum matcher_kind kind);
/* name="value", value Go-quoted; a name that is not an identifier is quoted too. */
void matcher_print(const struct matcher *matcher, struct strbuf *out);
