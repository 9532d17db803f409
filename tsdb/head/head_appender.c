/* Appenders: staging and judging of samples. Nothing is in the head before the commit. */
#include "head_late.h"

#include <string.h>

#include "narthex/base/vec.h"

static struct head_appender *self_of(struct appender *appender)
{
    return (struct head_appender *)appender;
}

static void reset(struct head_appender *self)
{
    self->staged_count = 0;
    self->late_count = 0;
    self->histogram_count = 0;
    self->exemplar_count = 0;
    self->metadata_count = 0;
    strbuf_clear(&self->histogram_bytes);
    if (self->newest_staged.count > 0)
        htable_clear(&self->newest_staged);
    if (self->arena.chunks != NULL)
        arena_deinit(&self->arena);
    self->plain = true;
    self->compact = true;
    self->new_count = 0;
    self->scattered = NULL;
    self->explicit_times = false;
    self->next_slot = 0;
}

static void appender_op_begin(struct appender *appender, source_ref source,
                              const struct append_options *options)
{
    struct head_appender *self = self_of(appender);
    assert(!self->begun);
    assert(source > 0);
    reset(self);
    self->begun = true;
    self->source = (uint32_t)(source - 1);
    self->options = options == NULL ? (struct append_options){0} : *options;
}

static err_t appender_op_series(struct appender *appender, struct labels labels, series_ref *ref,
                                bool *created, struct strbuf *why)
{
    struct head *head = self_of(appender)->head;
    uint64_t hash = labels_hash(labels);
    bool ignored;
    if (created == NULL)
        created = &ignored;
    *created = false;
    mutex_lock(&head->write_lock);
    struct head_series *series = head__series_find_locked(head, labels, hash);
    err_t err = OK;
    if (series == NULL && mem_pressure() == MEM_FAR_OVER) {
        head->stats.series_refused++;
        err =
            err_fail(why, ERR_NO_SPACE, "no new series: the memory budget of %lld bytes is used up",
                     (long long)mem_budget());
    } else if (series == NULL) {
        err = head__series_create_locked(head, labels, hash, HEAD_ORDINALS_MAX, &series, why);
        *created = err == OK;
    }
    if (err == OK)
        *ref = head__ref(head, series->ordinal);
    if (*created)
        VEC_PUSH(MEM_HEAD, head->unlogged, head->unlogged_count, head->unlogged_capacity,
                 series->ordinal);
    mutex_unlock(&head->write_lock);
    return err;
}

/* ---- judging ---- */

static bool same_sample(double a, struct str a_histogram, double b, struct str b_histogram)
{
    if (a_histogram.size != 0 || b_histogram.size != 0)
        return str_equal(a_histogram, b_histogram);
    return double_bits(a) == double_bits(b);
}

err_t head__judge_locked(struct head *head, const struct head_series *series, int64_t t_ms,
                         double value, struct str histogram)
{
    int64_t last_t_ms;
    double last_value;
    struct str last_histogram;
    if (!head__series_last_locked(head, series, &last_t_ms, &last_value, &last_histogram)) {
        /* Its samples are in blocks; min_valid_ms keeps the order against those. */
        return t_ms <= series->left_t_ms ? ERR_OUT_OF_ORDER : OK;
    }
    if (t_ms > last_t_ms)
        return OK;
    if (t_ms < last_t_ms)
        return ERR_OUT_OF_ORDER;
    return same_sample(value, histogram, last_value, last_histogram) ? ERR_EXISTS : ERR_DUPLICATE;
}

static uint32_t ordinal_of(const struct head_appender *self, uint32_t index)
{
    return self->compact ? self->ordinals[index] : self->staged[index].ordinal;
}

static bool staged_is_of(const void *owner, uint32_t item, const void *key)
{
    const struct head_appender *self = owner;
    return ordinal_of(self, item) == *(const uint32_t *)key;
}

static uint64_t ordinal_hash(uint32_t ordinal)
{
    return hash_mix(0, ordinal);
}

static void remember(struct head_appender *self, uint32_t index)
{
    uint32_t ordinal = ordinal_of(self, index);
    uint64_t hash = ordinal_hash(ordinal);
    uint32_t old = htable_find(&self->newest_staged, hash, staged_is_of, self, &ordinal);
    if (old != HTABLE_NONE)
        htable_remove(&self->newest_staged, hash, old);
    htable_insert(&self->newest_staged, hash, index);
}

