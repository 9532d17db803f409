#include "summaries.h"

#include <math.h>

/* Integers whose magnitudes add up to less: every order of adding them is exact. */
static const double exact_sum_max = 0x1p52;

enum summary_kind summaries__kind_of(enum function_id id)
{
    static const enum summary_kind kinds[FUNCTION_COUNT] = {
        [FUNCTION_ABSENT_OVER_TIME] = SUMMARY_COUNT,
        [FUNCTION_AVG_OVER_TIME] = SUMMARY_SUM,
        [FUNCTION_COUNT_OVER_TIME] = SUMMARY_COUNT,
        [FUNCTION_DELTA] = SUMMARY_ENDS,
        [FUNCTION_FIRST_OVER_TIME] = SUMMARY_FIRST,
        [FUNCTION_INCREASE] = SUMMARY_CLIMB,
        [FUNCTION_LAST_OVER_TIME] = SUMMARY_LAST,
        [FUNCTION_MAX_OVER_TIME] = SUMMARY_MAX,
        [FUNCTION_MIN_OVER_TIME] = SUMMARY_MIN,
        [FUNCTION_PRESENT_OVER_TIME] = SUMMARY_COUNT,
        [FUNCTION_RATE] = SUMMARY_CLIMB,
        [FUNCTION_SUM_OVER_TIME] = SUMMARY_SUM,
        [FUNCTION_TS_OF_FIRST_OVER_TIME] = SUMMARY_FIRST,
        [FUNCTION_TS_OF_LAST_OVER_TIME] = SUMMARY_LAST,
    };
    return kinds[id];
}

/* Whether one of edge_ms, edge_ms + step_ms, … lies in [first_ms, last_ms): between two samples. */
static bool cut(int64_t edge_ms, const struct summary_windows *windows, int64_t first_ms,
                int64_t last_ms)
{
    int64_t at = edge_ms;
    if (at < first_ms && windows->count > 1) {
        int64_t steps = time__subtract(first_ms, at) / windows->step_ms;
        if (steps > windows->count - 1)
            steps = windows->count - 1;
        at += steps * windows->step_ms;
        if (at < first_ms && steps < windows->count - 1)
            at += windows->step_ms;
    }
    return at >= first_ms && at < last_ms;
}

static bool is_whole(double v)
{
    return fabs(v) < exact_sum_max && v == trunc(v);
}

bool summaries__take(struct sample_buffer *buffer, const struct sample_want *want,
                     const struct sample_column_info *info)
{
    if (want->summary == SUMMARY_NONE || info->kind != SAMPLES_FLOAT || !info->has_stats)
        return false;
    const struct sample_stats *stats = &info->stats;
    if ((want->summary == SUMMARY_CLIMB && stats->drops) ||
        (want->summary == SUMMARY_SUM && !stats->sum_exact))
        return false;
    if (cut(want->windows->start_ms, want->windows, info->first_t_ms, info->last_t_ms) ||
        cut(want->windows->end_ms, want->windows, info->first_t_ms, info->last_t_ms))
        return false;
    switch (want->summary) {
    case SUMMARY_FIRST:
        samples__add_summary(buffer, info->first_t_ms, stats->first, info->count);
        return true;
    case SUMMARY_MIN:
        samples__add_summary(buffer, info->last_t_ms, stats->min, info->count);
        return true;
    case SUMMARY_MAX:
        samples__add_summary(buffer, info->last_t_ms, stats->max, info->count);
        return true;
    case SUMMARY_SUM:
        samples__add_summary(buffer, info->last_t_ms, stats->sum, info->count);
        buffer->magnitude += info->count * (fabs(stats->min) > fabs(stats->max) ? fabs(stats->min)
                                                                                : fabs(stats->max));
        return true;
    case SUMMARY_ENDS:
    case SUMMARY_CLIMB:
        if (info->count > 1)
            samples__add_summary(buffer, info->first_t_ms, stats->first, info->count - 1);
        samples__add_summary(buffer, info->last_t_ms, stats->last, 1);
        return true;
    default:
        samples__add_summary(buffer, info->last_t_ms, stats->last, info->count);
        return true;
    }
}

bool summaries__hold(const struct sample_buffer *buffer, enum summary_kind kind)
{
    if (kind != SUMMARY_SUM || !buffer->summarised)
        return true;
    double magnitude = buffer->magnitude;
    for (uint32_t i = 0; i < buffer->count; i++) {
        if (!is_whole(buffer->v[i]))
            return false;
        magnitude += fabs(buffer->v[i]);
    }
    return magnitude < exact_sum_max;
}
