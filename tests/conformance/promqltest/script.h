/* Test scripts of PromQL (spec promql.md 9): what a file says, before anything is run.
 *
 * Everything lives in the script's arena, except regular expressions, which script_deinit frees.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "narthex/base/arena.h"
#include "narthex/base/err.h"
#include "narthex/model/histogram.h"
#include "narthex/model/labels.h"
#include "narthex/model/regex.h"

enum item_kind { ITEM_OMITTED, ITEM_FLOAT, ITEM_HISTOGRAM };

/* One value of a series line. */
struct item {
    enum item_kind kind;
    double value;
    const struct histogram *histogram;
    bool has_hint; /* the text named counter_reset_hint: it is compared */
};

struct item_list {
    struct item *items;
    size_t count;
    size_t capacity;
};

struct series_line {
    uint32_t line;
    struct labels labels;
    struct item_list values;
    /* Start timestamps relative to each sample, for load: as many as values, or NULL. */
    const struct item *start_offsets;
};

struct series_lines {
    struct series_line *items;
    size_t count;
    size_t capacity;
};

enum expect_kind { EXPECT_FAIL, EXPECT_WARN, EXPECT_INFO };
enum expect_match { EXPECT_ANY, EXPECT_TEXT, EXPECT_REGEX };

struct expectation {
    enum expect_kind kind;
    enum expect_match match;
    struct str text;
    struct regex *regex;
    struct expectation *next;
};

struct eval_command {
    struct str query;
    bool range;
    int64_t start_ms; /* instant: the evaluation time */
    int64_t end_ms;
    int64_t step_ms;

    struct expectation *expectations;
    bool ordered;
    bool fail;
    bool no_warn;
    bool no_info;
    bool has_scalar;
    double scalar;
    bool has_string;
    struct str string;
    bool has_range_vector; /* times of the matrix that an instant query gives */
    int64_t vector_start_ms;
    int64_t vector_end_ms;
    int64_t vector_step_ms;
    struct series_lines series;
};

struct load_command {
    bool with_nhcb;
    int64_t step_ms;
    struct series_lines series;
};

enum command_kind { COMMAND_CLEAR, COMMAND_LOAD, COMMAND_EVAL };

struct command {
    enum command_kind kind;
    uint32_t line; /* from 1 */
    union {
        struct load_command load;
        struct eval_command eval;
    };
};

struct script {
    struct arena arena;
    struct command *commands;
    size_t count;
    size_t capacity;
};

/* ERR_INVALID with "line N: …". Call script_deinit in any case. */
err_t script_parse(struct script *script, struct str text, struct strbuf *why);
void script_deinit(struct script *script);

/* "metric{…}" and its items; expanded, in the arena. */
err_t series_line_parse(struct arena *arena, struct str text, struct series_line *line,
                        struct strbuf *why);
/* The metric at the start of a line: its labels and how many bytes it took. */
err_t series_metric_parse(struct arena *arena, struct str text, struct labels *labels, size_t *size,
                          struct strbuf *why);
/* The items of an "@st" line: milliseconds in item.value. */
err_t series_offsets_parse(struct arena *arena, struct str text, struct item_list *list,
                           struct strbuf *why);
void item_list_add(struct arena *arena, struct item_list *list, struct item item);

/* "{{schema:0 count:1 …}}" */
err_t histogram_text_parse(struct arena *arena, struct str text, struct histogram **histogram,
                           bool *has_hint, struct strbuf *why);
