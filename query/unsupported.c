/* Parts that are not built yet fail as such. */
#include "narthex/model/histogram_math.h"
#include "range.h"

static err_t unsupported(const struct expr *expr, struct strbuf *why)
{
    return err_fail(why, ERR_UNSUPPORTED, "%s() is not supported yet",
                    expr->call.function->name.data);
}

err_t op_info__create(struct eval *eval, struct scope *scope, const struct expr *expr,
                      struct op **op, struct strbuf *why)
{
    (void)eval;
    (void)scope;
    (void)op;
    return unsupported(expr, why);
}

err_t range__check_modifiers(const struct range_op *range, struct strbuf *why)
{
    if (range->anchored || range->smoothed)
        return err_fail(why, ERR_UNSUPPORTED, "anchored and smoothed are not supported yet");
    return OK;
}

err_t range__extend_window(struct sample_buffer *samples, int64_t t_ms,
                           const struct select_times *times, bool anchored, struct strbuf *why)
{
    (void)samples;
    (void)t_ms;
    (void)times;
    (void)anchored;
    return err_fail(why, ERR_UNSUPPORTED, "anchored and smoothed are not supported yet");
}

bool range__extended_rate(const struct range_op *range, const struct window *w, struct cell *cell)
{
    (void)range;
    (void)cell;
    w->lane->err = err_fail(&w->lane->why, ERR_UNSUPPORTED, "anchored is not supported yet");
    return false;
}
