/* Loading: text -> YAML tree -> objects -> checks across sections -> struct config. */
#include "config_impl.h"

#include <assert.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>

#include "narthex/base/fs.h"
#include "narthex/base/hash.h"
#include "narthex/base/log.h"
#include "narthex/base/vec.h"

enum { CONFIG_FILE_BYTES_MAX = 64 * 1024 * 1024 };

static const struct field root_fields[] = {
    {"global", FIELD_OBJECT, &schema_global, NULL, NULL, FIELD_ALWAYS},
    {"runtime", FIELD_OBJECT, &schema_runtime, NULL, NULL, FIELD_ALWAYS},
    {"alerting", FIELD_OBJECT, &schema_alerting, NULL, NULL, 0},
    {"rule_files", FIELD_STRINGS, NULL, NULL, NULL, FIELD_PATH},
    {"scrape_config_files", FIELD_STRINGS, NULL, NULL, NULL, FIELD_PATH},
    {"scrape_configs", FIELD_OBJECTS, &schema_scrape, NULL, "empty or null scrape config section",
     0},
    {"storage", FIELD_OBJECT, &schema_storage, NULL, NULL, FIELD_ALWAYS},
    {"tracing", FIELD_OBJECT, &schema_tracing, NULL, NULL, 0},
    {"remote_write", FIELD_OBJECTS, &schema_remote_write, NULL,
     "empty or null remote write config section", 0},
    {"remote_read", FIELD_OBJECTS, &schema_remote_read, NULL,
     "empty or null remote read config section", 0},
    {"otlp", FIELD_OBJECT, &schema_otlp, NULL, NULL, FIELD_ALWAYS},
    {NULL, 0, NULL, NULL, NULL, 0},
};
static const struct schema schema_root = {"config.plain", root_fields, NULL};

static const struct field scrape_file_fields[] = {
    {"scrape_configs", FIELD_OBJECTS, &schema_scrape, NULL, "empty or null scrape config section",
     0},
    {NULL, 0, NULL, NULL, NULL, 0},
};
static const struct schema schema_scrape_file = {"config.ScrapeConfigs", scrape_file_fields, NULL};

void config__note_unsupported(struct config_impl *config, const char *format, ...)
{
    char text[512];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    struct str copy = arena_str(&config->arena, str_from_cstr(text));
    VEC_PUSH(MEM_CONFIG, config->unsupported, config->unsupported_count,
             config->unsupported_capacity, copy);
}

/* Sections that always exist, so that they print and can be read without a test. */
static void complete_sections(struct config_impl *config)
{
    static const struct {
        const char *name;
        const struct schema *schema;
    } sections[] = {
        {"global", &schema_global},
        {"runtime", &schema_runtime},
        {"storage", &schema_storage},
        {"otlp", &schema_otlp},
    };
    struct strbuf why = STRBUF_INIT;
    for (size_t i = 0; i < sizeof sections / sizeof *sections; i++) {
        struct value *value = object_get(config->root, sections[i].name);
        if (value->object != NULL)
            continue;
        struct yaml_node null_node = {.kind = YAML_SCALAR, .plain = true};
        err_t err = schema_decode(sections[i].schema, &null_node, STR(""), &config->arena,
                                  &value->object, &why);
        assert(err == OK);
        (void)err;
    }
    struct value *tsdb = object_get(object_get(config->root, "storage")->object, "tsdb");
    if (tsdb->object == NULL)
        tsdb->object = schema_default(&schema_tsdb, &config->arena);
    strbuf_deinit(&why);
}

/* No slash after the first star. */
static err_t check_patterns(const struct value *patterns, const char *what, struct strbuf *why)
{
    for (uint32_t i = 0; i < patterns->count; i++) {
        struct str pattern = patterns->strings[i];
        size_t star = str_find(pattern, '*', 0);
        if (star != SIZE_MAX && str_find(pattern, '/', star) != SIZE_MAX)
            return err_fail(why, ERR_INVALID, "invalid %s path \"%.*s\" (line %u)", what,
                            STR_ARG(pattern), patterns->line);
    }
    return OK;
}

