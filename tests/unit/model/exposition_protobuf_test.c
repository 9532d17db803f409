#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "exposition_dump.h"

/* --- a small writer of messages --- */

static void add_varint(struct strbuf *out, uint64_t value)
{
    for (; value >= 0x80; value >>= 7)
        strbuf_add_char(out, (char)(value | 0x80));
    strbuf_add_char(out, (char)value);
}

static void add_uint(struct strbuf *out, unsigned number, uint64_t value)
{
    add_varint(out, number << 3);
    add_varint(out, value);
}

static void add_sint(struct strbuf *out, unsigned number, int64_t value)
{
    add_uint(out, number, (uint64_t)value << 1 ^ (uint64_t)(value >> 63));
}

static void add_double(struct strbuf *out, unsigned number, double value)
{
    add_varint(out, number << 3 | 1);
    strbuf_add(out, &value, sizeof value);
}

static void add_bytes(struct strbuf *out, unsigned number, struct str bytes)
{
    add_varint(out, number << 3 | 2);
    add_varint(out, bytes.size);
    strbuf_add_str(out, bytes);
}

/* Appends `message` as a field and empties it. */
static void add_message(struct strbuf *out, unsigned number, struct strbuf *message)
{
    add_bytes(out, number, strbuf_str(message));
    strbuf_clear(message);
}

static void add_label(struct strbuf *out, unsigned number, const char *name, const char *value)
{
    struct strbuf label = STRBUF_INIT;
    add_bytes(&label, 1, str_from_cstr(name));
    add_bytes(&label, 2, str_from_cstr(value));
    add_message(out, number, &label);
    strbuf_deinit(&label);
}

static void add_timestamp(struct strbuf *out, unsigned number, int64_t seconds, int64_t nanos)
{
    struct strbuf timestamp = STRBUF_INIT;
    add_uint(&timestamp, 1, (uint64_t)seconds);
    add_uint(&timestamp, 2, (uint64_t)nanos);
    add_message(out, number, &timestamp);
    strbuf_deinit(&timestamp);
}

static void add_exemplar(struct strbuf *out, unsigned number, double value, bool with_timestamp)
{
    struct strbuf exemplar = STRBUF_INIT;
    add_label(&exemplar, 1, "z", "1");
    add_label(&exemplar, 1, "a", "2");
    add_double(&exemplar, 2, value);
    if (with_timestamp)
        add_timestamp(&exemplar, 3, 5, 7000000);
    add_message(out, number, &exemplar);
    strbuf_deinit(&exemplar);
}

static void add_bucket(struct strbuf *out, uint64_t count, double bound, double exemplar)
{
    struct strbuf bucket = STRBUF_INIT;
    add_uint(&bucket, 1, count);
    add_double(&bucket, 2, bound);
    if (exemplar != 0)
        add_exemplar(&bucket, 3, exemplar, false);
    add_message(out, 3, &bucket);
    strbuf_deinit(&bucket);
}

static void add_span(struct strbuf *out, unsigned number, int32_t offset, uint32_t length)
{
    struct strbuf span = STRBUF_INIT;
    add_sint(&span, 1, offset);
    add_uint(&span, 2, length);
    add_message(out, number, &span);
    strbuf_deinit(&span);
}

struct page {
    struct strbuf body;
    struct strbuf family;
    struct strbuf metric;
    struct strbuf value;
};

static void begin_family(struct page *page, const char *name, unsigned type)
{
    strbuf_clear(&page->family);
    add_bytes(&page->family, 1, str_from_cstr(name));
    add_bytes(&page->family, 2, STR("help"));
    add_uint(&page->family, 3, type);
}

static void end_metric(struct page *page, unsigned value_field)
{
    add_message(&page->metric, value_field, &page->value);
    add_message(&page->family, 4, &page->metric);
}

static void end_family(struct page *page)
{
    add_varint(&page->body, page->family.size);
    strbuf_add_str(&page->body, strbuf_str(&page->family));
}

static void check(struct page *page, const struct exposition_options *options, const char *dump)
{
    struct strbuf out = STRBUF_INIT;
    exposition_dump(EXPOSITION_PROTOBUF, options, strbuf_str(&page->body), &out);
    assert_string_equal(strbuf_cstr(&out), dump);
    strbuf_deinit(&out);
}

static void page_deinit(struct page *page)
{
    strbuf_deinit(&page->body);
    strbuf_deinit(&page->family);
    strbuf_deinit(&page->metric);
    strbuf_deinit(&page->value);
}