void head__staged_unfold(struct head_appender *self)
{
    if (!self->compact)
        return;
    self->compact = false;
    VEC_RESERVE(MEM_HEAD, self->staged, self->staged_capacity, self->staged_count);
    for (uint32_t i = 0; i < self->staged_count; i++) {
        bool is_new = self->new_count > 0 && self->slots[i] >= self->new_slot_base;
        self->staged[i] = (struct staged_sample){
            .value = self->values[i],
            .t_ms = self->compact_t_ms,
            .group = is_new ? NULL : self->compact_lane,
            .ordinal = self->ordinals[i],
            .slot = is_new ? 0 : self->slots[i],
        };
    }
    self->new_count = 0;
}

static void reserve_columns(struct head_appender *self, size_t count)
{
    VEC_RESERVE(MEM_HEAD, self->ordinals, self->ordinals_capacity, count);
    VEC_RESERVE(MEM_HEAD, self->slots, self->slots_capacity, count);
    VEC_RESERVE(MEM_HEAD, self->values, self->values_capacity, count);
}

static int64_t first_t_ms(const struct head_appender *self)
{
    return self->compact ? self->compact_t_ms : self->staged[0].t_ms;
}

/* Leaves the common case: from now on every sample is looked up among the staged ones. */
static void become_complex(struct head_appender *self)
{
    if (!self->plain)
        return;
    self->plain = false;
    head__staged_unfold(self);
    for (uint32_t i = 0; i < self->staged_count; i++)
        remember(self, i);
}

static void set_slot_bit(struct head_appender *self, uint32_t slot)
{
    self->slot_bits[slot / 64] |= UINT64_C(1) << (slot % 64);
}

/* Whether a sample of the slot would spoil the common case of a scattered commit. */
static bool is_strange_slot(const struct head_appender *self, const struct head_group *group,
                            uint32_t slot)
{
    return group != self->scattered || slot / 64 >= self->slot_word_count ||
           (self->slot_bits[slot / 64] >> (slot % 64) & 1) != 0;
}

/* A slot below the last one's: nothing is wrong with that as long as no slot comes twice. */
static void become_scattered(struct head_appender *self, const struct head_group *lane)
{
    self->slot_word_count = (lane->slot_count + 63) / 64;
    VEC_RESERVE(MEM_HEAD, self->slot_bits, self->slot_bits_capacity, self->slot_word_count);
    if (self->slot_word_count > 0)
        memset(self->slot_bits, 0, self->slot_word_count * sizeof *self->slot_bits);
    self->scattered = lane;
    for (uint32_t i = 0; i < self->staged_count; i++)
        set_slot_bit(self, self->compact ? self->slots[i] : self->staged[i].slot);
}

/* Against an earlier sample of the same commit; OK too when there is none (*found false). */
static err_t judge_staged(struct head_appender *self, const struct staged_sample *sample,
                          bool *found)
{
    uint32_t old = htable_find(&self->newest_staged, ordinal_hash(sample->ordinal), staged_is_of,
                               self, &sample->ordinal);
    *found = old != HTABLE_NONE;
    if (!*found)
        return OK;
    const struct staged_sample *other = &self->staged[old];
    if (sample->t_ms != other->t_ms)
        return sample->t_ms > other->t_ms ? OK : ERR_OUT_OF_ORDER;
    struct str bytes = {NULL, 0}, other_bytes = {NULL, 0};
    if (sample->histogram != 0)
        bytes = head__staged_histogram(self, sample);
    if (other->histogram != 0)
        other_bytes = head__staged_histogram(self, other);
    return same_sample(sample->value, bytes, other->value, other_bytes) ? ERR_EXISTS
                                                                        : ERR_DUPLICATE;
}

static err_t judge(struct head_appender *self, const struct head_series *series,
                   const struct staged_sample *sample)
{
    if (!self->plain) {
        bool found;
        err_t err = judge_staged(self, sample, &found);
        if (found)
            return err;
    }
    const struct head_group *group = sample->group;
    if (group != NULL && sample->t_ms > group->last_t_ms && sample->t_ms > group->floor_t_ms)
        return OK;
    if (series == NULL)
        series = head__series(self->head, sample->ordinal);
    struct str bytes = {NULL, 0};
    if (sample->histogram != 0)
        bytes = head__staged_histogram(self, sample);
    return head__judge_locked(self->head, series, sample->t_ms, sample->value, bytes);
}

