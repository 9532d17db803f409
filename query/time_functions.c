/* timestamp(), start_timestamp() and the parts of a date. */
#include "eval.h"

struct date {
    int64_t year;
    int month; /* 1 to 12 */
    int day;   /* 1 to 31 */
    int day_of_year;
    int day_of_week; /* 0: Sunday */
    int64_t second_of_day;
};

static bool is_leap(int64_t year)
{
    return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

static int month_days(int64_t year, int month)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    return month == 2 && is_leap(year) ? 29 : days[month - 1];
}

static int64_t floor_div(int64_t a, int64_t b)
{
    return a / b - (a % b < 0);
}

/* Days from the earliest day that Go's calendar knows to 1970. */
static const int64_t GO_EPOCH_DAYS = INT64_C(106751991073094);

/* Civil date of seconds since 1970, UTC; counts in eras of 400 years that begin in March, so that
 * the leap day is the last of a year (Howard Hinnant, "chrono-compatible low-level date
 * algorithms"). Go counts in unsigned seconds from its earliest day; what lies before that day, as
 * INT64_MIN does, becomes a late date. */
static struct date date_of(int64_t seconds)
{
    struct date date;
    uint64_t since_earliest = (uint64_t)seconds + (uint64_t)GO_EPOCH_DAYS * 86400;
    int64_t days = (int64_t)(since_earliest / 86400) - GO_EPOCH_DAYS;
    date.second_of_day = (int64_t)(since_earliest % 86400);
    date.day_of_week = (int)((days % 7 + 7 + 4) % 7);
    int64_t z = days + 719468;
    int64_t era = floor_div(z, 146097);
    int64_t doe = z - era * 146097;
    int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
    int64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    int64_t mp = (5 * doy + 2) / 153;
    date.day = (int)(doy - (153 * mp + 2) / 5 + 1);
    date.month = (int)(mp < 10 ? mp + 3 : mp - 9);
    date.year = yoe + era * 400 + (date.month <= 2);
    date.day_of_year = date.day;
    for (int m = 1; m < date.month; m++)
        date.day_of_year += month_days(date.year, m);
    return date;
}

static double date_part(enum function_id id, double v)
{
    /* What is no int64 becomes the smallest one, as Go has it on amd64. */
    int64_t seconds = v >= -0x1p63 && v < 0x1p63 ? (int64_t)v : INT64_MIN;
    struct date date = date_of(seconds);
    int64_t hour = date.second_of_day / 3600;
    int64_t minute = date.second_of_day / 60 % 60;
    switch (id) {
    case FUNCTION_MINUTE:
        return (double)minute;
    case FUNCTION_HOUR:
        return (double)hour;
    case FUNCTION_DAY_OF_WEEK:
        return date.day_of_week;
    case FUNCTION_DAY_OF_MONTH:
        return date.day;
    case FUNCTION_DAY_OF_YEAR:
        return date.day_of_year;
    case FUNCTION_DAYS_IN_MONTH:
        return month_days(date.year, date.month);
    case FUNCTION_MONTH:
        return date.month;
    default:
        return (double)date.year;
    }
}

struct time_op {
    struct op op;
    struct op *child; /* NULL: the evaluation time itself */
    enum function_id id;
    bool samples_are_times; /* the child hands out timestamps already */
    struct name_check names;
    struct row own;
    bool done;
};

static void map_row(const struct time_op *time, struct row *row)
{
    const struct grid *grid = &time->op.scope->grid;
    for (uint32_t i = 0; i < grid->count; i++) {
        if (!bits__get(row->present, i))
            continue;
        if (time->id == FUNCTION_TIMESTAMP)
            row->values[i] = (double)grid_time(grid, i) / 1000;
        else if (row__histogram(row, i) != NULL)
            bits__clear(row->present, i);
        else
            row->values[i] = date_part(time->id, row->values[i]);
    }
    row->histograms = NULL;
}

static err_t next_own(struct time_op *time, struct batch *batch)
{
    const struct grid *grid = &time->op.scope->grid;
    if (time->done)
        return OK;
    time->done = true;
    for (uint32_t i = 0; i < grid->count; i++)
        row__set(&time->own, i, date_part(time->id, (double)grid_time(grid, i) / 1000));
    *batch = (struct batch){&time->own, 1};
    return OK;
}

static err_t next(struct op *op, struct batch *batch, struct strbuf *why)
{
    struct time_op *time = (struct time_op *)op;
    if (time->child == NULL)
        return next_own(time, batch);
    TRY(op__next(time->child, batch, why));
    for (uint32_t i = 0; i < batch->count; i++) {
        if (!time->samples_are_times)
            map_row(time, &batch->rows[i]);
        TRY(name_check__drop(&time->names, &batch->rows[i], why));
    }
    return OK;
}

static err_t next_empty(struct op *op, struct batch *batch, struct strbuf *why)
{
    (void)op;
    (void)batch;
    (void)why;
    return OK;
}

err_t op_time__create(struct eval *eval, struct scope *scope, const struct expr *expr,
                      struct op **op, struct strbuf *why)
{
    struct time_op *time = EVAL_OP(eval, struct time_op, next, scope, expr);
    const struct call *call = &expr->call;
    time->id = call->function->id;
    *op = &time->op;
    name_check__init(&time->names, eval, scope->grid.count, false);
    if (call->arg_count == 0) {
        time->op.unique = true;
        row__init(&time->own, eval->arena, scope->grid.count);
        return OK;
    }
    const struct expr *arg = expr_strip_parens(call->args[0]);
    bool plain = arg->kind == EXPR_VECTOR_SELECTOR;
    if (time->id == FUNCTION_TIMESTAMP && plain) {
        time->samples_are_times = true;
        time->child = op_select__create(eval, scope, arg, call->function->name, SELECT_TIMESTAMP);
    } else if (time->id == FUNCTION_START_TIMESTAMP) {
        if (!plain || !eval->options->features.start_timestamps) {
            time->op.next = next_empty;
            return OK;
        }
        time->samples_are_times = true;
        time->child =
            op_select__create(eval, scope, arg, call->function->name, SELECT_START_TIMESTAMP);
    } else {
        TRY(plan__build(eval, scope, call->args[0], &time->child, why));
    }
    op__add_input(&time->op, time->child);
    time->op.unique = time->child->unique && eval->delayed_names;
    return OK;
}