static void expand_environment(struct config_impl *config, struct str *text)
{
    struct strbuf out = STRBUF_INIT;
    struct str s = *text;
    for (size_t i = 0; i < s.size; i++) {
        if (s.data[i] != '$' || i + 1 >= s.size) {
            strbuf_add_char(&out, s.data[i]);
            continue;
        }
        if (s.data[i + 1] == '$') {
            strbuf_add_char(&out, '$');
            i++;
            continue;
        }
        bool braced = s.data[i + 1] == '{';
        size_t start = i + 1 + braced;
        size_t end = start;
        while (end < s.size && (s.data[end] == '_' || (s.data[end] >= '0' && s.data[end] <= '9') ||
                                ((s.data[end] | 32) >= 'a' && (s.data[end] | 32) <= 'z')))
            end++;
        bool closed = !braced || (end < s.size && s.data[end] == '}');
        if (end == start || !closed) {
            strbuf_add_char(&out, '$');
            continue;
        }
        struct str name = arena_str(&config->arena, str_from(s.data + start, end - start));
        const char *value = getenv(name.data);
        if (value == NULL || value[0] == '\0')
            LOG_WARN("Empty environment variable", "name", name.data);
        else
            strbuf_add_cstr(&out, value);
        i = end - 1 + braced;
    }
    *text = arena_str(&config->arena, strbuf_str(&out));
    strbuf_deinit(&out);
}

static void build_global(struct config_impl *config)
{
    const struct object *global = object_get(config->root, "global")->object;
    struct value *labels = object_get(global, "external_labels");
    struct label_builder builder = {0};
    for (uint32_t i = 0; i < labels->count; i++) {
        expand_environment(config, &labels->named[i].items[0]);
        label_builder_set(&builder, labels->named[i].name, labels->named[i].items[0]);
    }
    config->public.external_labels = labels_copy(&config->arena, label_builder_labels(&builder));
    label_builder_deinit(&builder);
    config->public.scrape_interval_ms = object_get(global, "scrape_interval")->i;
    config->public.evaluation_interval_ms = object_get(global, "evaluation_interval")->i;
    config->public.rule_query_offset_ms = object_get(global, "rule_query_offset")->i;
    config->public.query_log_file = object_get(global, "query_log_file")->text;
}

static void build_storage(struct config_impl *config)
{
    const struct object *storage = object_get(config->root, "storage")->object;
    const struct object *tsdb = object_get(storage, "tsdb")->object;
    const struct object *exemplars = object_get(storage, "exemplars")->object;
    const struct object *retention = object_get(tsdb, "retention")->object;
    config->public.exemplars_max =
        exemplars == NULL ? 100000 : object_get(exemplars, "max_exemplars")->i;
    config->public.out_of_order_window_ms = object_get(tsdb, "outofordertimewindow")->i;
    if (retention != NULL) {
        config->public.has_retention = true;
        config->public.retention_ms = object_get(retention, "time")->i;
        config->public.retention_bytes = object_get(retention, "size")->i;
        config->public.retention_percent = object_get(retention, "percentage")->f;
    }
}

static err_t add_job(struct config_impl *config, struct object *job, struct str file,
                     struct strbuf *why)
{
    struct str name = object_get(job, "job_name")->text;
    for (uint32_t i = 0; i < config->job_count; i++) {
        if (!str_equal(object_get(config->jobs[i], "job_name")->text, name))
            continue;
        strbuf_clear(why);
        strbuf_printf(why, "found multiple scrape configs with job name \"%.*s\"", STR_ARG(name));
        if (file.size > 0 && config->job_files[i].size > 0)
            strbuf_printf(why, ", first found in \"%.*s\"", STR_ARG(config->job_files[i]));
        else if (file.size > 0)
            strbuf_add_cstr(why, ", first found in main config file");
        strbuf_printf(why, " (line %u)", job->line);
        return ERR_INVALID;
    }
    uint32_t count = config->job_count;
    uint32_t capacity = config->job_capacity;
    VEC_PUSH(MEM_CONFIG, config->jobs, config->job_count, config->job_capacity, job);
    VEC_PUSH(MEM_CONFIG, config->job_files, count, capacity, file);
    return OK;
}

struct str config__folder_of(struct str path)
{
    size_t end = path.size;
    while (end > 0 && path.data[end - 1] != '/')
        end--;
    return end <= 1 ? str_from(path.data, end) : str_from(path.data, end - 1);
}

