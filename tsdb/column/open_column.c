/* Appending to open columns, and taking views of them. */
#include "narthex/tsdb/open_column.h"

#include <assert.h>

#include "column_bytes.h"
#include "column_decimal.h"
#include "open_buffer.h"

/* struct open_column.flags */
enum { SLOT_GAPS = 1, SLOT_LAST_SPECIAL = 2 };

enum { SPECIALS_STEP = 4 };

/* A constant may have one special for so many rows. */
enum { CONSTANT_ROWS_A_SPECIAL = 16 };

/* How far before a slot's turn its buffer is fetched; the slot itself must have come by then. */
enum { BUFFERS_AHEAD = OPEN_COLUMN_AHEAD / 2 };

/* The state word: pointer << 16 | row0 << 8 | count. User-space pointers have 47 bits on all
 * 64-bit platforms built for. */
enum { STATE_ROW0_SHIFT = 8, STATE_POINTER_SHIFT = 16 };

static uint64_t state_make(const struct open_buffer *buffer, uint32_t row0, uint32_t count)
{
    uint64_t pointer = (uint64_t)(uintptr_t)buffer;
    assert(pointer >> 48 == 0);
    return pointer << STATE_POINTER_SHIFT | (uint64_t)row0 << STATE_ROW0_SHIFT | count;
}

static struct open_buffer *state_buffer(uint64_t state)
{
    return (struct open_buffer *)(uintptr_t)(state >> STATE_POINTER_SHIFT);
}

static uint32_t state_row0(uint64_t state)
{
    return state >> STATE_ROW0_SHIFT & 0xff;
}

static uint32_t state_count(uint64_t state)
{
    return state & 0xff;
}

/* The writer's own look at the word. */
static uint64_t state_own(const struct open_column *slot)
{
    return atomic_load_explicit(&slot->state, memory_order_relaxed);
}

/* Pairs with the acquire loads in open_column_view. */
static void state_publish(struct open_column *slot, uint64_t state)
{
    atomic_store_explicit(&slot->state, state, memory_order_release);
}

static uint64_t last_bits_own(const struct open_column *slot)
{
    return atomic_load_explicit(&slot->last_bits, memory_order_relaxed);
}

/* Release: a reader that takes these bits for the constant must then see the buffer that replaced
 * it, see open_column_view. */
static void last_bits_store(struct open_column *slot, uint64_t bits)
{
    atomic_store_explicit(&slot->last_bits, bits, memory_order_release);
}

static void retire(struct open_buffer *buffer, struct open_column_memory *memory)
{
    if (buffer == NULL)
        return;
    size_t size = open_buffer_size(open_buffer_shape(buffer));
    if (memory->retire != NULL)
        memory->retire(memory->context, buffer, size);
    else
        slab_free(memory->pool, buffer, size);
}

static void bitmap_set(const struct open_buffer *buffer, uint32_t row)
{
    _Atomic uint64_t *word = &open_buffer_bitmap(buffer)[row / 64];
    uint64_t bits = atomic_load_explicit(word, memory_order_relaxed);
    atomic_store_explicit(word, bits | UINT64_C(1) << (row % 64), memory_order_relaxed);
}

/* Makes `buffer` the slot's, with `count` samples, and retires the one before. */
static void replace_buffer(struct open_column *slot, struct open_buffer *buffer, uint32_t row0,
                           uint32_t count, struct open_column_memory *memory)
{
    struct open_buffer *old = state_buffer(state_own(slot));
    slot->element_size = buffer->element_size;
    slot->exponent = buffer->exponent;
    slot->capacity = buffer->capacity;
    slot->flags =
        (uint8_t)((slot->flags & ~SLOT_GAPS) | (buffer->flags & OPEN_BUFFER_GAPS ? SLOT_GAPS : 0));
    state_publish(slot, state_make(buffer, row0, count));
    retire(old, memory);
}

/* The samples of a slot on their way into a new buffer. */
struct rebuild {
    uint32_t count;
    uint32_t row0;
    uint64_t bitmap[4];
    double values[COLUMN_ROWS_MAX];
};

static bool rebuild_has_gaps(const struct rebuild *rebuild)
{
    uint32_t last = 255;
    while (!(rebuild->bitmap[last / 64] >> (last % 64) & 1))
        last--;
    return last + 1 - rebuild->row0 != rebuild->count;
}

static uint32_t special_capacity_for(uint32_t count)
{
    return count == 0 ? 0 : (count + SPECIALS_STEP) / SPECIALS_STEP * SPECIALS_STEP;
}

