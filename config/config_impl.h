/* config/config_impl.h: what a loaded configuration holds besides its public part. */
#pragma once

#include <stdatomic.h>

#include "narthex/config/config.h"
#include "schema_tables.h"

struct config_impl {
    struct config public; /* first: config_impl is found from it */
    atomic_uint pins;
    struct arena arena;
    struct object *root;
    /* Objects of all jobs, in the order of public.scrape_configs; those of the main file first. */
    struct object **jobs;
    struct str *job_files; /* path of the file a job came from, empty for the main one */
    uint32_t job_count;
    uint32_t job_capacity;
    /* All compiled rules, for freeing their regexes. */
    struct relabel_rule **rules;
    uint32_t rule_count;
    uint32_t rule_capacity;
    struct str *unsupported;
    uint32_t unsupported_count;
    uint32_t unsupported_capacity;
};

/* Rules of a FIELD_OBJECTS value, validated under `scheme`. */
err_t config__build_relabel(struct config_impl *config, const struct value *list,
                            enum name_scheme scheme, const struct relabel_rule **rules,
                            uint32_t *count, struct strbuf *why);
void config__build_http_client(struct config_impl *config, const struct object *object,
                               struct http_client_config *client);
/* A FIELD_MAP value; the strings are borrowed from it. */
/* The free map as a JSON object, in the arena; empty when there is none (config_claims.c). */
struct str config__claims_json(struct arena *arena, const struct yaml_node *claims);
struct name_value *config__build_name_values(struct config_impl *config, const struct value *map);
/* What the mechanism takes as its settings; NULL when this build cannot run it. */
const void *config__build_discovery_settings(struct config_impl *config, struct str mechanism,
                                             const struct object *object);
/* XXH64 of all that the object says, secrets included. */
uint64_t config__fingerprint(const struct object *object);
/* Fills the job's defaults from `global`, checks what needs both, and builds the typed form. */
err_t config__build_job(struct config_impl *config, const struct config_options *options,
                        struct object *job, struct scrape_config *out, struct strbuf *why);
void config__note_unsupported(struct config_impl *config, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* Checks the elements of scrape_protocols; `where` ends the texts. */
err_t config__check_protocols(const struct value *list, const char *where,
                              enum scrape_protocol *protocols, uint32_t *count, struct strbuf *why);
/* Folder part of a path, empty when it has none. */
struct str config__folder_of(struct str path);