/* ---- adding ---- */

/* What holds for all samples of one call. */
struct add_context {
    struct head_appender *self;
    const struct append_batch *batch;
    struct head_group *lane; /* the source's first; may be NULL */
    int64_t min_t_ms;
    int64_t max_t_ms;
};

/* False: it is larger than any that is stored. */
static bool stage_histogram(struct head_appender *self, const struct histogram *histogram,
                            struct staged_sample *sample)
{
    size_t offset = self->histogram_bytes.size;
    histogram_encode(&self->histogram_bytes, histogram);
    size_t size = self->histogram_bytes.size - offset;
    if (size > HISTOGRAM_STORED_BYTES_MAX) {
        self->histogram_bytes.size = offset;
        return false;
    }
    VEC_PUSH(MEM_HEAD, self->histograms, self->histogram_count, self->histogram_capacity,
             (struct staged_bytes){offset, size});
    sample->histogram = self->histogram_count;
    sample->value = 0;
    return true;
}

/* Its sum has the bits STALE_NAN_BITS. */
static const struct histogram stale_histogram = {
    .kind = HISTOGRAM_FLOAT,
    .sum = __builtin_nans("2"),
};

/* The end of a series of histograms is a histogram too. */
static bool ends_histograms(struct head_appender *self, uint32_t ordinal)
{
    struct head *head = self->head;
    if (!self->plain) {
        uint32_t staged =
            htable_find(&self->newest_staged, ordinal_hash(ordinal), staged_is_of, self, &ordinal);
        if (staged != HTABLE_NONE)
            return self->staged[staged].histogram != 0;
    }
    int64_t t_ms;
    double value;
    struct str bytes;
    return head__series_last_locked(head, head__series(head, ordinal), &t_ms, &value, &bytes) &&
           bytes.size > 0;
}

/* Whether the commit can give the sample's series, which has no slot, one of the lane without more
 * ado. */
static bool may_take_new(const struct add_context *context, const struct staged_sample *sample)
{
    struct head_appender *self = context->self;
    const struct head_group *lane = context->lane;
    if (!self->compact || lane == NULL || self->explicit_times || sample->start_t_ms != 0 ||
        lane->last_t_ms > sample->t_ms)
        return false;
    if (self->staged_count > 0 &&
        (self->compact_lane != lane || self->compact_t_ms != sample->t_ms))
        return false;
    return self->new_count == 0 ||
           (self->new_slot_base == lane->slot_count &&
            htable_find(&self->newest_staged, ordinal_hash(sample->ordinal), staged_is_of, self,
                        &sample->ordinal) == HTABLE_NONE);
}

/* Says where the sample will go: in the common case into the slot after the last one's, and no
 * series record is touched. *series stays NULL then. False: there is no such series. */
static bool find_place(const struct add_context *context, series_ref ref, bool is_float,
                       struct staged_sample *sample, const struct head_series **series)
{
    struct head_appender *self = context->self;
    struct head_group *lane = context->lane;
    if (lane != NULL && self->next_slot < lane->slot_count &&
        lane->slot_refs[self->next_slot] == ref) {
        sample->group = lane;
        sample->slot = self->next_slot++;
        sample->ordinal = (uint32_t)(ref - self->head->ref_base - 1);
    } else {
        *series = head__series_of_ref(self->head, ref);
        if (*series == NULL)
            return false;
        sample->ordinal = (*series)->ordinal;
        const struct head_place *place =
            atomic_load_explicit(&(*series)->newest, memory_order_relaxed);
        if (place != NULL && head__group_is_open_to(place->group, self->source)) {
            sample->group = place->group;
            sample->slot = place->slot;
        }
        if (place == NULL && is_float && may_take_new(context, sample))
            return true;
        if (sample->group == NULL || sample->group != lane)
            become_complex(self);
        else if (self->plain && self->scattered == NULL && sample->slot < self->next_slot)
            become_scattered(self, lane);
        if (sample->group == lane)
            self->next_slot = sample->slot + 1;
    }
    if (self->plain && self->staged_count > 0 &&
        ((self->new_count > 0 && self->new_slot_base != lane->slot_count) ||
         first_t_ms(self) != sample->t_ms ||
         (self->compact && self->compact_lane != sample->group)))
        become_complex(self);
    if (self->plain && self->scattered != NULL &&
        is_strange_slot(self, sample->group, sample->slot))
        become_complex(self);
    return true;
}

