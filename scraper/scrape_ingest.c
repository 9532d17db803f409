#include "scrape_ingest.h"

#include <string.h>

#include "narthex/base/mem.h"
#include "narthex/base/vec.h"

void scrape_ingest_init(struct scrape_ingest *ingest)
{
    memset(ingest, 0, sizeof *ingest);
    ingest->exposition = exposition_create();
    scrape_rewrite_init(&ingest->rewrite);
    nhcb_init(&ingest->nhcb);
    arena_init(&ingest->arena, MEM_SCRAPE, SIZE_MAX);
    arena_init(&ingest->batch.arena, MEM_SCRAPE, SIZE_MAX);
    arena_alloc(&ingest->arena, 1); /* the first chunk stays when the arena goes back to the mark */
    ingest->arena_start = arena_mark(&ingest->arena);
}

void scrape_ingest_deinit(struct scrape_ingest *ingest)
{
    exposition_destroy(ingest->exposition);
    scrape_rewrite_deinit(&ingest->rewrite);
    nhcb_deinit(&ingest->nhcb);
    label_builder_deinit(&ingest->builder);
    arena_deinit(&ingest->arena);
    arena_deinit(&ingest->batch.arena);
    mem_free(MEM_SCRAPE, ingest->lost);
    mem_free(MEM_SCRAPE, ingest->exemplars.items);
    strbuf_deinit(&ingest->failed_text);
}

static uint64_t key_hash(const struct scrape_ingest *ingest, struct str key)
{
    return scrape_key_hash(key.data, key.size, ingest->seed);
}

struct cache_line *ingest__candidate(const struct scrape_ingest *ingest)
{
    const struct scrape_cache *cache = ingest->task->cache;
    if (ingest->cursor >= cache->count)
        return NULL;
    struct cache_line *line = &cache->lines[ingest->cursor];
    /* While rewriting, the table decides which of two equal keys was first. */
    if (ingest->rewrite.active && (line->flags & (CACHE_LINE_TAKEN | CACHE_LINE_DUPLICATE)) != 0)
        return NULL;
    return line;
}

static bool line_has_type(const struct cache_line *line, enum metadata_type type)
{
    return ((line->flags & CACHE_LINE_NORMALISED) != 0) == ingest__is_normalised(type);
}

struct cache_line *ingest__keep_line(struct scrape_ingest *ingest, struct cache_line *line)
{
    ingest->cursor++;
    if (!ingest->rewrite.active)
        return line;
    line->flags |= CACHE_LINE_TAKEN;
    return scrape_rewrite_push(&ingest->rewrite, ingest->task->cache, line, false);
}

static uint32_t line_index(const struct scrape_ingest *ingest, const struct cache_line *line)
{
    const struct cache_line *first =
        ingest->rewrite.active ? ingest->rewrite.lines : ingest->task->cache->lines;
    return (uint32_t)(line - first);
}

/* The counter began at 0 then. What comes too late for its series is left out silently. */
static err_t push_zero(struct scrape_ingest *ingest, const struct exposition_entry *entry,
                       series_ref ref, struct strbuf *why)
{
    struct histogram empty = {0};
    if (entry->histogram != NULL) {
        empty = *entry->histogram;
        empty.zero_count = (union histogram_count){0};
        empty.count = (union histogram_count){0};
        empty.sum = 0;
        empty.positive = (struct histogram_side){0};
        empty.negative = (struct histogram_side){0};
    }
    struct ingest_row row = {
        .ref = ref,
        .t_ms = entry->start_ms,
        .histogram = entry->histogram == NULL ? NULL : &empty,
        .line = INGEST_NO_LINE,
        .in_order_only = true,
    };
    return ingest__batch_push(ingest, &row, why);
}

/* Whether the series of the line has a sample at or after the start, as far as the cache knows:
 * the zero would be too late. */
static bool is_known_start(const struct scrape_ingest *ingest, const struct cache_line *line,
                           int64_t start_ms)
{
    const struct ingest_task *task = ingest->task;
    return line->seen != 0 && line->seen == task->scrape_prev && start_ms <= task->cache->t_ms;
}

