/* /api/v1/targets/relabel_steps: what each relabel rule of a pool makes of a label set. */
#include "labels_json.h"
#include "narthex/scraper/scrape_why.h"
#include "relabel_out.h"

static void answer(struct http_request *request, const struct relabel_step_view *steps,
                   size_t count)
{
    struct strbuf *out = http__api_begin(request);
    strbuf_add_cstr(out, "{\"steps\":[");
    for (size_t i = 0; i < count; i++) {
        strbuf_add_cstr(out, i == 0 ? "{\"rule\":" : ",{\"rule\":");
        json_add_relabel_rule(out, &steps[i].rule);
        strbuf_add_cstr(out, ",\"output\":");
        json_add_labels(out, steps[i].output);
        strbuf_add_cstr(out, steps[i].keep ? ",\"keep\":true}" : ",\"keep\":false}");
    }
    strbuf_add_cstr(out, "]}");
    http__api_end(request, NULL, 0, NULL, 0);
}

void http__relabel_steps(struct http_request *request)
{
    struct str pool = http__param(request, "scrapePool");
    struct str text = http__param(request, "labels");
    if (pool.size == 0 || text.size == 0) {
        http__api_error(request, API_BAD_DATA,
                        pool.size == 0 ? "no scrapePool parameter provided"
                                       : "no labels parameter provided");
        return;
    }
    struct strbuf why = STRBUF_INIT;
    struct strbuf error = STRBUF_INIT;
    struct label_builder builder = {0};
    const struct relabel_step_view *steps;
    size_t count;
    if (labels_json_read(text, &request->arena, &builder, &why) != OK) {
        strbuf_printf(&error, "error parsing labels: %s", strbuf_cstr(&why));
        http__api_error(request, API_BAD_DATA, strbuf_cstr(&error));
    } else if (scrape_manager_relabel_steps(request->services->scraper, pool,
                                            label_builder_labels(&builder), &request->arena, &steps,
                                            &count)) {
        answer(request, steps, count);
    } else {
        strbuf_add_cstr(&error, "error retrieving scrape config: scrape pool ");
        strbuf_add_quoted(&error, pool);
        strbuf_add_cstr(&error, " not found");
        http__api_error(request, API_BAD_DATA, strbuf_cstr(&error));
    }
    label_builder_deinit(&builder);
    strbuf_deinit(&error);
    strbuf_deinit(&why);
}
