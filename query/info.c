/* info(): labels of info metrics joined to other series (spec promql.md 6.5). */
#include <assert.h>
#include <string.h>

#include "match.h"

enum { INFO_NAMES_MAX = 64 }; /* info metrics that one series is joined with */

struct info_op {
    struct op op;
    struct op *base;
    struct op *infos; /* values are the original timestamps, in ms */
    struct vector_matching identity;
    struct matcher *matchers; /* of names, then of data labels */
    uint32_t name_matcher_count;
    uint32_t matcher_count;
    bool needs_match; /* a data matcher that rejects "" */
    struct match_table table;
    struct row_set info_rows;
    uint32_t *next_row;
    uint32_t next_capacity;
    struct row_set out;
    struct label_builder builder;
    bool done;
};

/* ---- what is asked for ---- */

struct reference {
    bool found;
    struct time_modifiers when;
};

/* The time that the first selector of the argument looks at, through the subqueries around it. */
static void find_reference(const struct expr *expr, struct time_modifiers when,
                           struct reference *reference)
{
    const struct time_modifiers *own = NULL;
    if (expr->kind == EXPR_VECTOR_SELECTOR)
        own = &expr->vector_selector.when;
    if (expr->kind == EXPR_SUBQUERY)
        own = &expr->subquery.when;
    if (own != NULL && own->at != AT_NONE) {
        when.at = AT_TIME;
        when.at_ms = own->at_ms;
        when.offset.ms = 0;
    }
    if (own != NULL)
        when.offset.ms = time__add(when.offset.ms, own->offset.ms);
    if (expr->kind == EXPR_VECTOR_SELECTOR) {
        *reference = (struct reference){true, when};
        return;
    }
    for (size_t i = 0; i < expr_child_count(expr) && !reference->found; i++)
        find_reference(expr_child(expr, i), when, reference);
}

static void free_matcher(void *context)
{
    matcher_deinit(context);
}

static void add_name_matcher(struct info_op *info, enum matcher_kind kind, struct str value)
{
    struct matcher *matcher = &info->matchers[info->name_matcher_count++];
    err_t err = matcher_init(matcher, kind, LABEL_NAME, value, NULL);
    assert(err == OK);
    eval__on_end(info->op.eval, free_matcher, matcher);
}

/* Matchers of names first; target_info is meant when there is none. */
static void take_matchers(struct info_op *info, const struct expr *expr)
{
    struct selector selector = {NULL, 0};
    if (expr->call.arg_count > 1)
        selector = expr_strip_parens(expr->call.args[1])->vector_selector.selector;
    info->matchers = ARENA_NEW_ARRAY(info->op.eval->arena, struct matcher, selector.count + 1);
    bool positive = false;
    for (size_t i = 0; i < selector.count; i++) {
        const struct matcher *matcher = &selector.matchers[i];
        if (!str_equal(matcher->name, LABEL_NAME))
            continue;
        info->matchers[info->name_matcher_count++] = *matcher; /* regex is borrowed */
        positive = positive || matcher->kind == MATCH_EQUAL || matcher->kind == MATCH_REGEX;
    }
    if (info->name_matcher_count == 0)
        add_name_matcher(info, MATCH_EQUAL, STR("target_info"));
    else if (!positive)
        add_name_matcher(info, MATCH_REGEX, STR(".+_info"));
    info->matcher_count = info->name_matcher_count;
    for (size_t i = 0; i < selector.count; i++) {
        const struct matcher *matcher = &selector.matchers[i];
        if (str_equal(matcher->name, LABEL_NAME))
            continue;
        info->matchers[info->matcher_count++] = *matcher;
        info->needs_match = info->needs_match || !matcher_matches_empty(matcher);
    }
}

/* ---- info series ---- */

static err_t collect_infos(struct info_op *info, struct strbuf *why)
{
    struct batch batch;
    for (;;) {
        TRY(op__next(info->infos, &batch, why));
        if (batch.count == 0)
            return OK;
        for (uint32_t i = 0; i < batch.count; i++) {
            const struct row *row = &batch.rows[i];
            uint32_t at = info->info_rows.count;
            struct match_group *group = match_table__find(&info->table, row->labels, true);
            row_set__append(&info->info_rows, row);
            if (at == info->next_capacity) {
                uint32_t capacity = at == 0 ? 16 : at * 2;
                uint32_t *grown = arena_alloc(info->table.arena, capacity * sizeof *grown);
                if (at > 0)
                    memcpy(grown, info->next_row, at * sizeof *grown);
                info->next_row = grown;
                info->next_capacity = capacity;
            }
            info->next_row[at] = UINT32_MAX;
            if (group->first_row == UINT32_MAX)
                group->first_row = at;
            else
                info->next_row[group->last_row] = at;
            group->last_row = at;
        }
    }
}

