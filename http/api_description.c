#include "api_description.h"

#define PARAM static const struct api_parameter
#define LIST(...) ((const struct api_parameter *const[]){__VA_ARGS__, NULL})

#define JSON "application/json"
#define TEXT "text/plain"
#define HTML "text/html"

PARAM query = {"query", "string", "PromQL expression", API_REQUIRED};
PARAM when = {"time", "string", "Evaluation time: Unix seconds or RFC 3339; now if absent", 0};
PARAM start = {"start", "string", "Begin: Unix seconds or RFC 3339", 0};
PARAM end = {"end", "string", "End: Unix seconds or RFC 3339", 0};
PARAM range_start = {"start", "string", "Time of the first step", API_REQUIRED};
PARAM range_end = {"end", "string", "Time of the last step", API_REQUIRED};
PARAM step = {"step", "string", "Seconds or duration between steps", API_REQUIRED};
PARAM timeout = {"timeout", "string", "Seconds or duration; shortens --query.timeout", 0};
PARAM limit = {"limit", "integer", "Most entries to answer with; 0 is no limit", 0};
PARAM lookback = {"lookback_delta", "string", "Replaces --query.lookback-delta for this query", 0};
PARAM stats = {"stats", "string", "\"true\" adds statistics, \"all\" those of every step too", 0};
PARAM match = {"match[]", "string", "Series selector", API_REPEATED};
PARAM some_match = {"match[]", "string", "Series selector", API_REQUIRED | API_REPEATED};
PARAM metric = {"metric", "string", "Name of one metric family", 0};
PARAM limit_per_metric = {"limit_per_metric", "integer", "Most entries of one family", 0};
PARAM match_target = {"match_target", "string", "Selector on the labels of targets", 0};
PARAM pool = {"scrapePool", "string", "One scrape pool", API_URL_ONLY};
PARAM some_pool = {"scrapePool", "string", "The pool", API_REQUIRED | API_URL_ONLY};
PARAM steps_labels = {"labels", "string", "JSON object of labels", API_REQUIRED};
PARAM steps_pool = {"scrapePool", "string", "The pool", API_REQUIRED};
PARAM why_target = {"target", "string", "Scrape URL, or the value of any label of a target", 0};
PARAM why_match = {"match[]", "string", "Series selector", 0};
PARAM why_pool = {"scrapePool", "string", "Only this pool", 0};
PARAM state = {"state", "string", "active, dropped or any", API_URL_ONLY};
PARAM rule_type = {"type", "string", "alert or record", API_URL_ONLY};
PARAM rule_name = {"rule_name[]", "string", "Name of a rule", API_REPEATED};
PARAM rule_group = {"rule_group[]", "string", "Name of a group", API_REPEATED};
PARAM rule_file = {"file[]", "string", "Path of a rule file", API_REPEATED};
PARAM exclude_alerts = {"exclude_alerts", "boolean", "Leave alerts out", API_URL_ONLY};
PARAM group_limit = {"group_limit", "integer", "Groups per page", API_URL_ONLY};
PARAM group_token = {"group_next_token", "string", "Next page", API_URL_ONLY};
PARAM cardinality = {"limit", "integer", "Entries per list, 1 to 10000", 0};
PARAM pattern = {"metric_name_pattern", "string", "Anchored regular expression on names", 0};
PARAM version = {"openapi_version", "string", "3.1 or 3.2", 0};
PARAM skip_head = {"skip_head", "boolean", "Leave out what is not in blocks yet", 0};
PARAM import_path = {"path", "string", "A file below the data folder instead of a body", 0};
PARAM family = {"name[]", "string", "Only these families", API_REPEATED};
PARAM query_id = {"id", "integer", "Number of a running query", API_REQUIRED};
PARAM search_terms = {"search[]", "string", "Part of what is sought; any of them", API_REPEATED};
PARAM fuzz_alg = {"fuzz_alg", "string", "subsequence or jarowinkler", 0};
PARAM fuzz_threshold = {"fuzz_threshold", "integer", "Least similarity, 0 to 100", 0};
PARAM case_sensitive = {"case_sensitive", "boolean", "Whether case matters; true if absent", 0};
PARAM include_score = {"include_score", "boolean", "Add the similarity", 0};
PARAM include_metadata = {"include_metadata", "boolean", "Add type, help and unit", 0};
PARAM sort_by = {"sort_by", "string", "alpha or score", 0};
PARAM sort_dir = {"sort_dir", "string", "asc or dsc", 0};
PARAM batch_size = {"batch_size", "integer", "Entries per line of the answer", 0};
PARAM label = {"label", "string", "Name of the label", API_REQUIRED};

#define SEARCH                                                                                     \
    &search_terms, &match, &start, &end, &fuzz_alg, &fuzz_threshold, &case_sensitive,              \
        &include_score, &sort_by, &sort_dir, &limit, &batch_size
#define NDJSON "application/x-ndjson"

#define PAGE(path)                                                                                 \
    {                                                                                              \
        path, "pages", "Page of the server", NULL, HTML, NULL                                      \
    }

