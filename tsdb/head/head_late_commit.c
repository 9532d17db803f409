/* Late samples on their way in: judging, staging, the log record, memory. */
#include "head_late.h"

#include "narthex/base/vec.h"

static void count_refusal(struct head *head, err_t refusal, bool histogram)
{
    if (refusal == ERR_OUT_OF_ORDER)
        head->stats.out_of_order_count[histogram]++;
    else if (refusal == ERR_OUT_OF_BOUNDS)
        head->stats.out_of_bounds_count[histogram]++;
    else if (refusal == ERR_TOO_OLD)
        head->stats.too_old_count[histogram]++;
}

err_t head__late_stage(struct head_appender *self, const struct staged_sample *sample,
                       err_t refusal, bool discard)
{
    struct head *head = self->head;
    bool windowed = head->out_of_order_window_ms > 0 && refusal != ERR_DUPLICATE;
    if (windowed)
        refusal = head__late_judge(head, sample->t_ms);
    if (refusal != OK)
        count_refusal(head, refusal, sample->histogram != 0);
    else if (!discard && !head__late_has_time(head, sample->ordinal, sample->t_ms))
        VEC_PUSH(MEM_HEAD, self->late, self->late_count, self->late_capacity, *sample);
    return discard ? OK : refusal;
}

void head__late_stage_again(struct head_appender *self, const struct staged_sample *sample,
                            err_t refusal)
{
    bool stale = value_is_stale(sample->value);
    struct histogram histogram;
    struct strbuf why = STRBUF_INIT;
    if (sample->histogram != 0 && histogram_decode(head__staged_histogram(self, sample),
                                                   &self->arena, &histogram, &why) == OK)
        stale = histogram_is_stale(&histogram);
    strbuf_deinit(&why);
    (void)head__late_stage(self, sample, refusal, stale || self->options.discard_out_of_order);
}

static struct wal_late logged_form(struct head_appender *self, uint32_t index)
{
    const struct staged_sample *sample = &self->late[index];
    struct wal_late late = {
        .number = self->head->late.number + index + 1,
        .ref = head__ref(self->head, sample->ordinal),
        .t_ms = sample->t_ms,
        .start_t_ms = sample->start_t_ms,
        .value = sample->value,
    };
    if (sample->histogram != 0)
        late.histogram = head__staged_histogram(self, sample);
    return late;
}

void head__late_encode_staged(struct head_appender *self)
{
    VEC_RESERVE(MEM_HEAD, self->wal_late, self->wal_late_capacity, self->late_count);
    for (uint32_t i = 0; i < self->late_count; i++)
        self->wal_late[i] = logged_form(self, i);
    wal_encode_late(&self->head->body, self->wal_late, self->late_count);
}

void head__late_apply_staged(struct head_appender *self)
{
    struct head *head = self->head;
    for (uint32_t i = 0; i < self->late_count; i++) {
        struct wal_late late = logged_form(self, i);
        /* A series that was collected since it was staged has lost its labels. */
        if (head__series(head, self->late[i].ordinal) == NULL ||
            !head__late_add(head, self->late[i].ordinal, &late))
            continue;
        head->stats.late_appended_count[late.histogram.size > 0]++;
        head->stats.histogram_sample_count += late.histogram.size > 0;
        head->stats.sample_count++;
    }
    head->late.number += self->late_count;
}