static void set_type(struct cache_line *line, enum metadata_type type)
{
    line->flags &= (uint8_t)~CACHE_LINE_NORMALISED;
    if (ingest__is_normalised(type))
        line->flags |= CACHE_LINE_NORMALISED;
}

static err_t push_sample(struct scrape_ingest *ingest, struct cache_line *line,
                         const struct exposition_entry *entry, bool timed, struct strbuf *why)
{
    const struct ingest_task *task = ingest->task;
    const struct histogram *histogram = entry->histogram;
    if (histogram != NULL && (histogram = ingest__limit_histogram(ingest, histogram)) == NULL) {
        ingest->result->bucket_limit_hit = true;
        return OK;
    }
    int64_t t_ms = timed ? entry->timestamp_ms : task->t_ms;
    bool starts = entry->start_ms > 0 && entry->start_ms < t_ms;
    if (!timed || ingest->track_times)
        line->seen = task->scrape;
    else
        ingest->seen_all = false;
    struct ingest_row row = {
        .ref = line->ref,
        .t_ms = t_ms,
        .value = entry->value,
        .histogram = histogram,
        .start_ms = starts && task->options->start_timestamps ? entry->start_ms : 0,
        .line = line_index(ingest, line),
    };
    TRY(ingest__batch_push(ingest, &row, why));
    ingest->result->pushed++;
    if (entry->has_exemplar && task->options->exemplar_storage)
        ingest__add_exemplars(ingest, entry, line->ref, t_ms);
    return OK;
}

/* The value of the line's sample goes to the batch. */
static err_t append(struct scrape_ingest *ingest, struct cache_line *line,
                    const struct exposition_entry *entry, struct strbuf *why)
{
    const struct ingest_task *task = ingest->task;
    const struct scrape_config *config = task->target->job->config;
    struct ingest_result *result = ingest->result;
    result->scraped++;
    if (line->kind == CACHE_LINE_DROPPED)
        return OK;
    result->kept++;
    bool timed = entry->has_timestamp && config->honor_timestamps;
    if ((line->flags & CACHE_LINE_DUPLICATE) != 0 && !timed) {
        result->duplicates++;
        return OK;
    }
    if (config->sample_limit > 0 && result->pushed >= config->sample_limit)
        result->sample_limit_hit = true;
    if (result->sample_limit_hit)
        return OK;
    int64_t t_ms = timed ? entry->timestamp_ms : task->t_ms;
    if (task->options->start_synthesis && entry->start_ms == 0) {
        struct exposition_entry made = *entry;
        if (ingest__synthesize_start(ingest, line, &made, t_ms))
            return push_sample(ingest, line, &made, timed, why);
        ingest->seen_all = false;
        return OK;
    }
    bool starts = entry->start_ms > 0 && entry->start_ms < t_ms;
    if (starts && task->options->created_timestamp_zero &&
        (timed || !is_known_start(ingest, line, entry->start_ms)))
        TRY(push_zero(ingest, entry, line->ref, why));
    return push_sample(ingest, line, entry, timed, why);
}

static void remember_value(struct cache_line *line, const struct exposition_entry *entry)
{
    line->value = entry->value;
    line->text_size = 0;
    if (entry->value_text.size > 0 && entry->value_text.size <= CACHE_TEXT_BYTES) {
        memcpy(line->text, entry->value_text.data, entry->value_text.size);
        line->text_size = (uint8_t)entry->value_text.size;
    }
}

/* The line now means another series: the one it meant ends here. */
static void lose_series(struct scrape_ingest *ingest, const struct cache_line *line,
                        series_ref before)
{
    if (line->seen == ingest->task->scrape_prev)
        VEC_PUSH(MEM_SCRAPE, ingest->lost, ingest->lost_count, ingest->lost_capacity, before);
}

/* The storage takes no new series. A new line is not kept, and comes again with the next scrape. */
static void refuse_series(struct scrape_ingest *ingest, struct cache_line *line)
{
    ingest->result->series_refused++;
    if (line->ref == 0)
        return;
    lose_series(ingest, line, line->ref);
    line->kind = CACHE_LINE_DROPPED;
    line->ref = 0;
    ingest->result->lost_lines = true;
}