static void stage_in_columns(struct head_appender *self, const struct staged_sample *sample)
{
    uint32_t i = self->staged_count++;
    reserve_columns(self, self->staged_count);
    self->compact_lane = sample->group;
    self->compact_t_ms = sample->t_ms;
    self->ordinals[i] = sample->ordinal;
    self->slots[i] = sample->slot;
    self->values[i] = sample->value;
    if (self->scattered != NULL)
        set_slot_bit(self, sample->slot);
}

/* A series without a slot: see may_take_new. Its slot stands behind all others, so the commit is a
 * scattered one. */
static void stage_new(const struct add_context *context, const struct staged_sample *sample)
{
    struct head_appender *self = context->self;
    struct staged_sample placed = *sample;
    if (self->scattered == NULL)
        become_scattered(self, context->lane);
    if (self->new_count == 0)
        self->new_slot_base = context->lane->slot_count;
    placed.group = context->lane;
    placed.slot = self->new_slot_base + self->new_count++;
    if (placed.slot / 64 >= self->slot_word_count) {
        VEC_RESERVE(MEM_HEAD, self->slot_bits, self->slot_bits_capacity, placed.slot / 64 + 1);
        self->slot_bits[self->slot_word_count++] = 0;
    }
    stage_in_columns(self, &placed);
    remember(self, self->staged_count - 1);
}

static void stage(const struct add_context *context, const struct staged_sample *sample)
{
    struct head_appender *self = context->self;
    if (self->compact && sample->group == NULL) {
        stage_new(context, sample);
        return;
    }
    if (self->compact && sample->histogram == 0 && sample->start_t_ms == 0) {
        stage_in_columns(self, sample);
        return;
    }
    head__staged_unfold(self);
    VEC_PUSH(MEM_HEAD, self->staged, self->staged_count, self->staged_capacity, *sample);
    if (!self->plain)
        remember(self, self->staged_count - 1);
    else if (self->scattered != NULL)
        set_slot_bit(self, sample->slot);
}

static err_t add_one(const struct add_context *context, size_t i)
{
    struct head_appender *self = context->self;
    const struct append_batch *batch = context->batch;
    struct staged_sample sample = {
        .t_ms = batch->t_ms == NULL ? batch->t_all_ms : batch->t_ms[i],
        .start_t_ms = batch->start_t_ms == NULL ? 0 : batch->start_t_ms[i],
    };
    const struct head_series *series = NULL;
    const struct histogram *histogram = batch->histograms == NULL ? NULL : batch->histograms[i];
    if (!find_place(context, batch->refs[i], histogram == NULL, &sample, &series))
        return ERR_STALE_REF;

    bool stale;
    if (histogram != NULL) {
        stale = histogram_is_stale(histogram);
        if (!stale && histogram_validate(histogram, &self->head->scratch) != OK)
            return ERR_INVALID;
    } else {
        sample.value = batch->values[i];
        stale = value_is_stale(sample.value);
        if (stale && ends_histograms(self, sample.ordinal))
            histogram = &stale_histogram;
    }
    if (sample.t_ms > context->max_t_ms || sample.t_ms < -SAMPLE_T_MS_MAX)
        return ERR_OUT_OF_BOUNDS;
    if (histogram != NULL && !stage_histogram(self, histogram, &sample))
        return ERR_INVALID;
    err_t err = sample.t_ms < context->min_t_ms ? ERR_OUT_OF_BOUNDS : judge(self, series, &sample);
    if (err == OK)
        stage(context, &sample);
    if (err == OK || err == ERR_EXISTS)
        return OK;
    bool discard = stale || self->options.discard_out_of_order ||
                   (batch->in_order_only != NULL && batch->in_order_only[i]);
    return head__late_stage(self, &sample, err, discard);
}