static err_t load_scrape_file(struct config_impl *config, const char *path, struct strbuf *why)
{
    struct strbuf text = STRBUF_INIT;
    struct yaml_node *node;
    struct object *object;
    struct str name = arena_str(&config->arena, str_from_cstr(path));
    err_t err = OK;
    TRY_OUT(fs_read_file(path, CONFIG_FILE_BYTES_MAX, &text, why));
    TRY_OUT(yaml_tree_parse(strbuf_str(&text), &config->arena, &node, why));
    TRY_OUT(schema_decode(&schema_scrape_file, node, config__folder_of(name), &config->arena,
                          &object, why));
    const struct value *jobs = object_get(object, "scrape_configs");
    for (uint32_t i = 0; i < jobs->count; i++)
        TRY_OUT(add_job(config, jobs->objects[i], name, why));
out:
    if (err != OK) {
        struct strbuf inner = *why;
        *why = (struct strbuf)STRBUF_INIT;
        strbuf_printf(why, "\"%s\": %s", path, strbuf_cstr(&inner));
        strbuf_deinit(&inner);
    }
    strbuf_deinit(&text);
    return err;
}

static err_t collect_jobs(struct config_impl *config, struct strbuf *why)
{
    const struct value *jobs = object_get(config->root, "scrape_configs");
    for (uint32_t i = 0; i < jobs->count; i++)
        TRY(add_job(config, jobs->objects[i], STR(""), why));
    const struct value *patterns = object_get(config->root, "scrape_config_files");
    for (uint32_t i = 0; i < patterns->count; i++) {
        struct str pattern = arena_str(&config->arena, patterns->strings[i]);
        glob_t found;
        if (glob(pattern.data, 0, NULL, &found) != 0)
            continue;
        err_t err = OK;
        for (size_t f = 0; f < found.gl_pathc && err == OK; f++)
            err = load_scrape_file(config, found.gl_pathv[f], why);
        globfree(&found);
        TRY(err);
    }
    return OK;
}

static err_t build_jobs(struct config_impl *config, const struct config_options *options,
                        struct strbuf *why)
{
    struct scrape_config *jobs =
        ARENA_NEW_ARRAY(&config->arena, struct scrape_config, config->job_count);
    for (uint32_t i = 0; i < config->job_count; i++) {
        err_t err = config__build_job(config, options, config->jobs[i], &jobs[i], why);
        if (err != OK) {
            if (strstr(strbuf_cstr(why), "(line ") == NULL)
                strbuf_printf(why, " (line %u)", config->jobs[i]->line);
            return err;
        }
    }
    config->public.scrape_configs = jobs;
    config->public.scrape_config_count = config->job_count;
    return OK;
}

static err_t check_alerting(struct config_impl *config, enum name_scheme scheme, struct strbuf *why)
{
    const struct value *alerting = object_get(config->root, "alerting");
    if (alerting->object == NULL)
        return OK;
    const struct value *managers = object_get(alerting->object, "alertmanagers");
    const struct value *rules = object_get(alerting->object, "alert_relabel_configs");
    TRY(config__build_relabel(config, rules, scheme, NULL, NULL, why));
    for (uint32_t i = 0; i < managers->count; i++) {
        struct object *manager = managers->objects[i];
        TRY(config__build_relabel(config, object_get(manager, "relabel_configs"), scheme, NULL,
                                  NULL, why));
        TRY(config__build_relabel(config, object_get(manager, "alert_relabel_configs"), scheme,
                                  NULL, NULL, why));
    }
    if (managers->count > 0 || rules->count > 0)
        config__note_unsupported(config, "alerting (line %u)", alerting->line);
    return OK;
}