/* The storage gives the line's series; the sample limit is judged first, so that a target over its
 * limit creates no series. */
static err_t resolve_series(struct scrape_ingest *ingest, const struct exposition_entry *entry,
                            struct cache_line *line, struct strbuf *why)
{
    struct labels labels;
    switch (ingest__build_labels(ingest, entry, &labels, why)) {
    case LABELS_REFUSED:
        ingest->result->scraped++;
        return ERR_INVALID;
    case LABELS_DROPPED:
        if (line->ref != 0)
            lose_series(ingest, line, line->ref);
        line->kind = CACHE_LINE_DROPPED;
        line->ref = 0;
        return OK;
    case LABELS_KEPT:
        break;
    }
    line->kind = CACHE_LINE_SERIES;
    const struct scrape_config *config = ingest->task->target->job->config;
    if (config->sample_limit > 0 && ingest->result->pushed >= config->sample_limit) {
        ingest->result->sample_limit_hit = true;
        return OK;
    }
    series_ref before = line->ref;
    bool created;
    err_t err = appender_series(ingest->task->appender, labels, &line->ref, &created, why);
    if (err == ERR_NO_SPACE) {
        refuse_series(ingest, line);
        return OK;
    }
    if (err != OK)
        return err;
    if (before != 0 && before != line->ref)
        lose_series(ingest, line, before);
    return OK;
}

/* A sample whose key was not met in this scrape or the last one. */
static err_t add_new_line(struct scrape_ingest *ingest, const struct exposition_entry *entry,
                          uint64_t hash, struct strbuf *why)
{
    struct cache_line line = {.key_hash = hash, .key_size = (uint32_t)entry->key.size};
    if (entry->kind == EXPOSITION_HISTOGRAM)
        line.flags |= CACHE_LINE_HISTOGRAM;
    set_type(&line, entry->type);
    TRY(resolve_series(ingest, entry, &line, why));
    if (line.kind == CACHE_LINE_SERIES && line.ref == 0) {
        ingest->result->scraped++; /* over a limit: counted only */
        ingest->result->kept++;
        return OK;
    }
    ingest->result->series_added += line.kind == CACHE_LINE_SERIES;
    remember_value(&line, entry);
    struct cache_line *kept =
        scrape_rewrite_push(&ingest->rewrite, ingest->task->cache, &line, true);
    return append(ingest, kept, entry, why);
}

static err_t add_repeated_line(struct scrape_ingest *ingest, const struct exposition_entry *entry,
                               const struct cache_line *first, struct strbuf *why)
{
    struct cache_line line = *first;
    line.flags |= CACHE_LINE_DUPLICATE;
    line.seen = 0;
    remember_value(&line, entry);
    struct cache_line *kept =
        scrape_rewrite_push(&ingest->rewrite, ingest->task->cache, &line, false);
    return append(ingest, kept, entry, why);
}

/* A sample that is not where it was, or not known at all. */
static err_t add_displaced(struct scrape_ingest *ingest, const struct exposition_entry *entry,
                           uint64_t hash, struct strbuf *why)
{
    struct scrape_cache *cache = ingest->task->cache;
    if (!ingest->rewrite.active)
        scrape_rewrite_begin(&ingest->rewrite, cache, ingest->cursor);
    bool is_new = false;
    struct cache_line *found = scrape_rewrite_find(&ingest->rewrite, cache, ingest->cursor, hash,
                                                   (uint32_t)entry->key.size, &is_new);
    if (found == NULL)
        return add_new_line(ingest, entry, hash, why);
    if (is_new || (found->flags & CACHE_LINE_TAKEN) != 0)
        return add_repeated_line(ingest, entry, found, why);
    ingest->cursor = (uint32_t)(found - cache->lines);
    struct cache_line *line = ingest__keep_line(ingest, found);
    if (ingest->task->refresh || !line_has_type(line, entry->type)) {
        set_type(line, entry->type);
        TRY(resolve_series(ingest, entry, line, why));
        found->ref = line->ref; /* what a repetition of the key copies */
        found->kind = line->kind;
    }
    remember_value(line, entry);
    return append(ingest, line, entry, why);
}

