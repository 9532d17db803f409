/* narthexctl check metrics: the text that a target exposes, from standard input. */
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctl.h"
#include "metrics_lint.h"
#include "table.h"

static err_t read_input(struct strbuf *text, struct strbuf *why)
{
    size_t size;
    do {
        size = fread(strbuf_reserve(text, 1 << 16), 1, 1 << 16, stdin);
        strbuf_commit(text, size);
    } while (size > 0);
    if (ferror(stdin))
        return err_fail(why, ERR_IO, "reading standard input: %s", strerror(errno));
    return OK;
}

static int family_order(const void *a, const void *b)
{
    const struct ctl_family *left = a, *right = b;
    if (left->sample_count != right->sample_count)
        return left->sample_count < right->sample_count ? 1 : -1;
    return str_compare(left->name, right->name);
}

/* Sorts the families. */
static void print_cardinality(struct ctl_families *families)
{
    struct ctl_table table = {.arena = &families->arena, .column_count = 3, .gap = 4};
    qsort(families->items, families->count, sizeof *families->items, family_order);
    ctl_table_add(&table, "Metric");
    ctl_table_add(&table, "Cardinality");
    ctl_table_add(&table, "Percentage");
    for (uint32_t i = 0; i < families->count && families->items[i].sample_count > 0; i++) {
        const struct ctl_family *family = &families->items[i];
        ctl_table_add(&table, "%.*s", STR_ARG(family->name));
        ctl_table_add(&table, "%u", family->sample_count);
        ctl_table_add(&table, "%.2f%%", 100.0 * family->sample_count / families->sample_count);
    }
    ctl_table_add(&table, "Total");
    ctl_table_add(&table, "%u", families->sample_count);
    ctl_table_add(&table, "100%%");
    ctl_table_print(&table, stdout);
}

/* Sorts the families. */
static void print_json(struct ctl_families *families, const struct ctl_problems *problems)
{
    json_t *root = json_object(), *problem_list = json_array(), *metric_list = json_array();
    for (uint32_t i = 0; i < problems->count; i++) {
        const struct ctl_problem *problem = &problems->items[i];
        json_array_append_new(problem_list,
                              json_pack("{s:s%, s:s%}", "metric", problem->metric.data,
                                        problem->metric.size, "text", problem->text.data,
                                        problem->text.size));
    }
    qsort(families->items, families->count, sizeof *families->items, family_order);
    for (uint32_t i = 0; i < families->count && families->items[i].sample_count > 0; i++) {
        const struct ctl_family *family = &families->items[i];
        json_array_append_new(metric_list, json_pack("{s:s%, s:I}", "metric", family->name.data,
                                                     family->name.size, "cardinality",
                                                     (json_int_t)family->sample_count));
    }
    json_object_set_new(root, "problems", problem_list);
    json_object_set_new(root, "metrics", metric_list);
    json_dumpf(root, stdout, JSON_COMPACT);
    printf("\n");
    json_decref(root);
}

static int check_text(const struct ctl_arguments *arguments, struct ctl_families *families,
                      bool wants_lint)
{
    struct ctl_problems problems = {0};
    if (wants_lint)
        problems = ctl_metrics_lint(families);
    if (ctl_wants_json(arguments)) {
        print_json(families, &problems);
    } else {
        for (uint32_t i = 0; i < problems.count; i++)
            fprintf(stderr, "%.*s %.*s\n", STR_ARG(problems.items[i].metric),
                    STR_ARG(problems.items[i].text));
        if (problems.count == 0 && ctl_switch(arguments, "extended"))
            print_cardinality(families);
    }
    return problems.count > 0 ? CTL_LINT : CTL_OK;
}

int ctl_check_metrics(const struct ctl_arguments *arguments)
{
    const char *lint = ctl_option(arguments, "lint", "all");
    struct strbuf text = STRBUF_INIT;
    struct strbuf why = STRBUF_INIT;
    int status = CTL_FAILED;
    if (read_input(&text, &why) != OK) {
        fprintf(stderr, "%s\n", strbuf_cstr(&why));
    } else {
        struct ctl_families families = {0};
        if (ctl_families_read(strbuf_str(&text), &families, &why) == OK)
            status = check_text(arguments, &families, strcmp(lint, "all") == 0);
        else
            fprintf(stderr, "error while linting: %s\n", strbuf_cstr(&why));
        ctl_families_deinit(&families);
    }
    strbuf_deinit(&why);
    strbuf_deinit(&text);
    return status;
}
