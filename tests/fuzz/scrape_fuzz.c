/* Property: what a scrape stores does not depend on what the scrape before it was like. Two bodies
 * are made from the input, one byte a token of the exposition formats; the second is scraped with
 * the cache that the first left, and with none. */
#include <stdlib.h>

#include "scrape_side.h"

static const char *const tokens[] = {
    "a",
    "b",
    "abc_bucket",
    "abc_count",
    "abc_sum",
    "{",
    "}",
    "x=\"1\"",
    "y=\"2\"",
    "le=\"1\"",
    "le=\"+Inf\"",
    "quantile=\"0.5\"",
    ",",
    " ",
    " 1\n",
    " 2.5\n",
    " NaN\n",
    "\n",
    " 1 1000\n",
    "\\",
    "\"",
    "=",
    "0",
    "# EOF\n",
    "a 1\n",
    "b 2\n",
    "a{x=\"1\"} 3\n",
    "# HELP a Text.\n",
    "# TYPE a counter\n",
    "# TYPE abc histogram\n",
    "abc_bucket{le=\"1\"} 1\n",
    "# TYPE b summary\n",
    "b{quantile=\"1\"} 4\n",
    "\xff",
    "\xc3\xa9",
    "# UNIT a_b b\n",
    " # {t=\"1\"} 2\n",
    "job=\"z\"",
    "{\"a.b\"} 1\n",
    "\t",
};
enum { TOKEN_COUNT = sizeof tokens / sizeof tokens[0] };

static struct scrape_job *job_for(bool converting)
{
    static struct scrape_config configs[2];
    static struct scrape_job *jobs[2];
    struct scrape_config *config = &configs[converting];
    if (jobs[converting] != NULL)
        return jobs[converting];
    *config = (struct scrape_config){.job_name = STR("j"),
                                     .interval_ms = 15000,
                                     .timeout_ms = 10000,
                                     .metrics_path = STR("/metrics"),
                                     .scheme = STR("http"),
                                     .honor_timestamps = true,
                                     .convert_classic_histograms = converting,
                                     .protocols = {SCRAPE_PROTOCOL_TEXT_0_0_4},
                                     .protocol_count = 1};
    struct strbuf why = STRBUF_INIT;
    if (scrape_job_create(scrape_job_set_create(NULL, NULL), config, &jobs[converting], &why) != OK)
        abort();
    return jobs[converting];
}

static void write_body(const uint8_t *data, size_t size, struct strbuf *body)
{
    for (size_t i = 0; i < size; i++)
        strbuf_add_cstr(body, tokens[data[i] % TOKEN_COUNT]);
}

static void scrape_body(struct side *side, const struct strbuf *text, enum exposition_format format,
                        struct scrape_outcome *outcome)
{
    struct strbuf why = STRBUF_INIT;
    /* Of its exact size: reading beyond it is found by the sanitizers. */
    char *copy = mem_alloc(MEM_TEST, text->size + 1);
    if (text->size > 0)
        memcpy(copy, text->data, text->size);
    *outcome = (struct scrape_outcome){0};
    side->loop.t_ms += 1000;
    scrape_commit(&side->loop, true, str_from(copy, text->size), format, outcome, &why);
    mem_free(MEM_TEST, copy);
    strbuf_deinit(&why);
}

static void compare(const struct side *warm, const struct side *cold)
{
    const struct recorder *a = warm->recorder;
    const struct recorder *b = cold->recorder;
    for (uint32_t i = 1; i <= a->name_count; i++) {
        uint32_t k = recorder_find_same(b, a, i);
        if (strstr(strbuf_cstr(&a->names[i]), "\"scrape_") != NULL)
            continue;
        bool in_cold = k != 0 && recorder_has(b, k);
        if (in_cold != recorder_has(a, i))
            abort();
        if (in_cold && double_bits(a->values[i]) != double_bits(b->values[k]))
            abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2 || size > 400)
        return 0;
    enum exposition_format format = (data[0] & 1) != 0 ? EXPOSITION_OPENMETRICS : EXPOSITION_TEXT;
    struct scrape_job *job = job_for((data[0] & 2) != 0);
    size_t cut = 2 + (size - 2) * data[1] / 256;
    struct strbuf first = STRBUF_INIT;
    struct strbuf second = STRBUF_INIT;
    write_body(data + 2, cut - 2, &first);
    /* The second body begins like the first: caches matter when something stays. */
    write_body(data + 2, (cut - 2) / 2, &second);
    write_body(data + cut, size - cut, &second);

    struct side warm;
    struct side cold;
    struct scrape_outcome warm_outcome;
    struct scrape_outcome cold_outcome;
    side_begin(&warm, job);
    side_begin(&cold, job);
    scrape_body(&warm, &first, format, &warm_outcome);
    scrape_body(&warm, &second, format, &warm_outcome);
    scrape_body(&cold, &second, format, &cold_outcome);
    if (warm_outcome.failed != cold_outcome.failed ||
        warm_outcome.result.scraped != cold_outcome.result.scraped ||
        warm_outcome.result.duplicates != cold_outcome.result.duplicates)
        abort();
    compare(&warm, &cold);
    side_end(&warm);
    side_end(&cold);
    strbuf_deinit(&first);
    strbuf_deinit(&second);
    return 0;
}
