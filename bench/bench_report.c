#include "bench_report.h"

#include <linux/perf_event.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <jansson.h>

#include "narthex/base/vec.h"

struct report_line {
    char name[64];
    char unit[24];
    double median, min, max;
    double cycles_per_unit; /* 0: not known */
    double instructions_per_unit;
    uint32_t rounds;
};

struct report {
    struct report_line *lines;
    uint32_t count;
    uint32_t capacity;
};

/* Counters of this process and its threads to come; -1 where the kernel has none for us. */
static int perf_fds[2] = {-2, -2};

static int open_counter(uint64_t config)
{
    struct perf_event_attr attributes = {.type = PERF_TYPE_HARDWARE,
                                         .size = sizeof attributes,
                                         .config = config,
                                         .exclude_kernel = 1,
                                         .exclude_hv = 1,
                                         .inherit = 1};
    return (int)syscall(SYS_perf_event_open, &attributes, 0, -1, -1, 0);
}

static uint64_t read_counter(int index)
{
    static const uint64_t configs[2] = {PERF_COUNT_HW_CPU_CYCLES, PERF_COUNT_HW_INSTRUCTIONS};
    uint64_t value = 0;
    if (perf_fds[index] == -2)
        perf_fds[index] = open_counter(configs[index]);
    if (perf_fds[index] < 0 || read(perf_fds[index], &value, sizeof value) != sizeof value)
        return 0;
    return value;
}

static double now_ns(bool wall)
{
    struct timespec now;
    clock_gettime(wall ? CLOCK_MONOTONIC : CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

void rounds_start(struct rounds *rounds)
{
    rounds->start_cycles = read_counter(0);
    rounds->start_instructions = read_counter(1);
    rounds->start_ns = now_ns(rounds->wall);
}

void rounds_stop(struct rounds *rounds, double units)
{
    double ns = now_ns(rounds->wall) - rounds->start_ns;
    rounds->cycles += read_counter(0) - rounds->start_cycles;
    rounds->instructions += read_counter(1) - rounds->start_instructions;
    rounds->units += units;
    if (rounds->count < ROUNDS_MAX && units > 0)
        rounds->ns[rounds->count++] = ns / units;
}

static int compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

double rounds_median(const struct rounds *rounds)
{
    double sorted[ROUNDS_MAX];
    if (rounds->count == 0)
        return NAN;
    memcpy(sorted, rounds->ns, rounds->count * sizeof *sorted);
    qsort(sorted, rounds->count, sizeof *sorted, compare_doubles);
    return sorted[rounds->count / 2];
}

struct report *report_create(void)
{
    return MEM_NEW(MEM_TEST, struct report);
}

void report_destroy(struct report *report)
{
    mem_free(MEM_TEST, report->lines);
    mem_free(MEM_TEST, report);
}

static void add_line(struct report *report, const struct report_line *line)
{
    VEC_PUSH(MEM_TEST, report->lines, report->count, report->capacity, *line);
    fprintf(stderr, "%s: %.4g %s\n", line->name, line->median, line->unit);
}

void report_add(struct report *report, const char *name, const char *unit,
                const struct rounds *rounds, double ns_per_unit)
{
    struct report_line line = {.median = rounds_median(rounds) / ns_per_unit,
                               .min = INFINITY,
                               .max = -INFINITY,
                               .rounds = rounds->count};
    snprintf(line.name, sizeof line.name, "%s", name);
    snprintf(line.unit, sizeof line.unit, "%s", unit);
    for (uint32_t i = 0; i < rounds->count; i++) {
        line.min = fmin(line.min, rounds->ns[i] / ns_per_unit);
        line.max = fmax(line.max, rounds->ns[i] / ns_per_unit);
    }
    line.cycles_per_unit = (double)rounds->cycles / rounds->units;
    line.instructions_per_unit = (double)rounds->instructions / rounds->units;
    add_line(report, &line);
}

void report_add_value(struct report *report, const char *name, const char *unit, double value)
{
    struct report_line line = {.median = value, .min = value, .max = value, .rounds = 1};
    snprintf(line.name, sizeof line.name, "%s", name);
    snprintf(line.unit, sizeof line.unit, "%s", unit);
    add_line(report, &line);
}

static void print_number(double value)
{
    int digits = fabs(value) >= 1000 ? 0 : fabs(value) >= 10 ? 2 : 4;
    printf(" %11.*f", digits, value);
}

static double earlier_median(const json_t *results, const char *name)
{
    size_t index;
    json_t *item;
    json_array_foreach(results, index, item)
    {
        const char *other = json_string_value(json_object_get(item, "name"));
        if (other != NULL && strcmp(other, name) == 0)
            return json_number_value(json_object_get(item, "median"));
    }
    return NAN;
}

static void print_line(const struct report_line *line, const json_t *earlier)
{
    printf("%-44s", line->name);
    print_number(line->median);
    if (line->rounds > 1) {
        print_number(line->min);
        print_number(line->max);
    } else {
        printf(" %11s %11s", "", "");
    }
    printf(" %-14s", line->unit);
    if (line->cycles_per_unit > 0)
        printf(" %8.1f cyc %8.1f ins", line->cycles_per_unit, line->instructions_per_unit);
    if (earlier != NULL)
        printf("  x%.3f", line->median / earlier_median(earlier, line->name));
    printf("\n");
}

err_t report_print(const struct report *report, const char *against, struct strbuf *why)
{
    json_t *root = NULL;
    if (against != NULL) {
        json_error_t fault;
        root = json_load_file(against, 0, &fault);
        if (root == NULL)
            return err_fail(why, ERR_INVALID, "%s:%d: %s", against, fault.line, fault.text);
    }
    printf("%-44s %11s %11s %11s %-14s%s\n", "measure", "median", "min", "max", "unit",
           against != NULL ? "  x earlier" : "");
    for (uint32_t i = 0; i < report->count; i++)
        print_line(&report->lines[i], json_object_get(root, "results"));
    json_decref(root);
    return OK;
}

void report_print_json(const struct report *report)
{
    json_t *results = json_array();
    for (uint32_t i = 0; i < report->count; i++) {
        const struct report_line *line = &report->lines[i];
        json_array_append_new(
            results, json_pack("{s:s, s:s, s:f, s:f, s:f, s:i, s:f, s:f}", "name", line->name,
                               "unit", line->unit, "median", line->median, "min", line->min, "max",
                               line->max, "rounds", (int)line->rounds, "cycles",
                               line->cycles_per_unit, "instructions", line->instructions_per_unit));
    }
    json_t *root = json_pack("{s:s, s:o}", "version", NARTHEX_VERSION, "results", results);
    json_dumpf(root, stdout, JSON_INDENT(1));
    printf("\n");
    json_decref(root);
}