/* How many of `left` samples are those of the lane's next slots, one after the other. */
static size_t run_in_order(const struct add_context *context, const series_ref *refs,
                           const double *values, size_t left)
{
    struct head_appender *self = context->self;
    const uint32_t *slot_refs = context->lane->slot_refs + self->next_slot;
    size_t count = 0;
    if (self->scattered == NULL) {
        while (count < left && slot_refs[count] == refs[count] && !value_is_stale(values[count]))
            count++;
        return count;
    }
    for (; count < left && slot_refs[count] == refs[count] && !value_is_stale(values[count]);
         count++) {
        uint32_t slot = self->next_slot + (uint32_t)count;
        if (is_strange_slot(self, context->lane, slot))
            break;
        set_slot_bit(self, slot);
    }
    return count;
}

/* The common case, several at once: floats at one new time, in the order of the lane's slots.
 * Returns how many samples it took from sample `from` of the batch on. */
static size_t add_in_order(const struct add_context *context, size_t from)
{
    struct head_appender *self = context->self;
    const struct append_batch *batch = context->batch;
    struct head_group *lane = context->lane;
    int64_t t_ms = batch->t_all_ms;
    if (batch->t_ms != NULL || batch->histograms != NULL || batch->start_t_ms != NULL ||
        lane == NULL || !self->compact || t_ms <= lane->last_t_ms || t_ms <= lane->floor_t_ms ||
        t_ms < context->min_t_ms || t_ms > context->max_t_ms ||
        self->next_slot >= lane->slot_count ||
        (self->new_count > 0 && self->new_slot_base != lane->slot_count) ||
        (self->staged_count > 0 && (self->compact_t_ms != t_ms || self->compact_lane != lane)))
        return 0;
    size_t left = lane->slot_count - self->next_slot;
    if (left > batch->count - from)
        left = batch->count - from;
    size_t count = run_in_order(context, batch->refs + from, batch->values + from, left);
    if (count == 0)
        return 0;
    reserve_columns(self, self->staged_count + count);
    uint32_t *ordinals = self->ordinals + self->staged_count;
    uint32_t *slots = self->slots + self->staged_count;
    uint32_t ordinal_base = (uint32_t)(self->head->ref_base + 1);
    for (size_t i = 0; i < count; i++) {
        slots[i] = self->next_slot + (uint32_t)i;
        ordinals[i] = (uint32_t)batch->refs[from + i] - ordinal_base;
    }
    memcpy(self->values + self->staged_count, batch->values + from, count * sizeof(double));
    memset(batch->outcomes + from, OK, count);
    self->compact_lane = lane;
    self->compact_t_ms = t_ms;
    self->staged_count += (uint32_t)count;
    self->next_slot += (uint32_t)count;
    return count;
}

static int64_t newest_wanted(const struct append_options *options)
{
    return options->t_max_ms == 0 || options->t_max_ms > SAMPLE_T_MS_MAX ? SAMPLE_T_MS_MAX
                                                                         : options->t_max_ms;
}

static err_t appender_op_add(struct appender *appender, const struct append_batch *batch,
                             struct strbuf *why)
{
    (void)why;
    struct head_appender *self = self_of(appender);
    struct head *head = self->head;
    assert(self->begun);
    mutex_lock(&head->write_lock);
    if (self->staged_count == 0)
        head__source_renew(head, self->source);
    const struct head_source *source = &head->sources[self->source];
    int64_t min_t_ms = head__min_append_t(head);
    struct add_context context = {
        .self = self,
        .batch = batch,
        .lane = source->lane_count > 0 ? source->lanes[0] : NULL,
        .min_t_ms = min_t_ms > -SAMPLE_T_MS_MAX ? min_t_ms : -SAMPLE_T_MS_MAX,
        .max_t_ms = newest_wanted(&self->options),
    };
    if (self->staged_count == 0) {
        self->seen_sequence = head->sequence;
        self->seen_floor_ms = head->append_floor_ms;
        self->lane_sequence = context.lane == NULL ? 0 : context.lane->sequence;
    }
    if (batch->t_ms != NULL) {
        if (self->new_count > 0) /* where new series go depends on it */
            become_complex(self);
        self->explicit_times = true;
    }
    for (size_t i = 0; i < batch->count; i++) {
        i += add_in_order(&context, i);
        if (i < batch->count)
            batch->outcomes[i] = (uint8_t)add_one(&context, i);
    }
    mutex_unlock(&head->write_lock);
    return OK;
}