err_t ingest__take_sample(struct scrape_ingest *ingest, const struct exposition_entry *entry,
                          struct strbuf *why)
{
    uint64_t hash = key_hash(ingest, entry->key);
    struct cache_line *line = ingest__candidate(ingest);
    bool in_place = line != NULL && !ingest->task->refresh && line->kind != CACHE_LINE_COMMENT &&
                    line->key_hash == hash && line->key_size == entry->key.size &&
                    line_has_type(line, entry->type);
    if (!in_place)
        return add_displaced(ingest, entry, hash, why);
    line = ingest__keep_line(ingest, line);
    if (entry->kind == EXPOSITION_HISTOGRAM)
        line->flags |= CACHE_LINE_HISTOGRAM;
    else
        line->flags &= (uint8_t)~CACHE_LINE_HISTOGRAM;
    remember_value(line, entry);
    return append(ingest, line, entry, why);
}

/* The hot path: the line is what it was, up to the value. False when it is not; nothing was read
 * then. */
static bool take_known(struct scrape_ingest *ingest, struct exposition_entry *entry,
                       struct cache_line **known)
{
    struct cache_line *line = ingest__candidate(ingest);
    if (line == NULL || line->kind == CACHE_LINE_COMMENT || ingest->task->refresh)
        return false;
    struct str rest = exposition_peek(ingest->exposition);
    if (rest.size <= line->key_size ||
        key_hash(ingest, str_from(rest.data, line->key_size)) != line->key_hash)
        return false;
    entry->value = line->value;
    if (!exposition_next_known(ingest->exposition, line->key_size,
                               str_from(line->text, line->text_size), entry))
        return false;
    *known = line;
    return true;
}

static err_t take_known_sample(struct scrape_ingest *ingest, struct exposition_entry *entry,
                               struct cache_line *line, struct strbuf *why)
{
    entry->histogram = NULL;
    if (!line_has_type(line, entry->type))
        return add_displaced(ingest, entry, line->key_hash, why);
    line = ingest__keep_line(ingest, line);
    if (!str_equal(entry->value_text, str_from(line->text, line->text_size)))
        remember_value(line, entry);
    return append(ingest, line, entry, why);
}

static err_t walk(struct scrape_ingest *ingest, struct strbuf *why)
{
    for (;;) {
        struct exposition_entry entry;
        struct cache_line *known;
        ingest__take_plain_lines(ingest);
        if (take_known(ingest, &entry, &known)) {
            TRY(take_known_sample(ingest, &entry, known, why));
            continue;
        }
        struct str rest = exposition_peek_comment(ingest->exposition);
        if (ingest__take_known_comment(ingest, rest))
            continue;
        TRY(exposition_next(ingest->exposition, &entry, why));
        switch (entry.kind) {
        case EXPOSITION_SAMPLE:
            entry.histogram = NULL;
            TRY(ingest__take_sample(ingest, &entry, why));
            break;
        case EXPOSITION_HISTOGRAM:
            TRY(ingest__take_sample(ingest, &entry, why));
            break;
        case EXPOSITION_END:
            return ingest__batch_flush(ingest, why);
        case EXPOSITION_START:
        case EXPOSITION_COMMENT:
            break;
        default:
            ingest__comment(ingest, &entry, rest);
        }
    }
}

/* The same where every line must be looked at: classic histograms are converted, or lines tell of
 * the start of others. */
