/* From a body to samples in an appender: the per-sample pipeline of a scrape (spec 3.3 to 3.6).
 *
 * A scrape_ingest belongs to one shard and is reused for all its targets; nothing allocates per
 * sample once its buffers have grown. The caller begins and commits the appender.
 */
#pragma once

#include "ingest_nhcb.h"
#include "narthex/model/exposition.h"
#include "narthex/scraper/scrape_manager.h"
#include "scrape_cache.h"
#include "scrape_target.h"

enum { INGEST_BATCH_ROWS = 1024, INGEST_FAILED_TEXT_MAX = 200 };

/* Samples on their way to the appender, and the cache lines they belong to. */
struct ingest_batch {
    uint32_t count;
    bool has_times;
    bool has_histograms;
    bool has_starts;
    bool has_in_order_only;
    series_ref refs[INGEST_BATCH_ROWS];
    int64_t t_ms[INGEST_BATCH_ROWS];
    double values[INGEST_BATCH_ROWS];
    const struct histogram *histograms[INGEST_BATCH_ROWS];
    int64_t start_ms[INGEST_BATCH_ROWS];
    bool in_order_only[INGEST_BATCH_ROWS];
    uint8_t outcomes[INGEST_BATCH_ROWS];
    uint32_t lines[INGEST_BATCH_ROWS];
    struct arena arena; /* of the histograms */
};

#define INGEST_NO_LINE UINT32_MAX
#define INGEST_NO_ITEM UINT32_MAX

struct ingest_row {
    series_ref ref;
    int64_t t_ms;
    double value;
    const struct histogram *histogram; /* or NULL; copied */
    int64_t start_ms;                  /* 0: none */
    uint32_t line;                     /* in the lines of this scrape, or INGEST_NO_LINE */
    bool in_order_only;                /* a late one is left out, whatever the storage takes */
};

struct ingest_result {
    uint64_t scraped;      /* samples in the body */
    uint64_t kept;         /* after relabeling, duplicates and those over a limit included */
    uint64_t pushed;       /* handed to the appender; starts and markers are not counted */
    uint64_t series_added; /* new to the target's cache */
    uint64_t out_of_order;
    uint64_t duplicates;
    uint64_t out_of_bounds;
    uint64_t exemplars_out_of_order;
    uint64_t series_refused; /* the storage has no memory for them; left out */
    bool lost_lines;         /* of them some were in the cache: refresh next time */
    bool sample_limit_hit;
    bool label_limit_hit;
    bool bucket_limit_hit;
    uint64_t failed_line; /* of the body, from 1, at which it was refused; 0: at none */
    bool stale_refs;      /* the storage forgot series: ingest again with `refresh` */
};

/* One scrape of one target. */
struct ingest_task {
    const struct scrape_manager_options *options;
    struct scrape_target *target;
    struct scrape_cache *cache;
    struct appender *appender;
    enum exposition_format format;
    struct str body;
    int64_t t_ms;
    uint32_t scrape;      /* its number, from 2 */
    uint32_t scrape_prev; /* the one whose series are alive now */
    bool refresh;         /* ask the storage for every series again */
};

struct scrape_ingest {
    struct exposition *exposition;
    struct ingest_batch batch;
    struct scrape_rewrite rewrite;
    struct label_builder builder;
    struct arena arena; /* labels of one line */
    struct arena_mark arena_start;
    struct nhcb nhcb;

    /* Of the task at hand. */
    const struct ingest_task *task;
    struct ingest_result *result;
    uint32_t cursor;  /* next old line to compare with */
    bool track_times; /* samples with explicit timestamps become stale too */
    uint64_t seed;
    /* Family of the latest TYPE line: an item of the target's metadata, or else a name; see
     * ingest__type_name. */
    uint32_t type_item;
    struct str type_name_given;
    const struct label *given_labels; /* of the entry, when its key is none of the exposition's */
    uint32_t given_label_count;
    const struct label *repeated; /* exposed labels of the sample at hand, if names come twice */
    uint32_t repeated_count;
    struct exposition_exemplar *given_exemplars; /* as above; of an entry that has_exemplar */
    uint32_t given_exemplar_count;
    struct found_exemplars exemplars; /* of one sample */
    const char *comment_end;          /* behind the latest line of these kinds */
    bool seen_all;                    /* every series in the cache was seen, so far */
    series_ref *lost;                 /* alive series that their line no longer means */
    uint32_t lost_count;
    uint32_t lost_capacity;
    struct strbuf failed_text; /* beginning of the line at which a body was refused */
};

void scrape_ingest_init(struct scrape_ingest *ingest);
void scrape_ingest_deinit(struct scrape_ingest *ingest);

/* Parses the body and adds its samples, without the stale markers. On an error nothing of it may be
 * committed, and the text is what the target's last error shall say; the cache then still knows
 * what was seen before the error. */
err_t scrape_ingest_body(struct scrape_ingest *ingest, const struct ingest_task *task,
                         struct ingest_result *result, struct strbuf *why);

/* How the task's body is to be read. */
struct exposition_options scrape_ingest_options(const struct ingest_task *task);