/* Bytes the largest step of the integers needs: 0, 1, 2, 4, or 8 if none is enough. */
static uint32_t delta_size(const struct decimal_split *split)
{
    uint64_t widest = 0;
    for (uint32_t i = 1; i < split->count; i++) {
        uint64_t delta = (uint64_t)split->integers[i] - (uint64_t)split->integers[i - 1];
        widest |= coding_zigzag((int64_t)delta);
    }
    if (widest == 0)
        return 0;
    return widest <= UINT8_MAX ? 1 : widest <= UINT16_MAX ? 2 : widest <= UINT32_MAX ? 4 : 8;
}

static void store_element(uint8_t *elements, uint32_t element_size, uint32_t index, int64_t delta)
{
    switch (element_size) {
    case 1:
        elements[index] = (uint8_t)delta;
        break;
    case 2:
        ((uint16_t *)(void *)elements)[index] = (uint16_t)delta;
        break;
    default:
        ((uint32_t *)(void *)elements)[index] = (uint32_t)delta;
        break;
    }
}

static void fill_deltas(struct open_buffer *buffer, const struct rebuild *rebuild,
                        const struct decimal_split *split)
{
    uint8_t *elements = open_buffer_elements(buffer);
    uint32_t special = 0;
    uint32_t integer = 0;
    int64_t last = split->integers[0];
    buffer->first = (uint64_t)last;
    buffer->exponent = (uint8_t)split->exponent;
    for (uint32_t i = 0; i < rebuild->count; i++) {
        int64_t m = last;
        if (special < split->special_count && split->special_rows[special] == i) {
            open_buffer_add_special(buffer, i, double_bits(rebuild->values[i]));
            special++;
        } else {
            m = split->integers[integer++];
        }
        if (buffer->element_size > 0)
            store_element(elements, buffer->element_size, i, m - last);
        last = m;
    }
    if (buffer->element_size == 0)
        buffer->first = double_bits((double)last / column__powers[buffer->exponent]);
}

/* A constant that is no decimal, with samples that differ from it: specials if they are few. */
static struct open_buffer *build_constant(const struct rebuild *rebuild, uint8_t flags,
                                          struct slab_pool *pool)
{
    uint64_t constant = double_bits(rebuild->values[0]);
    uint32_t special_count = 0;
    for (uint32_t i = 1; i < rebuild->count; i++)
        special_count += double_bits(rebuild->values[i]) != constant;
    if (special_count > rebuild->count / CONSTANT_ROWS_A_SPECIAL)
        return NULL;
    struct open_buffer *buffer = open_buffer_create(
        (struct open_buffer_shape){.capacity = COLUMN_ROWS_MAX,
                                   .special_capacity = (uint8_t)special_capacity_for(special_count),
                                   .flags = flags},
        pool);
    buffer->first = constant;
    for (uint32_t i = 1; i < rebuild->count; i++)
        if (double_bits(rebuild->values[i]) != constant)
            open_buffer_add_special(buffer, i, double_bits(rebuild->values[i]));
    return buffer;
}

static struct open_buffer *build_raw(const struct rebuild *rebuild, uint8_t flags,
                                     struct slab_pool *pool)
{
    struct open_buffer_shape shape = {
        .element_size = sizeof(double),
        .capacity = (uint8_t)open_buffer_capacity_after(rebuild->count - 1),
        .flags = flags,
    };
    struct open_buffer *buffer = open_buffer_create(shape, pool);
    memcpy(open_buffer_elements(buffer), rebuild->values, rebuild->count * sizeof(double));
    return buffer;
}

/* The smallest buffer for the samples; *last_mantissa is what the next delta refers to. */
static struct open_buffer *build(const struct rebuild *rebuild, bool raw, uint32_t exponent,
                                 struct slab_pool *pool, int64_t *last_mantissa)
{
    uint8_t flags = rebuild_has_gaps(rebuild) ? OPEN_BUFFER_GAPS : 0;
    *last_mantissa = 0;
    if (raw)
        return build_raw(rebuild, flags, pool);
    struct open_buffer *buffer = build_constant(rebuild, flags, pool);
    if (buffer != NULL)
        return buffer;
    struct decimal_split split;
    if (!column__decimal_split(rebuild->values, rebuild->count, exponent, &split))
        return build_raw(rebuild, flags, pool);
    uint32_t element_size = delta_size(&split);
    if (element_size == 8)
        return build_raw(rebuild, flags, pool);
    uint32_t capacity =
        element_size == 0 ? COLUMN_ROWS_MAX : open_buffer_capacity_after(rebuild->count - 1);
    buffer = open_buffer_create(
        (struct open_buffer_shape){.element_size = (uint8_t)element_size,
                                   .capacity = (uint8_t)capacity,
                                   .special_capacity =
                                       (uint8_t)special_capacity_for(split.special_count),
                                   .flags = flags},
        pool);
    fill_deltas(buffer, rebuild, &split);
    *last_mantissa = split.integers[split.count - 1];
    return buffer;
}