/* The info series that hold for a step: of each info metric the newest. */
struct info_choice {
    uint32_t rows[INFO_NAMES_MAX];
    uint32_t count;
};

static err_t fail_duplicate(struct info_op *info, uint32_t a, uint32_t b, uint32_t step,
                            struct strbuf *why)
{
    struct strbuf texts[2] = {STRBUF_INIT, STRBUF_INIT};
    const struct row *rows = info->info_rows.items;
    labels_print(rows[a].labels, &texts[0]);
    labels_print(rows[b].labels, &texts[1]);
    err_t err =
        err_fail(why, ERR_EXECUTION,
                 "found duplicate series for info metric: existing %s @ %lld, new %s @ %lld",
                 strbuf_cstr(&texts[0]), (long long)rows[a].values[step], strbuf_cstr(&texts[1]),
                 (long long)rows[b].values[step]);
    strbuf_deinit(&texts[0]);
    strbuf_deinit(&texts[1]);
    return err;
}

static err_t choose(struct info_op *info, const struct match_group *group, uint32_t step,
                    struct info_choice *choice, struct strbuf *why)
{
    choice->count = 0;
    const struct row *rows = info->info_rows.items;
    for (uint32_t r = group->first_row; r != UINT32_MAX; r = info->next_row[r]) {
        if (!bits__get(rows[r].present, step))
            continue;
        struct str name = names__metric(&rows[r]);
        uint32_t at = 0;
        while (at < choice->count && !str_equal(names__metric(&rows[choice->rows[at]]), name))
            at++;
        if (at == choice->count) {
            if (at == INFO_NAMES_MAX)
                return err_fail(why, ERR_EXECUTION, "more than %d info metrics for one series",
                                INFO_NAMES_MAX);
            choice->rows[choice->count++] = r;
            continue;
        }
        double existing = rows[choice->rows[at]].values[step];
        if (existing == rows[r].values[step])
            return fail_duplicate(info, choice->rows[at], r, step, why);
        if (existing < rows[r].values[step])
            choice->rows[at] = r;
    }
    return OK;
}

/* ---- joining ---- */

static bool is_wanted(const struct info_op *info, struct str name)
{
    if (str_equal(name, LABEL_NAME))
        return false;
    if (info->matcher_count == info->name_matcher_count)
        return true;
    for (uint32_t i = info->name_matcher_count; i < info->matcher_count; i++) {
        if (str_equal(info->matchers[i].name, name))
            return true;
    }
    return false;
}

static err_t join_labels(struct info_op *info, struct labels base, const struct info_choice *choice,
                         struct labels *labels, struct strbuf *why)
{
    label_builder_reset(&info->builder, base);
    for (uint32_t c = 0; c < choice->count; c++) {
        struct labels extra = info->info_rows.items[choice->rows[c]].labels;
        for (uint32_t i = 0; i < extra.count; i++) {
            struct label label = extra.items[i];
            if (!is_wanted(info, label.name) || labels_has(base, label.name))
                continue;
            struct str set = label_builder_get(&info->builder, label.name);
            if (set.size > 0 && !str_equal(set, label.value))
                return err_fail(why, ERR_EXECUTION, "conflicting label: %.*s", STR_ARG(label.name));
            label_builder_set(&info->builder, label.name, label.value);
        }
    }
    *labels = label_builder_labels(&info->builder);
    return OK;
}