/* --- tests --- */

static void simple_types(void **state)
{
    (void)state;
    struct page page = {0};
    struct exposition_options options = {0};
    begin_family(&page, "c_total", 0);
    add_bytes(&page.family, 5, STR("bytes"));
    add_label(&page.metric, 1, "l.x", "");
    add_double(&page.value, 1, 2.5);
    add_exemplar(&page.value, 2, 9, true);
    add_timestamp(&page.value, 3, 1, 500000000);
    end_metric(&page, 3);
    add_uint(&page.metric, 6, (uint64_t)-5);
    add_double(&page.value, 1, 3);
    end_metric(&page, 3);
    end_family(&page);
    begin_family(&page, "empty", 1);
    end_family(&page);
    begin_family(&page, "u", 3);
    end_metric(&page, 5);
    end_family(&page);
    check(&page, &options,
          "help c_total \"help\"\nunit c_total bytes\ntype c_total counter\n"
          "sample {__name__=\"c_total\", \"l.x\"=\"\"} | 2.5 start=1500\n"
          "exemplar {a=\"2\", z=\"1\"} 9 @5007\n"
          "sample {__name__=\"c_total\"} | 3 @-5\n"
          "help u \"help\"\ntype u unknown\nsample {__name__=\"u\"} | 0\n");
    page_deinit(&page);
}

static void summaries_and_classic_histograms(void **state)
{
    (void)state;
    struct page page = {0};
    struct exposition_options options = {0};
    struct strbuf quantile = STRBUF_INIT;
    begin_family(&page, "s", 2);
    add_uint(&page.value, 1, 7);
    add_double(&page.value, 2, 1.5);
    end_metric(&page, 4);
    add_double(&quantile, 1, 0.5);
    add_double(&quantile, 2, 4);
    add_message(&page.value, 3, &quantile);
    end_metric(&page, 4);
    end_family(&page);
    begin_family(&page, "h", 4);
    add_uint(&page.value, 1, 9);
    add_bucket(&page.value, 3, 1, 0.75);
    add_bucket(&page.value, 5, 1e6, 0);
    end_metric(&page, 7);
    end_family(&page);
    check(&page, &options,
          "help s \"help\"\ntype s summary\n"
          "sample {__name__=\"s_count\"} | 7\nsample {__name__=\"s_sum\"} | 1.5\n"
          "sample {__name__=\"s_count\"} | 0\nsample {__name__=\"s_sum\"} | 0\n"
          "sample {__name__=\"s\", quantile=\"0.5\"} | 4\n"
          "help h \"help\"\ntype h histogram\n"
          "sample {__name__=\"h_count\"} | 9\nsample {__name__=\"h_sum\"} | 0\n"
          "sample {__name__=\"h_bucket\", le=\"1.0\"} | 3\n"
          "exemplar {a=\"2\", z=\"1\"} 0.75\n"
          "sample {__name__=\"h_bucket\", le=\"1e+06\"} | 5\n"
          "sample {__name__=\"h_bucket\", le=\"+Inf\"} | 9\n");
    strbuf_deinit(&quantile);
    page_deinit(&page);
}

static void add_native(struct page *page)
{
    add_uint(&page->value, 1, 12);
    add_double(&page->value, 2, 3.5);
    add_sint(&page->value, 5, 2);
    add_double(&page->value, 6, 0.5);
    add_uint(&page->value, 7, 1);
    add_span(&page->value, 9, -3, 1);
    add_sint(&page->value, 10, 2);
    add_span(&page->value, 12, 1, 3);
    add_span(&page->value, 12, 2, 1);
    for (int i = 0; i < 4; i++) { /* counts 4 0 0 5 */
        static const int64_t deltas[] = {4, -4, 0, 5};
        add_sint(&page->value, 13, deltas[i]);
    }
    add_bucket(&page->value, 12, 1, 0);
    add_exemplar(&page->value, 16, 1, true);
    add_exemplar(&page->value, 16, 2, false);
}