/* Between a failed attempt and another one with the same body. */
void scrape_ingest_abandon(struct scrape_ingest *ingest, const struct ingest_task *task);

/* Adds a stale marker at task->t_ms for every series that was alive and was not seen in this
 * scrape, and forgets lines that are gone (not when `failed`). */
err_t scrape_ingest_stale(struct scrape_ingest *ingest, const struct ingest_task *task, bool failed,
                          struct strbuf *why);

/* ---- inside ---- */

enum label_outcome { LABELS_KEPT, LABELS_DROPPED, LABELS_REFUSED };

/* The two halves of the next one. Labels of a sample with the target's, into ingest->builder. */
void ingest__merge_labels(struct scrape_ingest *ingest, const struct exposition_entry *entry);
/* Metric relabeling and the checks of what it leaves. */
enum label_outcome ingest__finish_labels(struct scrape_ingest *ingest, struct labels *labels,
                                         struct strbuf *why);
/* Final labels of a sample, in ingest->builder; the reason of a refusal in *why. */
enum label_outcome ingest__build_labels(struct scrape_ingest *ingest,
                                        const struct exposition_entry *entry, struct labels *labels,
                                        struct strbuf *why);

err_t ingest__batch_push(struct scrape_ingest *ingest, const struct ingest_row *row,
                         struct strbuf *why);
/* Hands the rows to the appender and books their outcomes. */
err_t ingest__batch_flush(struct scrape_ingest *ingest, struct strbuf *why);
/* Forgets the rows. */
void ingest__batch_drop(struct ingest_batch *batch);
/* Keeps an old line that stands next in this scrape; returns it in the lines of this scrape. */
struct cache_line *ingest__keep_line(struct scrape_ingest *ingest, struct cache_line *line);
/* The histogram within the job's limits, coarser where it must be (then in ingest->arena); NULL
 * when it cannot be made to fit. */
const struct histogram *ingest__limit_histogram(struct scrape_ingest *ingest,
                                                const struct histogram *h);
/* A sample that exposition_next gave, or a histogram made of samples. */
err_t ingest__take_sample(struct scrape_ingest *ingest, const struct exposition_entry *entry,
                          struct strbuf *why);
/* Feature st-synthesis: makes the sample one with a start; false when it is not to be stored. A
 * histogram made lives until the next call. */
bool ingest__synthesize_start(struct scrape_ingest *ingest, const struct cache_line *line,
                              struct exposition_entry *entry, int64_t t_ms);
/* Appends the exemplars of the entry at hand, in `arena`. */
void ingest__read_exemplars(struct scrape_ingest *ingest, struct found_exemplars *list,
                            struct arena *arena);
/* Hands the exemplars of a sample at t_ms to the appender. */
void ingest__add_exemplars(struct scrape_ingest *ingest, const struct exposition_entry *entry,
                           series_ref ref, int64_t t_ms);
/* A line under TYPE histogram: *collected when it is part of a classic histogram. */
err_t ingest__nhcb_collect(struct scrape_ingest *ingest, const struct exposition_entry *entry,
                           bool *collected, struct strbuf *why);
/* The collected line itself is to be stored, too. */
err_t ingest__nhcb_take_classic(struct scrape_ingest *ingest, const struct exposition_entry *entry,
                                struct strbuf *why);
/* The histogram whose lines were collected is complete: its sample is taken. */
err_t ingest__nhcb_finish(struct scrape_ingest *ingest, struct strbuf *why);
/* The old line that the next one of this scrape is compared with, or NULL. */
struct cache_line *ingest__candidate(const struct scrape_ingest *ingest);
/* Takes the lines that stand where they stood: comments, and those that hold a key and a value, no
 * more. Nearly all of them, nearly always; whatever else comes next is for the caller. */
void ingest__take_plain_lines(struct scrape_ingest *ingest);
static inline bool ingest__is_normalised(enum metadata_type type)
{
    return type == METADATA_HISTOGRAM || type == METADATA_GAUGEHISTOGRAM ||
           type == METADATA_SUMMARY;
}
static inline struct str ingest__type_name(const struct scrape_ingest *ingest)
{
    return ingest->type_item == INGEST_NO_ITEM
               ? ingest->type_name_given
               : ingest->task->target->metadata.items[ingest->type_item].name;
}
/* Notes that a comment's line was met in this scrape. */
static inline void ingest__see_comment(struct scrape_ingest *ingest, const struct cache_line *line)
{
    ingest->task->target->metadata.seen[line->ref] = ingest->task->scrape;
    if ((line->flags & CACHE_LINE_TYPE) != 0)
        ingest->type_item = (uint32_t)line->ref;
}
/* Takes the TYPE, HELP and UNIT lines that `rest`, the body from a line's start on, begins with,
 * when they stand where they stood; else false. */
bool ingest__take_known_comment(struct scrape_ingest *ingest, struct str rest);
/* Any other of these lines; `rest` is the body from its start. */
void ingest__comment(struct scrape_ingest *ingest, const struct exposition_entry *entry,
                     struct str rest);
