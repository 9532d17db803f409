/* label_replace() and label_join() (spec promql.md 6.4). */
#include <string.h>

#include "eval.h"
#include "narthex/model/regex.h"

struct label_op {
    struct op op;
    struct op *child;
    struct str destination;
    /* label_replace */
    bool replace;
    struct str replacement;
    struct str source;
    struct regex *pattern;
    /* label_join */
    struct str separator;
    struct str *sources;
    uint32_t source_count;
    struct label_builder builder;
    struct strbuf value;
    struct row_set rows;
    bool done;
};

static struct str string_arg(const struct expr *expr, uint32_t i)
{
    return expr_strip_parens(expr->call.args[i])->string;
}

/* False: the row stays as it is. */
static bool new_value(struct label_op *label, const struct row *row)
{
    strbuf_clear(&label->value);
    if (label->replace)
        return regex_expand(label->pattern, labels_get(row->labels, label->source),
                            label->replacement, &label->value);
    for (uint32_t i = 0; i < label->source_count; i++) {
        if (i > 0)
            strbuf_add_str(&label->value, label->separator);
        strbuf_add_str(&label->value, labels_get(row->labels, label->sources[i]));
    }
    return true;
}

static void relabel(struct label_op *label, struct row *row)
{
    if (!new_value(label, row))
        return;
    struct arena *arena = label->rows.arena;
    struct str value = arena_str(arena, strbuf_str(&label->value));
    label_builder_reset(&label->builder, row->labels);
    label_builder_set(&label->builder, label->destination, value);
    row->labels = labels_copy_shallow(arena, label_builder_labels(&label->builder));
    if (str_equal(label->destination, LABEL_NAME))
        row->drop_name = false;
}

static err_t collect(struct label_op *label, struct strbuf *why)
{
    struct batch child;
    for (;;) {
        TRY(op__next(label->child, &child, why));
        if (child.count == 0)
            return OK;
        for (uint32_t i = 0; i < child.count; i++) {
            relabel(label, &child.rows[i]);
            TRY(row_set__merge(&label->rows, &child.rows[i], why));
        }
    }
}

static err_t next(struct op *op, struct batch *batch, struct strbuf *why)
{
    struct label_op *label = (struct label_op *)op;
    if (label->done)
        return OK;
    label->done = true;
    TRY(collect(label, why));
    *batch = (struct batch){label->rows.items, label->rows.count};
    return OK;
}

static void free_label_op(void *context)
{
    struct label_op *label = context;
    label_builder_deinit(&label->builder);
    strbuf_deinit(&label->value);
    regex_destroy(label->pattern);
}

static err_t check_destination(const struct label_op *label, const char *function,
                               struct strbuf *why)
{
    if (label_name_is_valid(label->destination, NAME_SCHEME_UTF8))
        return OK;
    return err_fail(why, ERR_EXECUTION, "invalid destination label name in %s(): %.*s", function,
                    STR_ARG(label->destination));
}

static err_t init_replace(struct label_op *label, const struct expr *expr, struct strbuf *why)
{
    label->replace = true;
    label->replacement = string_arg(expr, 2);
    label->source = string_arg(expr, 3);
    struct str pattern = string_arg(expr, 4);
    TRY(check_destination(label, "label_replace", why));
    struct strbuf detail = STRBUF_INIT;
    err_t err = regex_compile(pattern, &label->pattern, &detail);
    strbuf_deinit(&detail);
    if (err != OK)
        return err_fail(why, ERR_EXECUTION, "invalid regular expression in label_replace(): %.*s",
                        STR_ARG(pattern));
    return OK;
}

static err_t init_join(struct label_op *label, const struct expr *expr, struct strbuf *why)
{
    label->separator = string_arg(expr, 2);
    label->source_count = expr->call.arg_count - 3;
    label->sources = ARENA_NEW_ARRAY(label->op.eval->arena, struct str, label->source_count);
    for (uint32_t i = 0; i < label->source_count; i++) {
        label->sources[i] = string_arg(expr, i + 3);
        if (!label_name_is_valid(label->sources[i], NAME_SCHEME_UTF8))
            return err_fail(why, ERR_EXECUTION, "invalid source label name in label_join(): %.*s",
                            STR_ARG(label->sources[i]));
    }
    return check_destination(label, "label_join", why);
}

err_t op_label__create(struct eval *eval, struct scope *scope, const struct expr *expr,
                       struct op **op, struct strbuf *why)
{
    struct label_op *label = EVAL_OP(eval, struct label_op, next, scope, expr);
    label->destination = string_arg(expr, 1);
    eval__on_end(eval, free_label_op, label);
    TRY(plan__build(eval, scope, expr->call.args[0], &label->child, why));
    op__add_input(&label->op, label->child);
    label->op.peak_rule = PEAK_IN_PLACE;
    row_set__init(&label->rows, eval, scope->grid.count);
    if (expr->call.function->id == FUNCTION_LABEL_REPLACE)
        TRY(init_replace(label, expr, why));
    else
        TRY(init_join(label, expr, why));
    label->op.unique = true;
    *op = &label->op;
    return OK;
}
