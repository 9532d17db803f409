#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "narthex/base/arena.h"

static void reset_returns_to_the_mark(void **state)
{
    (void)state;
    struct arena arena;
    arena_init(&arena, MEM_TEST, SIZE_MAX);
    char *first = arena_alloc(&arena, 10);
    struct arena_mark mark = arena_mark(&arena);
    for (int i = 0; i < 1000; i++)
        arena_alloc(&arena, 1000);
    arena_reset_to(&arena, mark);
    char *second = arena_alloc(&arena, 10);
    assert_true(second > first && second - first <= 64);
    arena_deinit(&arena);
    assert_int_equal(mem_bytes(MEM_TEST), 0);
}

static void budget_refuses_large_and_flags_small(void **state)
{
    (void)state;
    struct arena arena;
    arena_init(&arena, MEM_TEST, 100 * 1024);
    assert_null(arena_try_alloc(&arena, 200 * 1024));
    assert_non_null(arena_try_alloc(&arena, 50 * 1024));
    assert_false(arena_exhausted(&arena));
    for (int i = 0; i < 100; i++)
        assert_non_null(arena_alloc(&arena, 4096));
    assert_true(arena_exhausted(&arena));
    arena_deinit(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reset_returns_to_the_mark),
        cmocka_unit_test(budget_refuses_large_and_flags_small),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
