/* narthexctl check service-discovery: the targets that a job finds, before and after relabeling. */
#include <jansson.h>
#include <stdio.h>

#include "ctl.h"
#include "narthex/config/config.h"
#include "narthex/scraper/discovery_probe.h"

static json_t *labels_json(struct labels labels)
{
    json_t *object = json_object();
    for (uint32_t i = 0; i < labels.count; i++) {
        json_t *value =
            json_stringn_nocheck(labels.items[i].value.data, labels.items[i].value.size);
        json_object_setn_new_nocheck(object, labels.items[i].name.data, labels.items[i].name.size,
                                     value);
    }
    return object;
}

static void print_targets(const struct discovery_probe *probe)
{
    json_t *list = json_array();
    for (size_t i = 0; i < probe->count; i++) {
        const struct discovery_probe_target *target = &probe->items[i];
        json_t *item = json_object();
        json_object_set_new(item, "discoveredLabels", labels_json(target->discovered_labels));
        json_object_set_new(item, "labels", labels_json(target->labels));
        if (target->error.size > 0)
            json_object_set_new(item, "error",
                                json_stringn_nocheck(target->error.data, target->error.size));
        json_array_append_new(list, item);
    }
    json_dumpf(list, stdout, JSON_INDENT(2));
    json_decref(list);
}

static int probe_job(const struct scrape_config *job, int64_t timeout_ms)
{
    struct arena arena;
    struct discovery_probe probe;
    struct strbuf why = STRBUF_INIT;
    int status = CTL_OK;
    arena_init(&arena, MEM_DISCOVERY, SIZE_MAX);
    for (uint32_t i = 0; i < job->discovery_count; i++) {
        if (!job->discovery[i].supported)
            fprintf(stderr, "not run by this version: %.*s_sd_configs\n",
                    STR_ARG(job->discovery[i].mechanism));
    }
    if (discovery_probe_job(job, timeout_ms, &arena, &probe, &why) == OK)
        print_targets(&probe);
    else
        status = ctl_fail(&why);
    strbuf_deinit(&why);
    arena_deinit(&arena);
    return status;
}

int ctl_check_service_discovery(const struct ctl_arguments *arguments)
{
    const char *name = arguments->rest[1];
    struct config_options options = {0};
    struct config *config;
    struct strbuf why = STRBUF_INIT;
    const struct scrape_config *job = NULL;
    int status = CTL_FAILED;
    if (config_load(arguments->rest[0], &options, &config, &why) != OK) {
        fprintf(stderr, "Cannot load config %s\n", strbuf_cstr(&why));
        strbuf_deinit(&why);
        return CTL_FAILED;
    }
    for (uint32_t i = 0; i < config->scrape_config_count && job == NULL; i++) {
        if (str_equal_cstr(config->scrape_configs[i].job_name, name))
            job = &config->scrape_configs[i];
    }
    if (job != NULL) {
        status = probe_job(job, ctl_option_ms(arguments, "timeout", "30s"));
    } else {
        fprintf(stderr, "Job %s not found. Select one of:\n", name);
        for (uint32_t i = 0; i < config->scrape_config_count; i++)
            fprintf(stderr, "\t%.*s\n", STR_ARG(config->scrape_configs[i].job_name));
    }
    config_unpin(config);
    strbuf_deinit(&why);
    return status;
}
