#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "narthex/base/htable.h"

enum { KEYS = 3000, ROUNDS = 60000 };

static const uint64_t seed = 42;

/* Items are numbers of keys; a key's hash keeps few bits, so that many collide. */
struct owner {
    uint64_t keys[KEYS];
    bool present[KEYS];
};

static bool equal(const void *context, uint32_t item, const void *key)
{
    const struct owner *owner = context;
    return owner->keys[item] == *(const uint64_t *)key;
}

static uint64_t poor_hash(uint64_t key)
{
    return key % 97;
}

static uint64_t next_random(uint64_t *state)
{
    *state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return *state >> 33;
}

static void agrees_with_a_list_of_flags(void **state)
{
    (void)state;
    print_message("seed %" PRIu64 "\n", seed);
    static struct owner owner;
    for (uint32_t i = 0; i < KEYS; i++)
        owner.keys[i] = (uint64_t)i * 7;
    struct htable table;
    htable_init(&table, MEM_TEST);
    uint64_t random = seed;
    uint32_t live = 0;
    for (int round = 0; round < ROUNDS; round++) {
        uint32_t item = (uint32_t)(next_random(&random) % KEYS);
        uint64_t hash = poor_hash(owner.keys[item]);
        uint32_t found = htable_find(&table, hash, equal, &owner, &owner.keys[item]);
        assert_int_equal(found, owner.present[item] ? item : HTABLE_NONE);
        /* Grows to about two thirds of the keys, then falls. */
        bool add = next_random(&random) % 3 != 0;
        if (round > ROUNDS / 2)
            add = !add;
        if (add && !owner.present[item]) {
            htable_insert(&table, hash, item);
            owner.present[item] = true;
            live++;
        } else if (!add) {
            assert_int_equal(htable_remove(&table, hash, item), owner.present[item]);
            live -= owner.present[item];
            owner.present[item] = false;
        }
        assert_int_equal(table.count, live);
    }
    htable_clear(&table);
    for (uint32_t i = 0; i < KEYS; i++)
        assert_int_equal(
            htable_find(&table, poor_hash(owner.keys[i]), equal, &owner, &owner.keys[i]),
            HTABLE_NONE);
    htable_deinit(&table);
    assert_int_equal(mem_bytes(MEM_TEST), 0);
}

static void marker_hashes_are_ordinary_hashes(void **state)
{
    (void)state;
    struct owner *owner = MEM_NEW(MEM_TEST, struct owner);
    for (uint32_t i = 0; i < 4; i++)
        owner->keys[i] = i;
    struct htable table;
    htable_init(&table, MEM_TEST);
    for (uint32_t i = 0; i < 4; i++)
        htable_insert(&table, i, i);
    for (uint32_t i = 0; i < 4; i++)
        assert_int_equal(htable_find(&table, i, equal, owner, &owner->keys[i]), i);
    assert_true(htable_remove(&table, 1, 1));
    assert_false(htable_remove(&table, 1, 1));
    assert_int_equal(htable_find(&table, 1, equal, owner, &owner->keys[1]), HTABLE_NONE);
    assert_int_equal(htable_find(&table, 3, equal, owner, &owner->keys[3]), 3);
    htable_deinit(&table);
    mem_free(MEM_TEST, owner);
}

static void churn_does_not_grow_the_table(void **state)
{
    (void)state;
    struct htable table;
    htable_init(&table, MEM_TEST);
    for (uint32_t i = 0; i < 100000; i++) {
        htable_insert(&table, i * UINT64_C(0x9e3779b97f4a7c15), i);
        if (i >= 10)
            assert_true(htable_remove(&table, (i - 10) * UINT64_C(0x9e3779b97f4a7c15), i - 10));
    }
    assert_int_equal(table.count, 10);
    assert_true(table.capacity <= 64);
    assert_true(htable_bytes(&table) <= 64 * 12);
    htable_deinit(&table);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(agrees_with_a_list_of_flags),
        cmocka_unit_test(marker_hashes_are_ordinary_hashes),
        cmocka_unit_test(churn_does_not_grow_the_table),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