static err_t appender_op_add_exemplar(struct appender *appender, series_ref ref,
                                      const struct exemplar *exemplar, struct strbuf *why)
{
    struct head_appender *self = self_of(appender);
    struct head *head = self->head;
    mutex_lock(&head->write_lock);
    err_t err = head__series_of_ref(head, ref) == NULL
                    ? ERR_STALE_REF
                    : head__exemplar_judge(head->exemplars, ref, exemplar);
    mutex_unlock(&head->write_lock);
    if (err == ERR_UNAVAILABLE)
        return OK; /* none are kept */
    if (err != OK)
        return err_fail(why, err, "%s",
                        err == ERR_INVALID ? "exemplar labels are longer than 128 characters"
                                           : err_name(err));
    struct staged_exemplar staged = {ref, *exemplar};
    staged.exemplar.labels = labels_copy(&self->arena, exemplar->labels);
    VEC_PUSH(MEM_HEAD, self->exemplars, self->exemplar_count, self->exemplar_capacity, staged);
    return OK;
}

static err_t appender_op_set_metadata(struct appender *appender, series_ref ref,
                                      const struct metadata *metadata, struct strbuf *why)
{
    struct head_appender *self = self_of(appender);
    struct head *head = self->head;
    mutex_lock(&head->write_lock);
    bool stale = head__series_of_ref(head, ref) == NULL;
    bool known = !stale && head__metadata_is(head->metadata, ref, metadata);
    mutex_unlock(&head->write_lock);
    if (stale)
        return err_fail(why, ERR_STALE_REF, "series is not in the head any more");
    if (known)
        return OK;
    struct staged_metadata staged = {
        ref,
        {metadata->type, arena_str(&self->arena, metadata->help),
         arena_str(&self->arena, metadata->unit)},
    };
    VEC_PUSH(MEM_HEAD, self->metadata, self->metadata_count, self->metadata_capacity, staged);
    return OK;
}

static err_t appender_op_commit(struct appender *appender, struct strbuf *why)
{
    struct head_appender *self = self_of(appender);
    assert(self->begun);
    mutex_lock(&self->head->write_lock);
    err_t err = head__commit_locked(self, why);
    mutex_unlock(&self->head->write_lock);
    reset(self);
    self->begun = false;
    return err;
}

static void appender_op_rollback(struct appender *appender)
{
    struct head_appender *self = self_of(appender);
    reset(self);
    self->begun = false;
}

static void appender_op_close(struct appender *appender)
{
    struct head_appender *self = self_of(appender);
    reset(self);
    htable_deinit(&self->newest_staged);
    strbuf_deinit(&self->histogram_bytes);
    arena_deinit(&self->arena);
    mem_free(MEM_HEAD, self->staged);
    mem_free(MEM_HEAD, self->late);
    mem_free(MEM_HEAD, self->wal_late);
    mem_free(MEM_HEAD, self->histograms);
    mem_free(MEM_HEAD, self->exemplars);
    mem_free(MEM_HEAD, self->metadata);
    mem_free(MEM_HEAD, self->rows);
    mem_free(MEM_HEAD, self->ordinals);
    mem_free(MEM_HEAD, self->slots);
    mem_free(MEM_HEAD, self->values);
    mem_free(MEM_HEAD, self->values_by_slot);
    mem_free(MEM_HEAD, self->slot_bits);
    mem_free(MEM_HEAD, self->wal_histograms);
    mem_free(MEM_HEAD, self->wal_starts);
    mem_free(MEM_HEAD, self);
}

static const struct appender_ops head_appender_ops = {
    .begin = appender_op_begin,
    .series = appender_op_series,
    .add = appender_op_add,
    .add_exemplar = appender_op_add_exemplar,
    .set_metadata = appender_op_set_metadata,
    .commit = appender_op_commit,
    .rollback = appender_op_rollback,
    .close = appender_op_close,
};

err_t head_appender_open(struct head *head, struct appender **appender, struct strbuf *why)
{
    (void)why;
    struct head_appender *self = MEM_NEW(MEM_HEAD, struct head_appender);
    self->base.ops = &head_appender_ops;
    self->head = head;
    self->plain = true;
    self->compact = true;
    htable_init(&self->newest_staged, MEM_HEAD);
    arena_init(&self->arena, MEM_HEAD, SIZE_MAX);
    *appender = &self->base;
    return OK;
}
