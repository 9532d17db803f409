/* /api/v1/why: at which stage a target or a series was lost. */
#include "narthex/scraper/scrape_why.h"
#include "relabel_out.h"
#include "why_out.h"

void http__add_member(struct strbuf *out, const char *name, struct str text)
{
    strbuf_printf(out, ",\"%s\":", name);
    json_add_string(out, text, true);
}

void http__add_line(struct strbuf *out, uint64_t line, struct str text)
{
    if (line == 0)
        return;
    strbuf_printf(out, ",\"line\":%llu", (unsigned long long)line);
    http__add_member(out, "lineText", text);
}

void http__add_rule(struct strbuf *out, uint32_t number, const struct relabel_rule *rule,
                    struct labels before)
{
    strbuf_printf(out, ",\"ruleNumber\":%u,\"rule\":", number);
    json_add_relabel_rule(out, rule);
    strbuf_add_cstr(out, ",\"labelsBefore\":");
    json_add_labels(out, before);
}

static void add_active(struct strbuf *out, const struct target_why_view *item)
{
    static const char *const health[] = {
        [TARGET_UNKNOWN] = "unknown", [TARGET_UP] = "up", [TARGET_DOWN] = "down"};
    strbuf_add_cstr(out, ",\"labels\":");
    json_add_labels(out, item->target.labels);
    http__add_member(out, "scrapeUrl", item->target.scrape_url);
    strbuf_printf(out, ",\"health\":\"%s\",\"lastScrape\":", health[item->target.health]);
    json_add_time(out, item->target.last_scrape_ms);
    strbuf_printf(out, ",\"samplesScraped\":%llu,\"samplesKept\":%llu",
                  (unsigned long long)item->samples_scraped,
                  (unsigned long long)item->samples_kept);
    http__add_line(out, item->line, item->line_text);
}

static void add_target(struct strbuf *out, const struct target_why_view *item)
{
    strbuf_printf(out, "{\"stage\":\"%s\"", why_stage_name(item->stage));
    http__add_member(out, "scrapePool", item->scrape_pool);
    if (item->reason.size > 0)
        http__add_member(out, "reason", item->reason);
    strbuf_add_cstr(out, ",\"discoveredLabels\":");
    json_add_labels(out, item->discovered_labels);
    if (item->stage == WHY_RELABEL)
        http__add_rule(out, item->rule, &item->cut, item->before);
    if (item->active)
        add_active(out, item);
    strbuf_add_char(out, '}');
}

static void answer_target(struct http_request *request, struct str text)
{
    struct targets_why_view view;
    scrape_manager_why_target(request->services->scraper, text, http__param(request, "scrapePool"),
                              &request->arena, &view);
    struct strbuf *out = http__api_begin(request);
    /* Nobody found it: it was lost before everything else. */
    strbuf_printf(out, "{\"stage\":%s,\"discovered\":%llu,\"matched\":%llu,\"targets\":[",
                  view.matched == 0 ? "\"discovery\"" : "null", (unsigned long long)view.discovered,
                  (unsigned long long)view.matched);
    for (size_t i = 0; i < view.count; i++) {
        if (i > 0)
            strbuf_add_char(out, ',');
        add_target(out, &view.items[i]);
    }
    strbuf_add_cstr(out, "]}");
    http__api_end(request, NULL, 0, NULL, 0);
}

void http__why(struct http_request *request)
{
    struct str target = http__param(request, "target");
    struct str match = http__param(request, "match[]");
    if ((target.size == 0) == (match.size == 0))
        http__api_error(request, API_BAD_DATA, "exactly one of target and match[] must be given");
    else if (target.size > 0)
        answer_target(request, target);
    else
        http__why_series(request, match);
}
