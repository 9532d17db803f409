/* Selections of the head, kept.
 *
 * An entry counts for readers of the generation it was made in: series that come, go or become
 * visible start a new one (head__publish_locked), so nothing has to be looked for and removed. The
 * labels are views of the head's strings, which every reader of that generation holds.
 */
#include <assert.h>
#include <string.h>

#include "db_impl.h"
#include "narthex/base/hash.h"

void db__selections_init(struct db_selections *selections)
{
    mutex_init(&selections->lock);
}

static void drop_reference(struct db_selection *selection)
{
    assert(selection->references > 0);
    if (--selection->references == 0)
        mem_free(MEM_POSTINGS, selection);
}

static void remove_locked(struct db_selections *selections, uint32_t at)
{
    struct db_selection *selection = selections->entries[at];
    if (selection == NULL)
        return;
    selections->entries[at] = NULL;
    selections->hashes[at] = 0;
    selections->bytes -= selection->bytes;
    drop_reference(selection);
}

void db__selections_deinit(struct db_selections *selections)
{
    for (uint32_t i = 0; i < DB_SELECTIONS_MAX; i++) {
        assert(selections->entries[i] == NULL || selections->entries[i]->references == 1);
        remove_locked(selections, i);
    }
    mutex_deinit(&selections->lock);
}

static void add_text(struct strbuf *key, struct str text)
{
    strbuf_add(key, &text.size, sizeof text.size);
    strbuf_add_str(key, text);
}

void db__selection_key(struct selector selector, struct strbuf *key)
{
    for (size_t i = 0; i < selector.count; i++) {
        const struct matcher *matcher = &selector.matchers[i];
        strbuf_add_char(key, (char)('0' + (int)matcher->kind));
        add_text(key, matcher->name);
        add_text(key, matcher->value);
    }
}

static bool is_entry(const struct db_selection *entry, struct str key, uint64_t generation)
{
    return entry != NULL && entry->generation == generation && str_equal(entry->key, key);
}

struct db_selection *db__selection_get(struct db_selections *selections, struct str key,
                                       uint64_t generation)
{
    uint64_t hash = hash_str(key);
    struct db_selection *found = NULL;
    mutex_lock(&selections->lock);
    for (uint32_t i = 0; i < DB_SELECTIONS_MAX && found == NULL; i++) {
        if (selections->hashes[i] == hash && is_entry(selections->entries[i], key, generation))
            found = selections->entries[i];
    }
    if (found != NULL) {
        found->references++;
        selections->hit_count++;
    } else {
        selections->miss_count++;
    }
    mutex_unlock(&selections->lock);
    return found;
}

void db__selection_put(struct db_selections *selections, struct db_selection *selection)
{
    mutex_lock(&selections->lock);
    drop_reference(selection);
    mutex_unlock(&selections->lock);
}

/* One block: the entry, the series, their labels, the key. NULL when that is too much. */
static struct db_selection *copy_of(struct str key, const struct db_found_series *items,
                                    size_t count)
{
    size_t label_count = 0;
    for (size_t i = 0; i < count; i++)
        label_count += items[i].labels.count;
    size_t bytes = sizeof(struct db_selection) + count * sizeof *items +
                   label_count * sizeof(struct label) + key.size;
    if (bytes > DB_SELECTION_BYTES_MAX)
        return NULL;
    struct db_selection *selection = mem_alloc(MEM_POSTINGS, bytes);
    struct db_found_series *copies = (struct db_found_series *)(selection + 1);
    struct label *labels = (struct label *)(copies + count);
    char *text = (char *)(labels + label_count);
    *selection = (struct db_selection){
        .key = str_from(text, key.size), .bytes = bytes, .items = copies, .count = count};
    for (size_t i = 0; i < count; i++) {
        copies[i] = items[i];
        copies[i].labels.items = labels;
        if (items[i].labels.count > 0)
            memcpy(labels, items[i].labels.items, items[i].labels.count * sizeof *labels);
        labels += items[i].labels.count;
    }
    if (key.size > 0)
        memcpy(text, key.data, key.size);
    return selection;
}

/* Removes what no new reader asks for, and more if room is wanted: the place it leaves is next. */
static void make_room_locked(struct db_selections *selections, struct str key, uint64_t generation,
                             size_t bytes)
{
    for (uint32_t i = 0; i < DB_SELECTIONS_MAX; i++) {
        const struct db_selection *entry = selections->entries[i];
        if (entry != NULL && (entry->generation < generation || is_entry(entry, key, generation)))
            remove_locked(selections, i);
    }
    for (uint32_t i = 0; i < DB_SELECTIONS_MAX; i++) {
        uint32_t at = (selections->next + i) % DB_SELECTIONS_MAX;
        if (i == 0 || selections->bytes + bytes > DB_SELECTIONS_BYTES_MAX)
            remove_locked(selections, at);
    }
}

void db__selection_keep(struct db_selections *selections, struct str key, uint64_t generation,
                        const struct db_found_series *items, size_t count)
{
    struct db_selection *selection = copy_of(key, items, count);
    if (selection == NULL)
        return;
    selection->generation = generation;
    selection->references = 1;
    mutex_lock(&selections->lock);
    make_room_locked(selections, key, generation, selection->bytes);
    selections->entries[selections->next] = selection;
    selections->hashes[selections->next] = hash_str(key);
    selections->next = (selections->next + 1) % DB_SELECTIONS_MAX;
    selections->bytes += selection->bytes;
    mutex_unlock(&selections->lock);
}