static void native_histograms(void **state)
{
    (void)state;
    struct page page = {0};
    struct exposition_options options = {.native_histograms = true, .always_classic = true};
    begin_family(&page, "h", 5);
    add_native(&page);
    end_metric(&page, 7);
    add_double(&page.value, 4, 2.5);
    add_double(&page.value, 6, 1);
    add_span(&page.value, 12, 0, 1);
    add_double(&page.value, 14, 2.5);
    end_metric(&page, 7);
    end_family(&page);
    check(&page, &options,
          "help h \"help\"\ntype h gaugehistogram\n"
          "histogram {__name__=\"h\"} | integer schema=2 hint=3 sum=3.5 count 12 zero=0.5 1 "
          "positive 1:1 4:1 = 4 5 negative -3:1 = 2\n"
          "exemplar {a=\"2\", z=\"1\"} 1 @5007\n"
          "sample {__name__=\"h_count\"} | 12\nsample {__name__=\"h_sum\"} | 3.5\n"
          "sample {__name__=\"h_bucket\", le=\"1.0\"} | 12\n"
          "sample {__name__=\"h_bucket\", le=\"+Inf\"} | 12\n"
          "histogram {__name__=\"h\"} | float schema=0 hint=3 sum=0 count 2.5 zero=1 0 "
          "positive 0:1 = 2.5 negative =\n");
    options = (struct exposition_options){0};
    strbuf_clear(&page.body);
    begin_family(&page, "h", 4);
    add_native(&page);
    end_metric(&page, 7);
    end_family(&page);
    check(&page, &options,
          "help h \"help\"\ntype h histogram\n"
          "sample {__name__=\"h_count\"} | 12\nsample {__name__=\"h_sum\"} | 3.5\n"
          "sample {__name__=\"h_bucket\", le=\"1.0\"} | 12\n"
          "sample {__name__=\"h_bucket\", le=\"+Inf\"} | 12\n");
    page_deinit(&page);
}

static void defects_have_their_texts(void **state)
{
    (void)state;
    struct page page = {0};
    struct exposition_options options = {.native_histograms = true};
    static const struct {
        const char *name;
        unsigned type;
        const char *value; /* of the label */
        uint32_t span_length;
        const char *error;
    } cases[] = {
        {"", 1, "v", 0, "error invalid metric name: \n"},
        {"x", 9, "v", 0, "error unknown metric type for metric \"x\": 9\n"},
        {"x", 1, "\xff", 0, "help x \"help\"\ntype x gauge\nerror invalid label value: \xff\n"},
        {"x", 4, "v", 2,
         "help x \"help\"\ntype x histogram\nerror histogram \"x\": positive side: spans require 2 "
         "buckets, have 0\n"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        strbuf_clear(&page.body);
        begin_family(&page, cases[i].name, cases[i].type);
        add_label(&page.metric, 1, "l", cases[i].value);
        if (cases[i].span_length > 0)
            add_span(&page.value, 12, 0, cases[i].span_length);
        end_metric(&page, 7);
        end_family(&page);
        check(&page, &options, cases[i].error);
    }
    strbuf_clear(&page.body);
    strbuf_add_str(&page.body, STR("\x05"
                                   "ab"));
    check(
        &page, &options,
        "error clientpb: insufficient length of buffer, expected at least 6 bytes, got 3 bytes\n");
    strbuf_clear(&page.body);
    strbuf_add_str(&page.body, STR("\xff\xff\xff\xff\xff\x01"));
    check(&page, &options, "error clientpb: invalid varint encountered\n");
    page_deinit(&page);
}

/* Every cut and every flipped bit gives an end or an error, and leaves nothing allocated. */
static void damage_does_no_harm(void **state)
{
    (void)state;
    struct page page = {0};
    struct exposition_options options = {.native_histograms = true, .always_classic = true};
    struct strbuf out = STRBUF_INIT;
    begin_family(&page, "h", 4);
    add_label(&page.metric, 1, "l", "v");
    add_native(&page);
    end_metric(&page, 7);
    end_family(&page);
    for (size_t size = 0; size < page.body.size; size++)
        exposition_dump(EXPOSITION_PROTOBUF, &options, str_from(page.body.data, size), &out);
    for (size_t bit = 0; bit < page.body.size * 8; bit++) {
        page.body.data[bit / 8] ^= (char)(1 << bit % 8);
        exposition_dump(EXPOSITION_PROTOBUF, &options, strbuf_str(&page.body), &out);
        page.body.data[bit / 8] ^= (char)(1 << bit % 8);
    }
    assert_true(out.size > 0);
    strbuf_deinit(&out);
    page_deinit(&page);
    assert_int_equal(mem_bytes(MEM_SCRAPE), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(simple_types),        cmocka_unit_test(summaries_and_classic_histograms),
        cmocka_unit_test(native_histograms),   cmocka_unit_test(defects_have_their_texts),
        cmocka_unit_test(damage_does_no_harm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
