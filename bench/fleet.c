#include "fleet.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "narthex/base/mem.h"
#include "narthex/model/histogram.h"

static const int64_t FIRST_MS = INT64_C(1700000000000);

struct fleet_target {
    const struct corpus_job *job;
    source_ref source;
    double factor;      /* of its counters' rates */
    int64_t phase_ms;   /* of its scrapes within the interval */
    uint32_t first_row; /* of the recording */
    uint32_t number;
    uint64_t offset; /* of its series in the fleet's arrays */
    uint32_t count;  /* samples of the rendered row */
};

struct fleet {
    struct fleet_target *targets;
    uint32_t target_count;
    uint32_t series_count;
    series_ref *refs; /* per series; 0: not created yet */
    /* The rendered row; each target's part begins at its offset. */
    uint32_t *slots;
    double *values;
    series_ref *batch_refs;
    uint8_t *outcomes;
    uint32_t row; /* rendered so far */
    struct storage *storage;
    struct appender *appender;
};

/* splitmix64 */
static uint64_t next_u64(uint64_t *state)
{
    uint64_t x = *state += UINT64_C(0x9e3779b97f4a7c15);
    x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
    return x ^ (x >> 31);
}

struct fleet *fleet_create(const struct corpus *corpus, uint32_t series_count, uint64_t seed)
{
    struct fleet *fleet = MEM_NEW(MEM_TEST, struct fleet);
    uint64_t state = seed;
    fleet->targets = MEM_NEW_ARRAY(MEM_TEST, struct fleet_target, series_count + 1);
    while (fleet->series_count < series_count) {
        uint32_t number = fleet->target_count++;
        const struct corpus_job *job = &corpus->jobs[number % corpus->job_count];
        fleet->targets[number] = (struct fleet_target){
            .job = job,
            .number = number,
            .factor = 0.5 + (double)(next_u64(&state) % 1000) / 1000,
            .phase_ms = (int64_t)(next_u64(&state) % FLEET_INTERVAL_MS),
            .first_row = (uint32_t)(next_u64(&state) % job->row_count),
            .offset = fleet->series_count,
        };
        fleet->series_count += job->series_count;
    }
    fleet->refs = MEM_NEW_ARRAY(MEM_TEST, series_ref, fleet->series_count);
    fleet->slots = MEM_NEW_ARRAY(MEM_TEST, uint32_t, fleet->series_count);
    fleet->values = MEM_NEW_ARRAY(MEM_TEST, double, fleet->series_count);
    fleet->batch_refs = MEM_NEW_ARRAY(MEM_TEST, series_ref, fleet->series_count);
    fleet->outcomes = MEM_NEW_ARRAY(MEM_TEST, uint8_t, fleet->series_count);
    /* Present before the first sample, so that the memory of the store can be told apart. */
    memset(fleet->refs, 0, fleet->series_count * sizeof *fleet->refs);
    memset(fleet->batch_refs, 0, fleet->series_count * sizeof *fleet->batch_refs);
    memset(fleet->outcomes, 0, fleet->series_count);
    return fleet;
}

void fleet_destroy(struct fleet *fleet)
{
    mem_free(MEM_TEST, fleet->targets);
    mem_free(MEM_TEST, fleet->refs);
    mem_free(MEM_TEST, fleet->slots);
    mem_free(MEM_TEST, fleet->values);
    mem_free(MEM_TEST, fleet->batch_refs);
    mem_free(MEM_TEST, fleet->outcomes);
    mem_free(MEM_TEST, fleet);
}

uint32_t fleet_series_count(const struct fleet *fleet)
{
    return fleet->series_count;
}

uint32_t fleet_target_count(const struct fleet *fleet)
{
    return fleet->target_count;
}

int64_t fleet_newest_ms(const struct fleet *fleet)
{
    return FIRST_MS + (int64_t)fleet->row * FLEET_INTERVAL_MS + fleet->targets[0].phase_ms;
}

err_t fleet_attach(struct fleet *fleet, struct storage *storage, struct strbuf *why)
{
    fleet->storage = storage;
    for (uint32_t i = 0; i < fleet->target_count; i++)
        fleet->targets[i].source = storage_source_open(storage, i + 1);
    return storage_appender_open(storage, &fleet->appender, why);
}

