#include <math.h>

#include "binary.h"
#include "narthex/model/histogram_math.h"

static bool compare(enum binary_op op, double a, double b)
{
    switch (op) {
    case BINARY_EQUAL:
        return a == b;
    case BINARY_NOT_EQUAL:
        return a != b;
    case BINARY_LESS:
        return a < b;
    case BINARY_LESS_EQUAL:
        return a <= b;
    case BINARY_GREATER:
        return a > b;
    default:
        return a >= b;
    }
}

static double calculate(enum binary_op op, double a, double b)
{
    switch (op) {
    case BINARY_ADD:
        return a + b;
    case BINARY_SUB:
        return a - b;
    case BINARY_MUL:
        return a * b;
    case BINARY_DIV:
        return a / b;
    case BINARY_MOD:
        return fmod(a, b);
    case BINARY_POW:
        return pow(a, b);
    default:
        return atan2(a, b);
    }
}

double binary__scalars(enum binary_op op, double lhs, double rhs)
{
    return binary_op_is_comparison(op) ? compare(op, lhs, rhs) : calculate(op, lhs, rhs);
}

static struct binary_result invalid(enum binary_note note)
{
    return (struct binary_result){.note = note};
}

static struct binary_result value(struct element element, bool keep)
{
    return (struct binary_result){.element = element, .valid = true, .keep = keep};
}

static struct binary_result of_histogram(const struct histogram *h)
{
    return value((struct element){0, h}, true);
}

static struct binary_result scaled(struct arena *arena, const struct histogram *h, double factor)
{
    return of_histogram(histogram_compact(arena, histogram_multiply(arena, h, factor)));
}

static struct binary_result histogram_and_float(enum binary_op op, const struct histogram *h,
                                                double f, struct arena *arena)
{
    switch (op) {
    case BINARY_MUL:
        return scaled(arena, h, f);
    case BINARY_DIV:
        return of_histogram(histogram_compact(arena, histogram_divide(arena, h, f)));
    case BINARY_TRIM_UPPER:
    case BINARY_TRIM_LOWER:
        return of_histogram(histogram_trim(arena, h, f, op == BINARY_TRIM_UPPER));
    default:
        return invalid(NOTE_HISTOGRAM_FLOAT);
    }
}

static struct binary_result two_histograms(enum binary_op op, const struct histogram *a,
                                           const struct histogram *b, struct arena *arena)
{
    struct histogram_outcome outcome;
    struct histogram *h;
    switch (op) {
    case BINARY_ADD:
        h = histogram_add(arena, a, b, &outcome);
        break;
    case BINARY_SUB:
        h = histogram_subtract(arena, a, b, &outcome);
        break;
    case BINARY_EQUAL:
        return value((struct element){0, a}, histogram_equal(a, b));
    case BINARY_NOT_EQUAL:
        return value((struct element){0, a}, !histogram_equal(a, b));
    default:
        return invalid(NOTE_HISTOGRAM_HISTOGRAM);
    }
    if (outcome.incompatible)
        return invalid(NOTE_LAYOUT);
    if (outcome.hint_collision)
        return invalid(NOTE_COLLISION);
    if (op == BINARY_SUB)
        h->hint = HISTOGRAM_HINT_GAUGE;
    struct binary_result result = of_histogram(h);
    result.note = outcome.reconciled ? NOTE_RECONCILED : NOTE_NONE;
    return result;
}

struct binary_result binary__combine(enum binary_op op, struct element lhs, struct element rhs,
                                     struct arena *arena)
{
    if (lhs.h != NULL && rhs.h != NULL)
        return two_histograms(op, lhs.h, rhs.h, arena);
    if (lhs.h != NULL)
        return histogram_and_float(op, lhs.h, rhs.f, arena);
    if (rhs.h != NULL)
        return op == BINARY_MUL ? scaled(arena, rhs.h, lhs.f) : invalid(NOTE_FLOAT_HISTOGRAM);
    if (op == BINARY_TRIM_UPPER || op == BINARY_TRIM_LOWER)
        return invalid(NOTE_FLOAT_FLOAT);
    if (binary_op_is_comparison(op))
        return value(lhs, compare(op, lhs.f, rhs.f));
    return value((struct element){calculate(op, lhs.f, rhs.f), NULL}, true);
}

bool binary__drops_name(const struct binary *binary)
{
    return binary->return_bool || binary->op <= BINARY_ATAN2;
}

static void annotate_types(struct eval *eval, const struct expr *expr, enum binary_note note)
{
    const char *op = binary_op_text(expr->binary.op);
    bool left = note == NOTE_HISTOGRAM_FLOAT || note == NOTE_HISTOGRAM_HISTOGRAM;
    bool right = note == NOTE_FLOAT_HISTOGRAM || note == NOTE_HISTOGRAM_HISTOGRAM;
    struct strbuf text = STRBUF_INIT;
    strbuf_printf(&text,
                  "incompatible sample types encountered for binary operator \"%s\": %s %s %s", op,
                  left ? "histogram" : "float", op, right ? "histogram" : "float");
    annotations__info(&eval->annotations, expr->start, strbuf_cstr(&text));
    strbuf_deinit(&text);
}

static void annotate(struct eval *eval, const struct expr *expr, enum binary_note note)
{
    bool add = expr->binary.op == BINARY_ADD;
    switch (note) {
    case NOTE_NONE:
        return;
    case NOTE_LAYOUT: {
        struct strbuf text = STRBUF_INIT;
        strbuf_printf(&text, "incompatible bucket layout encountered for binary operator %s",
                      binary_op_text(expr->binary.op));
        annotations__warn(&eval->annotations, expr->start, strbuf_cstr(&text));
        strbuf_deinit(&text);
        return;
    }
    case NOTE_COLLISION:
        annotations__warn(&eval->annotations, expr->start,
                          add ? "conflicting counter resets during histogram addition"
                              : "conflicting counter resets during histogram subtraction");
        return;
    case NOTE_RECONCILED:
        annotations__info(&eval->annotations, expr->start,
                          add ? "mismatched custom buckets were reconciled during addition"
                              : "mismatched custom buckets were reconciled during subtraction");
        return;
    default:
        annotate_types(eval, expr, note);
    }
}

void binary__annotate(struct eval *eval, const struct expr *expr, const uint8_t *notes,
                      uint32_t steps)
{
    bool reported[NOTE_RECONCILED + 1] = {false};
    for (uint32_t i = 0; i < steps; i++) {
        if (reported[notes[i]])
            continue;
        reported[notes[i]] = true;
        annotate(eval, expr, (enum binary_note)notes[i]);
    }
}