/* The first step of a column that was constant: deltas of 0 and then one. NULL: see `build`. The
 * samples so far are `count` times `first`, and too few for a constant with specials. */
static struct open_buffer *build_step(double first, uint32_t count, double v,
                                      struct slab_pool *pool, int64_t *last_mantissa)
{
    uint32_t exponent = 0;
    int64_t m0, m1;
    if (!column__decimal_find(first, &exponent, &m0))
        return NULL;
    uint32_t first_exponent = exponent;
    if (!column__decimal_find(v, &exponent, &m1) ||
        (exponent != first_exponent && !column__decimal_at(first, exponent, &m0)))
        return NULL;
    int64_t delta = (int64_t)((uint64_t)m1 - (uint64_t)m0);
    uint64_t zigzag = coding_zigzag(delta);
    if (zigzag > UINT32_MAX)
        return NULL;
    uint32_t size = zigzag <= UINT8_MAX ? 1 : zigzag <= UINT16_MAX ? 2 : 4;
    struct open_buffer *buffer = open_buffer_create(
        (struct open_buffer_shape){.element_size = (uint8_t)size,
                                   .capacity = (uint8_t)open_buffer_capacity_after(count)},
        pool);
    buffer->first = (uint64_t)m0;
    buffer->exponent = (uint8_t)exponent;
    memset(open_buffer_elements(buffer), 0, (size_t)count * size);
    store_element(open_buffer_elements(buffer), size, count, delta);
    *last_mantissa = m1;
    return buffer;
}

/* Takes the step if the slot holds a short constant without gaps and v comes right behind it. */
static bool append_step(struct open_column *slot, uint64_t state, uint32_t row, double v,
                        struct open_column_memory *memory)
{
    uint32_t count = state_count(state);
    if (state_buffer(state) != NULL || (count + 1) / CONSTANT_ROWS_A_SPECIAL > 0 ||
        row != state_row0(state) + count)
        return false;
    struct open_buffer *buffer = build_step(double_from_bits(last_bits_own(slot)), count, v,
                                            memory->pool, &slot->last_mantissa);
    if (buffer == NULL)
        return false;
    replace_buffer(slot, buffer, state_row0(state), count + 1, memory);
    last_bits_store(slot, double_bits(v));
    return true;
}

static bool is_special_at(const struct open_buffer *buffer, uint32_t index)
{
    uint32_t count = atomic_load_explicit(&buffer->special_count, memory_order_relaxed);
    return count > 0 && open_buffer_special_indexes(buffer)[count - 1] == index;
}

/* Everything the fast path cannot do: the samples so far and the new one go into a new buffer of
 * whatever class fits. A few times per window at most. */
static void append_rebuilding(struct open_column *slot, uint32_t row, double v,
                              struct open_column_memory *memory)
{
    struct rebuild rebuild;
    uint64_t state = state_own(slot);
    struct open_column_view view = open_column_view(slot);
    rebuild.row0 = state_row0(state);
    rebuild.count = open_column_decode(&view, COLUMN_ROWS_MAX, rebuild.values, rebuild.bitmap);
    assert(rebuild.count == state_count(state) && rebuild.count < COLUMN_ROWS_MAX);
    rebuild.values[rebuild.count++] = v;
    rebuild.bitmap[row / 64] |= UINT64_C(1) << (row % 64);

    bool raw = slot->element_size == sizeof(double);
    struct open_buffer *buffer =
        build(&rebuild, raw, raw ? 0 : slot->exponent, memory->pool, &slot->last_mantissa);
    if (buffer->flags & OPEN_BUFFER_GAPS)
        for (uint32_t i = 0; i < 4; i++)
            atomic_store_explicit(&open_buffer_bitmap(buffer)[i], rebuild.bitmap[i],
                                  memory_order_relaxed);
    slot->flags &= (uint8_t)~SLOT_LAST_SPECIAL;
    if (is_special_at(buffer, rebuild.count - 1))
        slot->flags |= SLOT_LAST_SPECIAL;
    replace_buffer(slot, buffer, rebuild.row0, rebuild.count, memory);
    last_bits_store(slot, double_bits(v));
}

