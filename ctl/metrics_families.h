/* ctl/metrics_families.h: an exposition sorted into metric families. */
#pragma once

#include <stdbool.h>

#include "narthex/base/arena.h"
#include "narthex/base/htable.h"
#include "narthex/model/exposition.h"

struct ctl_family {
    struct str name;
    struct str help; /* empty: none */
    bool has_help;
    bool has_type;
    enum metadata_type type;
    uint32_t sample_count;
};

struct ctl_family_sample {
    uint32_t family;
    const struct label *labels; /* all but the name, as written */
    uint32_t label_count;
};

/* All zero is empty. Strings are views of the text or in the arena; one owner. */
struct ctl_families {
    struct arena arena;
    struct htable by_name;
    struct ctl_family *items; /* in order of their first line */
    uint32_t count;
    uint32_t capacity;
    struct ctl_family_sample *samples;
    uint32_t sample_count;
    uint32_t sample_capacity;
};

/* Reads the text format 0.0.4; the text must stay. As strict as promtool, stricter than a scrape:
 * ERR_INVALID with "text format parsing error in line N: …" for a second HELP or TYPE of a family,
 * too. Families is to be freed in any case. */
err_t ctl_families_read(struct str text, struct ctl_families *families, struct strbuf *why);
void ctl_families_deinit(struct ctl_families *families);