/* Names are unique; absent ones are made of the settings and cannot clash. */
static err_t check_remotes(struct config_impl *config, const char *section, const char *what,
                           enum name_scheme scheme, struct strbuf *why)
{
    const struct value *list = object_get(config->root, section);
    for (uint32_t i = 0; i < list->count; i++) {
        struct str name = object_get(list->objects[i], "name")->text;
        for (uint32_t j = 0; j < i && name.size > 0; j++) {
            if (str_equal(object_get(list->objects[j], "name")->text, name))
                return err_fail(why, ERR_INVALID,
                                "found multiple remote %s configs with job name \"%.*s\" (line "
                                "%u)",
                                what, STR_ARG(name), list->objects[i]->line);
        }
        const struct value *rules = object_find(list->objects[i], "write_relabel_configs");
        if (rules != NULL)
            TRY(config__build_relabel(config, rules, scheme, NULL, NULL, why));
    }
    if (list->count > 0)
        config__note_unsupported(config, "%s (line %u)", section, list->line);
    return OK;
}

static err_t check_otlp_names(struct config_impl *config, enum name_scheme scheme,
                              struct strbuf *why)
{
    const struct object *otlp = object_get(config->root, "otlp")->object;
    struct str strategy = object_get(otlp, "translation_strategy")->text;
    bool keeps_utf8 = str_equal(strategy, STR("NoUTF8EscapingWithSuffixes")) ||
                      str_equal(strategy, STR("NoTranslation"));
    if (scheme == NAME_SCHEME_LEGACY && keeps_utf8)
        return err_fail(why, ERR_INVALID,
                        "OTLP translation strategy \"%.*s\" is not allowed when UTF8 is disabled "
                        "(line %u)",
                        STR_ARG(strategy), otlp->line);
    return OK;
}

static err_t check_agent(struct config_impl *config, struct strbuf *why)
{
    static const char *const forbidden[] = {"alerting", "rule_files", "remote_read"};
    for (size_t i = 0; i < sizeof forbidden / sizeof *forbidden; i++) {
        const struct value *value = object_get(config->root, forbidden[i]);
        if (value->object != NULL || value->count > 0)
            return err_fail(why, ERR_INVALID, "field %s is not allowed in agent mode (line %u)",
                            forbidden[i], value->line);
    }
    return OK;
}

static err_t build_all(struct config_impl *config, const struct config_options *options,
                       struct strbuf *why)
{
    complete_sections(config);
    if (options->agent)
        TRY(check_agent(config, why));
    TRY(check_patterns(object_get(config->root, "rule_files"), "rule file", why));
    TRY(check_patterns(object_get(config->root, "scrape_config_files"), "scrape config file", why));
    const struct object *global = object_get(config->root, "global")->object;
    struct str scheme_text = object_get(global, "metric_name_validation_scheme")->text;
    enum name_scheme scheme =
        str_equal(scheme_text, STR("legacy")) ? NAME_SCHEME_LEGACY : NAME_SCHEME_UTF8;
    enum scrape_protocol ignored[SCRAPE_PROTOCOL_COUNT_MAX];
    uint32_t ignored_count;
    TRY(config__check_protocols(object_get(global, "scrape_protocols"), "global config", ignored,
                                &ignored_count, why));
    build_global(config);
    build_storage(config);
    TRY(collect_jobs(config, why));
    TRY(build_jobs(config, options, why));
    TRY(check_alerting(config, scheme, why));
    TRY(check_remotes(config, "remote_write", "write", scheme, why));
    TRY(check_remotes(config, "remote_read", "read", scheme, why));
    TRY(check_otlp_names(config, scheme, why));
    const struct value *rule_files = object_get(config->root, "rule_files");
    config->public.rule_files = rule_files->strings;
    config->public.rule_file_count = rule_files->count;
    if (rule_files->count > 0)
        config__note_unsupported(config, "rule_files (line %u)", rule_files->line);
    const struct value *tracing = object_get(config->root, "tracing");
    if (tracing->object != NULL)
        config__note_unsupported(config, "tracing (line %u)", tracing->line);
    return OK;
}