/* A first gap or a full buffer: the same contents with more room. */
static void make_room(struct open_column *slot, bool gaps, struct open_column_memory *memory)
{
    uint64_t state = state_own(slot);
    struct open_buffer *buffer = state_buffer(state);
    uint32_t count = state_count(state);
    struct open_buffer_shape shape = open_buffer_shape(buffer);
    if (count == shape.capacity)
        shape.capacity = (uint8_t)open_buffer_capacity_after(count);
    if (gaps)
        shape.flags |= OPEN_BUFFER_GAPS;
    struct open_buffer *grown = open_buffer_grow(buffer, count, shape, memory->pool);
    if (gaps)
        for (uint32_t i = 0; i < count; i++)
            bitmap_set(grown, state_row0(state) + i);
    replace_buffer(slot, grown, state_row0(state), count, memory);
}

/* Ends an append whose element is in place. */
static void finish_append(struct open_column *slot, uint64_t state, uint32_t row, uint64_t bits)
{
    if (slot->flags & SLOT_GAPS)
        bitmap_set(state_buffer(state), row);
    last_bits_store(slot, bits);
    state_publish(slot, state + 1);
}

/* The delta of v in the slot's exponent; false if v is no such decimal. */
static bool delta_of(struct open_column *slot, double v, int64_t *m, int64_t *delta)
{
    if (!column__decimal_at(v, slot->exponent, m))
        return false;
    *delta = (int64_t)((uint64_t)*m - (uint64_t)slot->last_mantissa);
    return true;
}

static bool fits(int64_t delta, uint32_t element_size)
{
    uint64_t zigzag = coding_zigzag(delta);
    return zigzag >> (8 * element_size) == 0;
}

/* Appends into the buffer there is, or returns false. */
static bool append_in_place(struct open_column *slot, uint64_t state, uint32_t row, uint64_t bits)
{
    struct open_buffer *buffer = state_buffer(state);
    uint32_t count = state_count(state);
    bool same = bits == last_bits_own(slot) && !(slot->flags & SLOT_LAST_SPECIAL);
    uint32_t size = slot->element_size;
    if (size == sizeof(double)) {
        column__store_u64(open_buffer_elements(buffer) + 8 * count, bits);
    } else if (size == 0) {
        if (bits != buffer->first)
            return false;
        slot->flags &= (uint8_t)~SLOT_LAST_SPECIAL;
    } else {
        int64_t m = slot->last_mantissa;
        int64_t delta = 0;
        if (!same && (!delta_of(slot, double_from_bits(bits), &m, &delta) || !fits(delta, size)))
            return false;
        uint8_t *elements = (uint8_t *)(buffer + 1) + (slot->flags & SLOT_GAPS ? 32 : 0);
        store_element(elements, size, count, delta);
        slot->last_mantissa = m;
        slot->flags &= (uint8_t)~SLOT_LAST_SPECIAL;
    }
    finish_append(slot, state, row, bits);
    return true;
}

/* A value the class cannot say, where a special is still allowed: room in the list is enough. */
static bool append_special(struct open_column *slot, uint64_t state, uint32_t row, uint64_t bits)
{
    struct open_buffer *buffer = state_buffer(state);
    uint32_t count = state_count(state);
    if (__builtin_isfinite(double_from_bits(bits)) ||
        atomic_load_explicit(&buffer->special_count, memory_order_relaxed) >=
            buffer->special_capacity)
        return false;
    open_buffer_add_special(buffer, count, bits);
    if (slot->element_size > 0)
        store_element(open_buffer_elements(buffer), slot->element_size, count, 0);
    slot->flags |= SLOT_LAST_SPECIAL;
    finish_append(slot, state, row, bits);
    return true;
}