const struct api_description api_descriptions[] = {
    {"/", "pages", "Leads to /query", NULL, HTML, NULL},
    {"/graph", "pages", "Leads to /query", NULL, HTML, NULL},
    PAGE("/query"),
    PAGE("/alerts"),
    PAGE("/rules"),
    PAGE("/targets"),
    PAGE("/service-discovery"),
    PAGE("/alertmanager-discovery"),
    PAGE("/config"),
    PAGE("/flags"),
    PAGE("/status"),
    PAGE("/tsdb-status"),
    {"/-/healthy", "management", "Answers while the process lives", NULL, TEXT, NULL},
    {"/-/ready", "management", "Answers 200 when queries can be asked", NULL, TEXT, NULL},
    {"/-/reload", "management", "Loads the configuration again", NULL, TEXT, NULL},
    {"/-/quit", "management", "Ends the server", NULL, TEXT, NULL},
    {"/metrics", "metrics", "Metrics of this server", LIST(&family), TEXT, NULL},
    {"/metrics/host", "metrics", "Metrics of this host", NULL, TEXT, NULL},
    {"/version", "status", "Versions as bare JSON", NULL, TEXT, NULL},
    {"/federate", "metrics", "Newest samples of the selected series", LIST(&match), TEXT, NULL},

    {"/api/v1/query", "query", "Evaluates an expression at one time",
     LIST(&query, &when, &timeout, &limit, &lookback, &stats), JSON, NULL},
    {"/api/v1/query_range", "query", "Evaluates an expression at every step of a range",
     LIST(&query, &range_start, &range_end, &step, &timeout, &limit, &lookback, &stats), JSON,
     NULL},
    {"/api/v1/query_exemplars", "query", "Exemplars of the series in an expression",
     LIST(&query, &start, &end), JSON, NULL},
    {"/api/v1/format_query", "query", "Prints an expression prettily", LIST(&query), JSON, NULL},
    {"/api/v1/parse_query", "query", "Syntax tree of an expression", LIST(&query), JSON, NULL},
    {"/api/v1/labels", "labels", "Names of labels", LIST(&match, &start, &end, &limit), JSON, NULL},
    {"/api/v1/label/:name/values", "labels", "Values of one label",
     LIST(&match, &start, &end, &limit), JSON, NULL},
    {"/api/v1/series", "labels", "Label sets of series", LIST(&some_match, &start, &end, &limit),
     JSON, NULL},
    {"/api/v1/search/metric_names", "search", "Names of metrics by parts of them",
     LIST(SEARCH, &include_metadata), NDJSON, NULL},
    {"/api/v1/search/label_names", "search", "Names of labels by parts of them", LIST(SEARCH),
     NDJSON, NULL},
    {"/api/v1/search/label_values", "search", "Values of a label by parts of them",
     LIST(&label, SEARCH), NDJSON, NULL},
    {"/api/v1/targets", "targets", "Targets and what discovery dropped", LIST(&state, &pool), JSON,
     NULL},
    {"/api/v1/targets/metadata", "targets", "Metadata by target",
     LIST(&match_target, &metric, &limit), JSON, NULL},
    {"/api/v1/targets/relabel_steps", "targets", "What each relabel rule makes of labels",
     LIST(&steps_pool, &steps_labels), JSON, NULL},
    {"/api/v1/why", "targets", "At which stage a target or a series was lost",
     LIST(&why_target, &why_match, &why_pool), JSON, NULL},
    {"/api/v1/scrape_pools", "targets", "Names of scrape pools", NULL, JSON, NULL},
    {"/api/v1/scrape_pools/config", "targets", "Configuration of one pool", LIST(&some_pool), JSON,
     NULL},
    {"/api/v1/metadata", "targets", "Metadata by metric", LIST(&metric, &limit, &limit_per_metric),
     JSON, NULL},
    {"/api/v1/rules", "rules", "Rules by group",
     LIST(&rule_type, &rule_name, &rule_group, &rule_file, &match, &exclude_alerts, &group_limit,
          &group_token),
     JSON, NULL},
    {"/api/v1/alerts", "rules", "Alerts", NULL, JSON, NULL},
    {"/api/v1/alertmanagers", "rules", "Alertmanagers", NULL, JSON, NULL},
    {"/api/v1/status/config", "status", "Configuration as YAML", NULL, JSON, NULL},
    {"/api/v1/status/flags", "status", "Flags", NULL, JSON, NULL},
    {"/api/v1/status/runtimeinfo", "status", "State of the process", NULL, JSON, NULL},
    {"/api/v1/status/buildinfo", "status", "Versions", NULL, JSON, NULL},
    {"/api/v1/status/self_metrics", "status", "Metrics of this server as JSON", LIST(&pattern),
     JSON, NULL},
    {"/api/v1/status/walreplay", "status", "How far the log is read", NULL, JSON, NULL},
    {"/api/v1/status/active_queries", "status", "Queries that run or wait", NULL, JSON, NULL},
    {"/api/v1/status/tsdb", "status", "Cardinality of the head", LIST(&cardinality), JSON, NULL},
    {"/api/v1/status/tsdb/blocks", "status", "Blocks", NULL, JSON, NULL},
    {"/api/v1/features", "status", "What this server can do", NULL, JSON, NULL},
    {"/api/v1/notifications", "status", "What the operator should know now", NULL, JSON, NULL},
    {"/api/v1/notifications/live", "status", "The same as server-sent events", NULL,
     "text/event-stream", NULL},
    {"/api/v1/openapi.json", "status", "This document", LIST(&version), JSON, NULL},
    {"/api/v1/openapi.yaml", "status", "This document", LIST(&version), "application/yaml", NULL},
    {"/api/v1/admin/tsdb/delete_series", "admin", "Deletes samples",
     LIST(&some_match, &start, &end), NULL, NULL},
    {"/api/v1/admin/tsdb/clean_tombstones", "admin", "Frees the room of deleted samples", NULL,
     NULL, NULL},
    {"/api/v1/admin/tsdb/snapshot", "admin", "Copies all blocks aside", LIST(&skip_head), JSON,
     NULL},
    {"/api/v1/admin/tsdb/import", "admin", "Makes blocks of an OpenMetrics text",
     LIST(&import_path), JSON, "application/openmetrics-text"},
    {"/api/v1/admin/kill_query", "admin", "Ends a running query", LIST(&query_id), NULL, NULL},
};
const size_t api_description_count = sizeof api_descriptions / sizeof *api_descriptions;