static err_t put(struct info_op *info, const struct row *base, uint32_t step, uint32_t *out_at,
                 struct labels labels, struct strbuf *why)
{
    if (*out_at == UINT32_MAX) {
        bool created;
        struct row *row = row_set__get(&info->out, labels, &created);
        if (created) {
            row->labels = labels_copy_shallow(info->out.arena, labels);
            row->drop_name = base->drop_name;
        }
        *out_at = (uint32_t)(row - info->out.items);
    }
    struct row *row = &info->out.items[*out_at];
    if (bits__get(row->present, step))
        return rows__same_labelset(why);
    const struct histogram *h = row__histogram(base, step);
    if (h == NULL)
        row__set(row, step, base->values[step]);
    else
        row__set_histogram(row, info->out.arena, info->out.steps, step,
                           histogram_copy(info->out.arena, h));
    return OK;
}

static bool same_choice(const struct info_choice *a, const struct info_choice *b)
{
    return a->count == b->count && memcmp(a->rows, b->rows, a->count * sizeof a->rows[0]) == 0;
}

static bool is_info_series(const struct info_op *info, const struct row *base)
{
    struct str name = names__metric(base);
    for (uint32_t i = 0; i < info->name_matcher_count; i++) {
        if (!matcher_matches(&info->matchers[i], name))
            return false;
    }
    return true;
}

static err_t join_row(struct info_op *info, const struct row *base, struct strbuf *why)
{
    bool pass = is_info_series(info, base);
    const struct match_group *group = NULL;
    if (!pass &&
        (labels_has(base->labels, STR("instance")) || labels_has(base->labels, STR("job"))))
        group = match_table__find(&info->table, base->labels, false);
    struct info_choice choices[2] = {{.count = 0}, {.count = 0}};
    struct info_choice *now = &choices[0];
    struct info_choice *before = &choices[1];
    uint32_t out_at = UINT32_MAX;
    for (uint32_t i = 0; i < info->out.steps; i++) {
        if (!bits__get(base->present, i))
            continue;
        now->count = 0;
        if (group != NULL)
            TRY(choose(info, group, i, now, why));
        if (now->count == 0 && info->needs_match && !pass)
            continue;
        struct labels labels = base->labels;
        if (out_at == UINT32_MAX || !same_choice(now, before)) {
            out_at = UINT32_MAX;
            if (now->count > 0)
                TRY(join_labels(info, base->labels, now, &labels, why));
        }
        TRY(put(info, base, i, &out_at, labels, why));
        struct info_choice *t = now;
        now = before;
        before = t;
    }
    return OK;
}

static err_t next(struct op *op, struct batch *batch, struct strbuf *why)
{
    struct info_op *info = (struct info_op *)op;
    if (info->done)
        return OK;
    info->done = true;
    TRY(collect_infos(info, why));
    struct batch base;
    for (;;) {
        TRY(op__next(info->base, &base, why));
        if (base.count == 0)
            break;
        for (uint32_t i = 0; i < base.count; i++)
            TRY(join_row(info, &base.rows[i], why));
    }
    *batch = (struct batch){info->out.items, info->out.count};
    return OK;
}

static void free_builder(void *context)
{
    label_builder_deinit(context);
}

err_t op_info__create(struct eval *eval, struct scope *scope, const struct expr *expr,
                      struct op **op, struct strbuf *why)
{
    static const struct str identifying[] = {STR_INIT("instance"), STR_INIT("job")};
    struct info_op *info = EVAL_OP(eval, struct info_op, next, scope, expr);
    info->identity = (struct vector_matching){.on = true, .labels = identifying, .label_count = 2};
    TRY(plan__build(eval, scope, expr->call.args[0], &info->base, why));
    op__add_input(&info->op, info->base);
    take_matchers(info, expr);
    struct reference reference = {.found = false};
    find_reference(expr->call.args[0], (struct time_modifiers){.at = AT_NONE}, &reference);
    struct expr *selector = ARENA_NEW(eval->arena, struct expr);
    *selector = (struct expr){
        .kind = EXPR_VECTOR_SELECTOR,
        .type = EXPR_TYPE_VECTOR,
        .start = expr->start,
        .end = expr->end,
        .vector_selector = {.selector = {info->matchers, info->matcher_count},
                            .when = reference.when},
    };
    info->infos = op_select__create(eval, scope, selector, STR("info"), SELECT_INFO);
    match_table__init(&info->table, eval, &info->identity, scope->grid.count);
    row_set__init(&info->info_rows, eval, scope->grid.count);
    row_set__init(&info->out, eval, scope->grid.count);
    eval__on_end(eval, free_builder, &info->builder);
    info->op.unique = true;
    *op = &info->op;
    return OK;
}