err_t config_load_text(struct str text, const char *name, struct str folder,
                       const struct config_options *options, struct config **config,
                       struct strbuf *why)
{
    struct config_impl *impl = MEM_NEW(MEM_CONFIG, struct config_impl);
    arena_init(&impl->arena, MEM_CONFIG, SIZE_MAX);
    atomic_init(&impl->pins, 1);
    struct yaml_node *node;
    struct str folder_copy = arena_str(&impl->arena, folder);
    err_t err = OK;
    TRY_OUT(yaml_tree_parse(text, &impl->arena, &node, why));
    TRY_OUT(schema_decode(&schema_root, node, folder_copy, &impl->arena, &impl->root, why));
    TRY_OUT(build_all(impl, options, why));
    impl->public.unsupported = impl->unsupported;
    impl->public.unsupported_count = impl->unsupported_count;
    *config = &impl->public;
    return OK;
out:
    config_unpin(&impl->public);
    struct strbuf inner = *why;
    *why = (struct strbuf)STRBUF_INIT;
    strbuf_printf(why, "parsing YAML file %s: %s", name, strbuf_cstr(&inner));
    strbuf_deinit(&inner);
    return err;
}

err_t config_load(const char *path, const struct config_options *options, struct config **config,
                  struct strbuf *why)
{
    struct strbuf text = STRBUF_INIT;
    err_t err = fs_read_file(path, CONFIG_FILE_BYTES_MAX, &text, why);
    if (err == OK)
        err = config_load_text(strbuf_str(&text), path, config__folder_of(str_from_cstr(path)),
                               options, config, why);
    strbuf_deinit(&text);
    return err;
}

struct config *config_pin(struct config *config)
{
    atomic_fetch_add_explicit(&((struct config_impl *)config)->pins, 1, memory_order_relaxed);
    return config;
}

void config_unpin(struct config *config)
{
    struct config_impl *impl = (struct config_impl *)config;
    /* acq_rel: the last one out must see what all others did with the configuration. */
    if (impl == NULL || atomic_fetch_sub_explicit(&impl->pins, 1, memory_order_acq_rel) != 1)
        return;
    for (uint32_t i = 0; i < impl->rule_count; i++)
        relabel_rule_deinit(impl->rules[i]);
    mem_free(MEM_CONFIG, impl->rules);
    mem_free(MEM_CONFIG, impl->jobs);
    mem_free(MEM_CONFIG, impl->job_files);
    mem_free(MEM_CONFIG, impl->unsupported);
    arena_deinit(&impl->arena);
    mem_free(MEM_CONFIG, impl);
}

void config_print(const struct config *config, struct strbuf *out)
{
    schema_print(((const struct config_impl *)config)->root, 0, out);
}

bool config_print_job(const struct config *config, struct str job_name, struct strbuf *out)
{
    const struct config_impl *impl = (const struct config_impl *)config;
    for (uint32_t i = 0; i < impl->job_count; i++) {
        if (str_equal(object_get(impl->jobs[i], "job_name")->text, job_name)) {
            schema_print(impl->jobs[i], 0, out);
            return true;
        }
    }
    return false;
}

static uint64_t checksum_file(uint64_t sum, const char *path)
{
    struct strbuf text = STRBUF_INIT;
    struct strbuf why = STRBUF_INIT;
    sum = hash_mix(sum, hash_xxh64(path, strlen(path)));
    if (fs_read_file(path, CONFIG_FILE_BYTES_MAX, &text, &why) == OK && text.size > 0)
        sum = hash_mix(sum, hash_xxh64(text.data, text.size));
    strbuf_deinit(&text);
    strbuf_deinit(&why);
    return sum;
}

static uint64_t checksum_patterns(uint64_t sum, const struct value *patterns)
{
    for (uint32_t i = 0; i < patterns->count; i++) {
        char pattern[4096];
        glob_t found;
        snprintf(pattern, sizeof pattern, "%.*s", STR_ARG(patterns->strings[i]));
        if (glob(pattern, 0, NULL, &found) != 0)
            continue;
        for (size_t f = 0; f < found.gl_pathc; f++)
            sum = checksum_file(sum, found.gl_pathv[f]);
        globfree(&found);
    }
    return sum;
}

uint64_t config_files_checksum(const char *path)
{
    struct config_options options = {0};
    struct config *config;
    struct strbuf why = STRBUF_INIT;
    uint64_t sum = checksum_file(0, path);
    if (config_load(path, &options, &config, &why) == OK) {
        const struct object *root = ((struct config_impl *)config)->root;
        sum = checksum_patterns(sum, object_get(root, "rule_files"));
        sum = checksum_patterns(sum, object_get(root, "scrape_config_files"));
        config_unpin(config);
    }
    strbuf_deinit(&why);
    return sum;
}
