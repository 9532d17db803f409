#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "narthex/base/clock.h"
#include "narthex/base/mem.h"
#include "narthex/base/vec.h"

static void every_byte_is_counted_and_given_back(void **state)
{
    (void)state;
    assert_int_equal(mem_bytes(MEM_TEST), 0);
    char *a = mem_alloc(MEM_TEST, 1000);
    assert_true(mem_bytes(MEM_TEST) >= 1000);
    int64_t others = mem_bytes(MEM_QUERY);
    uint32_t *b = mem_calloc(MEM_TEST, 100, sizeof *b);
    for (int i = 0; i < 100; i++)
        assert_int_equal(b[i], 0);
    a = mem_realloc(MEM_TEST, a, 100000);
    assert_true(mem_bytes(MEM_TEST) >= 100400);
    assert_true(mem_bytes(MEM_QUERY) == others);
    char *copy = mem_dup(MEM_TEST, "text and more", 4);
    assert_string_equal(copy, "text");
    mem_free(MEM_TEST, a);
    mem_free(MEM_TEST, b);
    mem_free(MEM_TEST, copy);
    mem_free(MEM_TEST, NULL);
    assert_int_equal(mem_bytes(MEM_TEST), 0);
}

static void nothing_is_something_that_can_be_freed(void **state)
{
    (void)state;
    void *a = mem_alloc(MEM_TEST, 0);
    void *b = mem_calloc(MEM_TEST, 0, 8);
    char *c = mem_dup(MEM_TEST, NULL, 0);
    assert_non_null(a);
    assert_non_null(b);
    assert_string_equal(c, "");
    mem_free(MEM_TEST, a);
    mem_free(MEM_TEST, b);
    mem_free(MEM_TEST, c);
    assert_int_equal(mem_bytes(MEM_TEST), 0);
}

static void pressure_rises_with_what_is_above_the_budget(void **state)
{
    (void)state;
    const int64_t mebibyte = 1 << 20;
    assert_int_equal(mem_pressure(), MEM_PLENTY);
    mem_set_budget(mem_total_bytes() + 8 * mebibyte);
    assert_int_equal(mem_pressure(), MEM_PLENTY);
    void *a = mem_alloc(MEM_TEST, 8 * mebibyte + 4096);
    assert_int_equal(mem_pressure(), MEM_OVER);
    void *b = mem_alloc(MEM_TEST, mem_budget() / 8);
    assert_int_equal(mem_pressure(), MEM_FAR_OVER);
    mem_free(MEM_TEST, b);
    assert_int_equal(mem_pressure(), MEM_OVER);
    mem_free(MEM_TEST, a);
    assert_int_equal(mem_pressure(), MEM_PLENTY);
    mem_set_budget(0);
}

static void subsystems_have_names_of_their_own(void **state)
{
    (void)state;
    for (int i = 0; i < MEM_SUBSYSTEM_COUNT; i++) {
        assert_non_null(mem_subsystem_name((enum mem_subsystem)i));
        for (int j = 0; j < i; j++)
            assert_string_not_equal(mem_subsystem_name((enum mem_subsystem)i),
                                    mem_subsystem_name((enum mem_subsystem)j));
    }
}

static void vectors_grow(void **state)
{
    (void)state;
    uint32_t *items = NULL;
    uint32_t count = 0;
    uint32_t capacity = 0;
    for (uint32_t i = 0; i < 1000; i++)
        VEC_PUSH(MEM_TEST, items, count, capacity, i * 3);
    assert_int_equal(count, 1000);
    for (uint32_t i = 0; i < 1000; i++)
        assert_int_equal(items[i], i * 3);
    VEC_RESERVE(MEM_TEST, items, capacity, 5000);
    assert_int_equal(capacity, 5000);
    assert_int_equal(items[999], 2997);
    mem_free(MEM_TEST, items);
}

static void clocks(void **state)
{
    (void)state;
    struct manual_clock manual;
    manual_clock_init(&manual, 5000);
    assert_int_equal(clock_wall_ms(&manual.clock), 5000);
    assert_int_equal(clock_monotonic_ns(&manual.clock), 5000000000);
    manual_clock_set(&manual, 5001);
    assert_int_equal(clock_wall_ms(&manual.clock), 5001);
    int64_t before = clock_monotonic_ns(clock_system());
    assert_true(clock_monotonic_ns(clock_system()) >= before);
    assert_true(clock_wall_ms(clock_system()) > 1700000000000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_byte_is_counted_and_given_back),
        cmocka_unit_test(nothing_is_something_that_can_be_freed),
        cmocka_unit_test(pressure_rises_with_what_is_above_the_budget),
        cmocka_unit_test(subsystems_have_names_of_their_own),
        cmocka_unit_test(vectors_grow),
        cmocka_unit_test(clocks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
