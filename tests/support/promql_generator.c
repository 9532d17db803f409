#include "promql_generator.h"

enum { DEPTH_MAX = 8 };

struct generator {
    const uint8_t *choices;
    size_t size;
    size_t at;
    uint32_t depth;
    struct strbuf *out;
};

static void expr(struct generator *g);

/* A number below `count`; 0 when the choices are used up, so that generation ends. */
static uint32_t choose(struct generator *g, uint32_t count)
{
    return g->at < g->size ? g->choices[g->at++] % count : 0;
}

static void add(struct generator *g, const char *text)
{
    strbuf_add_cstr(g->out, text);
}

/* One of a NULL-terminated list. */
static void add_one(struct generator *g, const char *const *words)
{
    uint32_t count = 0;
    while (words[count] != NULL)
        count++;
    add(g, words[choose(g, count)]);
}

static void number(struct generator *g)
{
    static const char *const numbers[] = {"1",   "0",    "2.5",  "1e3",   ".5", "0x1f",
                                          "017", "NaN",  "+Inf", "1_000", "5m", "1h30m",
                                          "90s", "1e-9", "08",   NULL};
    add_one(g, numbers);
}

static void label(struct generator *g)
{
    static const char *const labels[] = {"a",  "b",       "le",   "job", "sum",
                                         "on", "\"x.y\"", "bool", NULL};
    add_one(g, labels);
}

static void labels(struct generator *g)
{
    add(g, "(");
    for (uint32_t count = choose(g, 3); count > 0; count--) {
        label(g);
        add(g, count > 1 || choose(g, 8) == 1 ? "," : "");
    }
    add(g, ")");
}

/* ---- durations ---- */

static void duration(struct generator *g, bool bare_arithmetic)
{
    static const char *const literals[] = {"5m", "1h", "90", "1m30s", "2.5", "0x10", NULL};
    static const char *const operators[] = {"+", "-", "*", "/", "%", "^", " + ", NULL};
    uint32_t kind = g->depth < DEPTH_MAX ? choose(g, 10) : 0;
    g->depth++;
    if (kind < 5) {
        add_one(g, literals);
    } else if (kind == 5) {
        add(g, choose(g, 2) == 0 ? "step()" : "range()");
    } else if (kind == 6) {
        add(g, choose(g, 2) == 0 ? "min_of(" : "max_of(");
        duration(g, true);
        add(g, ",");
        duration(g, true);
        add(g, ")");
    } else if (kind == 7) {
        add(g, choose(g, 2) == 0 ? "-" : "+");
        duration(g, bare_arithmetic);
    } else if (kind == 8 || !bare_arithmetic) {
        add(g, "(");
        duration(g, true);
        add(g, ")");
    } else {
        duration(g, true);
        add_one(g, operators);
        duration(g, true);
    }
    g->depth--;
}

static void modifiers(struct generator *g)
{
    for (uint32_t count = choose(g, 8); count > 5; count--) {
        switch (choose(g, 5)) {
        case 0:
            add(g, " offset ");
            duration(g, false);
            break;
        case 1:
            add(g, " @ ");
            add(g, choose(g, 3) == 0 ? "-" : "");
            number(g);
            break;
        case 2:
            add(g, choose(g, 2) == 0 ? " @ start()" : " @ end()");
            break;
        case 3:
            add(g, " anchored");
            break;
        default:
            add(g, " smoothed");
            break;
        }
    }
}

/* ---- selectors ---- */

static void matchers(struct generator *g)
{
    static const char *const operators[] = {"=", "!=", "=~", "!~", NULL};
    static const char *const values[] = {"\"x\"", "'y.*'", "`a|b`", "\"\"", "\"\\u00e9\\n\"", NULL};
    add(g, "{");
    for (uint32_t count = choose(g, 4); count > 0; count--) {
        label(g);
        add_one(g, operators);
        add_one(g, values);
        add(g, count > 1 || choose(g, 8) == 1 ? "," : "");
    }
    if (choose(g, 16) == 1)
        add(g, "\"quoted.name\"");
    add(g, "}");
}

