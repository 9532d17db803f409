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