void fleet_detach(struct fleet *fleet)
{
    appender_close(fleet->appender);
    for (uint32_t i = 0; i < fleet->target_count; i++)
        storage_source_close(fleet->storage, fleet->targets[i].source);
}

const struct corpus_job *fleet_target_job(const struct fleet *fleet, uint32_t index)
{
    return fleet->targets[index].job;
}

static double target_value(const struct fleet_target *target, uint32_t slot, uint32_t row)
{
    const struct corpus_job *job = target->job;
    const struct corpus_series *series = &job->series[slot];
    uint32_t at = target->first_row + row;
    double v = job->values[(size_t)(at % job->row_count) * job->series_count + slot];
    if (!series->counter || isnan(v))
        return v;
    v = (v + at / job->row_count * series->growth) * target->factor;
    return series->scale > 0 ? rint(v * series->scale) / series->scale : v;
}

void fleet_target_row(const struct fleet *fleet, uint32_t index, uint32_t row,
                      const struct corpus_job **job, double *values)
{
    const struct fleet_target *target = &fleet->targets[index];
    *job = target->job;
    for (uint32_t slot = 0; slot < target->job->series_count; slot++)
        values[slot] = target_value(target, slot, row);
}

uint64_t fleet_render(struct fleet *fleet)
{
    uint64_t total = 0;
    for (uint32_t i = 0; i < fleet->target_count; i++) {
        struct fleet_target *target = &fleet->targets[i];
        target->count = 0;
        for (uint32_t slot = 0; slot < target->job->series_count; slot++) {
            double v = target_value(target, slot, fleet->row);
            /* A replay that starts within a gap has nothing to end with a stale marker. */
            if (corpus_is_absent(v) ||
                (value_is_stale(v) && fleet->refs[target->offset + slot] == 0))
                continue;
            fleet->slots[target->offset + target->count] = slot;
            fleet->values[target->offset + target->count++] = v;
        }
        total += target->count;
    }
    fleet->row++;
    return total;
}

static err_t create_series(struct fleet *fleet, const struct fleet_target *target, uint32_t slot,
                           struct label_builder *builder, struct strbuf *why)
{
    char instance[32];
    snprintf(instance, sizeof instance, "host-%u:9100", target->number);
    label_builder_reset(builder, target->job->series[slot].labels);
    label_builder_set(builder, STR("job"), str_from_cstr(target->job->name));
    label_builder_set(builder, STR("instance"), str_from_cstr(instance));
    bool created;
    return appender_series(fleet->appender, label_builder_labels(builder),
                           &fleet->refs[target->offset + slot], &created, why);
}

static err_t commit_target(struct fleet *fleet, const struct fleet_target *target,
                           struct label_builder *builder, struct strbuf *why)
{
    static const struct append_options options = {0};
    uint64_t offset = target->offset;
    appender_begin(fleet->appender, target->source, &options);
    for (uint32_t i = 0; i < target->count; i++) {
        uint32_t slot = fleet->slots[offset + i];
        if (fleet->refs[offset + slot] == 0)
            TRY(create_series(fleet, target, slot, builder, why));
        fleet->batch_refs[offset + i] = fleet->refs[offset + slot];
    }
    struct append_batch batch = {
        .count = target->count,
        .refs = fleet->batch_refs + offset,
        .t_all_ms = FIRST_MS + (int64_t)fleet->row * FLEET_INTERVAL_MS + target->phase_ms,
        .values = fleet->values + offset,
        .outcomes = fleet->outcomes + offset,
    };
    TRY(appender_add(fleet->appender, &batch, why));
    for (uint32_t i = 0; i < target->count; i++)
        if (batch.outcomes[i] != OK)
            return err_fail(why, (err_t)batch.outcomes[i], "sample refused: %s",
                            err_name((err_t)batch.outcomes[i]));
    return appender_commit(fleet->appender, why);
}

err_t fleet_commit(struct fleet *fleet, struct strbuf *why)
{
    struct label_builder builder = {0};
    err_t err = OK;
    for (uint32_t i = 0; i < fleet->target_count && err == OK; i++)
        err = commit_target(fleet, &fleet->targets[i], &builder, why);
    label_builder_deinit(&builder);
    return err;
}