void open_column_append(struct open_column *slot, uint32_t row, double v,
                        struct open_column_memory *memory)
{
    assert(row < COLUMN_ROWS_MAX);
    uint64_t bits = double_bits(v);
    uint64_t state = state_own(slot);
    uint32_t count = state_count(state);
    bool contiguous = row == state_row0(state) + count;
    if (state_buffer(state) == NULL) {
        if (count == 0) {
            last_bits_store(slot, bits);
            state_publish(slot, state_make(NULL, row, 1));
        } else if (bits == last_bits_own(slot) && contiguous) {
            state_publish(slot, state + 1);
        } else if (!append_step(slot, state, row, v, memory)) {
            append_rebuilding(slot, row, v, memory);
        }
        return;
    }
    bool first_gap = !contiguous && !(slot->flags & SLOT_GAPS);
    if (first_gap || count == slot->capacity) {
        make_room(slot, first_gap, memory);
        state = state_own(slot);
    }
    if (!append_in_place(slot, state, row, bits) && !append_special(slot, state, row, bits))
        append_rebuilding(slot, row, v, memory);
}

/* The commonest appends, where nothing but a delta or a count is to be written; false: it is
 * another one. */
static inline bool append_common(struct open_column *slot, uint32_t row, uint64_t bits)
{
    uint64_t state = state_own(slot);
    uint32_t count = state_count(state);
    if (row != state_row0(state) + count || count == 0)
        return false;
    struct open_buffer *buffer = state_buffer(state);
    bool same = bits == last_bits_own(slot);
    if (buffer == NULL) {
        if (same)
            state_publish(slot, state + 1);
        return same;
    }
    /* Without flags there is no bitmap, and the last sample is no special. */
    if (slot->flags != 0 || count == slot->capacity)
        return false;
    uint32_t size = slot->element_size;
    uint8_t *elements = (uint8_t *)(buffer + 1);
    if (size == 0)
        return false;
    if (size == sizeof(double)) {
        column__store_u64(elements + 8 * count, bits);
    } else {
        int64_t m = slot->last_mantissa;
        int64_t delta = 0;
        if (!same && (!delta_of(slot, double_from_bits(bits), &m, &delta) || !fits(delta, size)))
            return false;
        store_element(elements, size, count, delta);
        slot->last_mantissa = m;
    }
    last_bits_store(slot, bits);
    state_publish(slot, state + 1);
    return true;
}

void open_column_append_row(struct open_column *const *slots, uint32_t count, uint32_t ahead,
                            uint32_t row, const double *values, struct open_column_memory *memory)
{
    assert(row < COLUMN_ROWS_MAX);
    for (uint32_t i = 0; i < count; i++) {
        if (i + OPEN_COLUMN_AHEAD < count + ahead)
            open_column_prefetch(slots[i + OPEN_COLUMN_AHEAD]);
        if (i + BUFFERS_AHEAD < count + ahead)
            open_column_prefetch_buffer(slots[i + BUFFERS_AHEAD]);
        if (!append_common(slots[i], row, double_bits(values[i])))
            open_column_append(slots[i], row, values[i], memory);
    }
}

void open_column_prefetch_buffer(const struct open_column *slot)
{
    uint64_t state = state_own(slot);
    const struct open_buffer *buffer = state_buffer(state);
    if (buffer != NULL)
        __builtin_prefetch((const uint8_t *)(buffer + 1) + state_count(state) * slot->element_size,
                           1);
}

struct open_column_view open_column_view(const struct open_column *slot)
{
    uint64_t state = atomic_load_explicit(&slot->state, memory_order_acquire);
    uint64_t constant_bits = 0;
    if (state_buffer(state) == NULL && state_count(state) > 0) {
        /* The writer publishes a slot's first buffer before it changes last_bits: if these bits are
         * newer than the state, the second look at the state finds that buffer. */
        constant_bits = atomic_load_explicit(&slot->last_bits, memory_order_acquire);
        state = atomic_load_explicit(&slot->state, memory_order_acquire);
    }
    return (struct open_column_view){
        .buffer = state_buffer(state),
        .constant_bits = constant_bits,
        .row0 = (uint16_t)state_row0(state),
        .count = (uint16_t)state_count(state),
    };
}

struct open_column_view open_column_take(struct open_column *slot)
{
    struct open_column_view view = open_column_view(slot);
    slot->element_size = 0;
    slot->exponent = 0;
    slot->capacity = 0;
    slot->flags = 0;
    state_publish(slot, 0);
    return view;
}

void open_column_release(struct open_column_view *view, struct open_column_memory *memory)
{
    retire((struct open_buffer *)(uintptr_t)view->buffer, memory);
    *view = (struct open_column_view){0};
}

size_t open_column_buffer_size(const struct open_column_view *view)
{
    return view->buffer == NULL ? 0 : open_buffer_size(open_buffer_shape(view->buffer));
}
