#include "scrape_trace.h"

#include "narthex/base/mem.h"

/* A rule as it may be shown once its configuration is gone. */
static struct relabel_rule copy_rule(const struct relabel_rule *rule, struct arena *arena)
{
    struct relabel_rule copy = *rule;
    struct str *sources = ARENA_NEW_ARRAY(arena, struct str, rule->source_label_count + 1);
    for (uint32_t i = 0; i < rule->source_label_count; i++)
        sources[i] = arena_str(arena, rule->source_labels[i]);
    copy.source_labels = sources;
    copy.separator = arena_str(arena, rule->separator);
    copy.target_label = arena_str(arena, rule->target_label);
    copy.replacement = arena_str(arena, rule->replacement);
    copy.regex_text = arena_str(arena, rule->regex_text);
    copy.regex = NULL;
    return copy;
}

void scrape_trace_steps(const struct relabel_rule *rules, uint32_t rule_count,
                        enum name_scheme scheme, struct labels labels, struct arena *arena,
                        struct relabel_step_view *steps)
{
    struct label_builder builder = {0};
    struct arena scratch;
    arena_init(&scratch, MEM_SCRAPE, SIZE_MAX);
    for (uint32_t i = 0; i < rule_count; i++) {
        label_builder_reset(&builder, labels);
        bool keep = relabel_apply(rules, i + 1, scheme, &builder, &scratch, NULL);
        steps[i] = (struct relabel_step_view){
            .rule = copy_rule(&rules[i], arena),
            .output = keep ? labels_copy(arena, label_builder_labels(&builder))
                           : (struct labels){NULL, 0},
            .keep = keep,
        };
    }
    label_builder_deinit(&builder);
    arena_deinit(&scratch);
}

uint32_t scrape_trace_first_lost(const struct relabel_step_view *steps, uint32_t rule_count,
                                 struct labels labels, struct selector selector,
                                 struct labels *before)
{
    uint32_t rule = 0;
    *before = labels;
    while (rule < rule_count && steps[rule].keep &&
           matchers_match(selector.matchers, selector.count, steps[rule].output))
        *before = steps[rule++].output;
    return rule;
}