static err_t walk_every_line(struct scrape_ingest *ingest, struct strbuf *why)
{
    bool convert = ingest->task->target->convert_classic_histograms;
    bool keep_classic = ingest->task->target->always_scrape_classic_histograms;
    for (;;) {
        struct exposition_entry entry;
        struct str rest = exposition_peek_comment(ingest->exposition);
        TRY(exposition_next(ingest->exposition, &entry, why));
        bool collected = false;
        if (convert && entry.kind == EXPOSITION_SAMPLE && entry.type == METADATA_HISTOGRAM)
            TRY(ingest__nhcb_collect(ingest, &entry, &collected, why));
        else if (convert && entry.kind != EXPOSITION_START)
            TRY(ingest__nhcb_finish(ingest, why));
        switch (entry.kind) {
        case EXPOSITION_SAMPLE:
            entry.histogram = NULL;
            if (!collected)
                TRY(ingest__take_sample(ingest, &entry, why));
            else if (keep_classic)
                TRY(ingest__nhcb_take_classic(ingest, &entry, why));
            break;
        case EXPOSITION_HISTOGRAM:
            TRY(ingest__take_sample(ingest, &entry, why));
            break;
        case EXPOSITION_END:
            return ingest__batch_flush(ingest, why);
        case EXPOSITION_START:
        case EXPOSITION_COMMENT:
            break;
        default:
            ingest__comment(ingest, &entry, rest);
        }
    }
}

static void start(struct scrape_ingest *ingest, const struct ingest_task *task,
                  struct ingest_result *result)
{
    const struct scrape_config *config = task->target->job->config;
    *result = (struct ingest_result){0};
    ingest->task = task;
    ingest->result = result;
    ingest->cursor = 0;
    ingest->track_times = config->track_timestamps_staleness || !config->honor_timestamps;
    ingest->seed = task->cache->seed;
    ingest->type_item = INGEST_NO_ITEM;
    ingest->type_name_given = STR("");
    ingest->comment_end = NULL;
    ingest->given_labels = NULL;
    ingest->given_exemplars = NULL;
    ingest->nhcb.active = false;
    ingest->lost_count = 0;
    ingest->seen_all = true;
    ingest__batch_drop(&ingest->batch);
}

/* Remembers which line the walk ended at. */
static void note_failed_line(struct scrape_ingest *ingest)
{
    struct str body = ingest->task->body;
    size_t at = exposition_entry_start(ingest->exposition);
    if (at >= body.size)
        return;
    uint64_t line = 1;
    for (size_t i = 0; i < at; i++)
        line += body.data[i] == '\n';
    size_t end = str_find(body, '\n', at);
    size_t size = (end == SIZE_MAX ? body.size : end) - at;
    strbuf_clear(&ingest->failed_text);
    strbuf_add(&ingest->failed_text, body.data + at,
               size > INGEST_FAILED_TEXT_MAX ? INGEST_FAILED_TEXT_MAX : size);
    ingest->result->failed_line = line;
}

struct exposition_options scrape_ingest_options(const struct ingest_task *task)
{
    const struct scrape_manager_options *options = task->options;
    return (struct exposition_options){
        .native_histograms = task->target->scrape_native_histograms,
        .always_classic = task->target->always_scrape_classic_histograms,
        .start_timestamps = options->created_timestamp_zero || options->start_timestamps ||
                            options->start_synthesis,
    };
}

err_t scrape_ingest_body(struct scrape_ingest *ingest, const struct ingest_task *task,
                         struct ingest_result *result, struct strbuf *why)
{
    start(ingest, task, result);
    struct exposition_options options = scrape_ingest_options(task);
    exposition_start(ingest->exposition, task->format, &options, task->body);
    bool every_line = task->target->convert_classic_histograms || task->options->start_synthesis ||
                      (options.start_timestamps && task->format == EXPOSITION_OPENMETRICS);
    err_t err = every_line ? walk_every_line(ingest, why) : walk(ingest, why);
    if (err == ERR_INVALID)
        note_failed_line(ingest);
    if (err == OK && result->sample_limit_hit)
        err = err_fail(why, ERR_LIMIT, "sample limit exceeded");
    if (err == OK && result->bucket_limit_hit)
        err = err_fail(why, ERR_LIMIT, "histogram bucket limit exceeded");
    return err;
}

void scrape_ingest_abandon(struct scrape_ingest *ingest, const struct ingest_task *task)
{
    if (ingest->rewrite.active)
        scrape_rewrite_end(&ingest->rewrite, task->cache, true);
    ingest->lost_count = 0;
}