static void selector(struct generator *g)
{
    static const char *const names[] = {"foo",    "bar_total", "a:b", "by",
                                        "offset", "start",     "x",   NULL};
    bool named = choose(g, 8) != 1;
    if (named)
        add_one(g, names);
    if (!named || choose(g, 3) == 1)
        matchers(g);
    uint32_t range = choose(g, 6);
    if (range >= 4) {
        add(g, "[");
        duration(g, true);
        if (range == 5) {
            add(g, ":");
            if (choose(g, 2) == 1)
                duration(g, true);
        }
        add(g, "]");
    }
    modifiers(g);
}

/* ---- expressions ---- */

static void call(struct generator *g)
{
    static const char *const names[] = {"rate",  "abs",    "round",         "label_join", "time",
                                        "clamp", "vector", "sum_over_time", "start",      "max_of",
                                        "info",  "scalar", "nosuch",        NULL};
    add_one(g, names);
    add(g, "(");
    for (uint32_t count = choose(g, 4); count > 0; count--) {
        expr(g);
        add(g, count > 1 ? ", " : "");
    }
    add(g, ")");
}

static void grouping(struct generator *g)
{
    add(g, choose(g, 2) == 0 ? " by " : " without ");
    labels(g);
}

static void aggregation(struct generator *g)
{
    static const char *const names[] = {"sum", "topk", "COUNT", "quantile", "count_values", NULL};
    uint32_t clause = choose(g, 3);
    add_one(g, names);
    if (clause == 1)
        grouping(g);
    add(g, "(");
    expr(g);
    if (choose(g, 3) == 1) {
        add(g, ",");
        expr(g);
    }
    add(g, ")");
    if (clause == 2)
        grouping(g);
}

static void binary(struct generator *g)
{
    static const char *const operators[] = {" + ",      "-",       " * ",  "/",  " % ",   "^",
                                            " == ",     "!=",      " > ",  "<=", " and ", " or ",
                                            " unless ", " atan2 ", " </ ", ">/", NULL};
    static const char *const fills[] = {"fill(1) ", "fill_left(-2) ",
                                        "fill_right(NaN) fill_left(3) ", NULL};
    expr(g);
    add_one(g, operators);
    add(g, choose(g, 8) == 1 ? "bool " : "");
    uint32_t matching = choose(g, 6);
    if (matching >= 4) {
        add(g, matching == 4 ? "on" : "ignoring");
        labels(g);
        uint32_t group = choose(g, 4);
        if (group >= 2)
            add(g, group == 2 ? "group_left" : "group_right");
        if (group >= 2 && choose(g, 2) == 1)
            labels(g);
        add(g, " ");
    }
    if (choose(g, 8) == 1)
        add_one(g, fills);
    expr(g);
}

static void wrapped(struct generator *g, const char *open, const char *close)
{
    add(g, open);
    expr(g);
    add(g, close);
}

static void expr(struct generator *g)
{
    if (g->depth >= DEPTH_MAX || g->at >= g->size) {
        add(g, "foo");
        return;
    }
    g->depth++;
    switch (choose(g, 12)) {
    case 0:
    case 1:
    case 2:
        selector(g);
        break;
    case 3:
        number(g);
        break;
    case 4:
        add(g, choose(g, 2) == 0 ? "\"text\"" : "'\\x41\\''");
        break;
    case 5:
        call(g);
        break;
    case 6:
        aggregation(g);
        break;
    case 7:
        wrapped(g, "(", ")");
        break;
    case 8:
        wrapped(g, choose(g, 2) == 0 ? "-" : "+", "");
        break;
    case 9:
        wrapped(g, "(", ")[5m:1m]");
        break;
    default:
        binary(g);
        break;
    }
    if (choose(g, 32) == 1)
        add(g, " # comment\n");
    g->depth--;
}

void promql_generate(const uint8_t *choices, size_t size, struct strbuf *out)
{
    struct generator g = {.choices = choices, .size = size, .out = out};
    expr(&g);
}
