/* The ring of exemplars, written to a checkpoint while commits add to it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "head_impl.h"

enum { CAPACITY = 8 };

static struct exemplar make(uint32_t number)
{
    static struct label label = {STR_INIT("trace"), STR_INIT("x")};
    return (struct exemplar){.labels = {&label, 1}, .value = number, .t_ms = number};
}

/* Exemplar `number` of a series of its own. */
static void add(struct head_exemplars *exemplars, uint32_t number)
{
    struct exemplar exemplar = make(number);
    head__exemplar_add(exemplars, number + 1, &exemplar);
}

static void expect(const struct strbuf *body, uint32_t number)
{
    struct strbuf wanted = STRBUF_INIT;
    struct exemplar exemplar = make(number);
    wal_encode_exemplar(&wanted, number + 1, exemplar.t_ms, exemplar.value, exemplar.labels);
    assert_true(str_equal(strbuf_str(body), strbuf_str(&wanted)));
    strbuf_deinit(&wanted);
}

static void a_checkpoint_misses_none_that_is_kept(void **state)
{
    (void)state;
    struct head_exemplars *exemplars = head__exemplars_create(CAPACITY);
    struct strbuf body = STRBUF_INIT;
    for (uint32_t i = 0; i < CAPACITY; i++)
        add(exemplars, i);
    uint64_t from = head__exemplars_encode(exemplars, 0, 1, &body);
    expect(&body, 0);
    for (uint32_t i = CAPACITY; i < CAPACITY + 3; i++)
        add(exemplars, i);
    /* The next three have gone. */
    for (uint32_t i = 3; i < CAPACITY + 3; i++) {
        assert_true(from != UINT64_MAX);
        strbuf_clear(&body);
        from = head__exemplars_encode(exemplars, from, 1, &body);
        expect(&body, i);
    }
    assert_true(from == UINT64_MAX);
    strbuf_deinit(&body);
    head__exemplars_destroy(exemplars);
}

static void another_size_keeps_the_newest(void **state)
{
    (void)state;
    struct head_exemplars *exemplars = head__exemplars_create(CAPACITY);
    struct strbuf body = STRBUF_INIT;
    for (uint32_t i = 0; i < CAPACITY + 3; i++)
        add(exemplars, i);
    head__exemplars_resize(exemplars, 2);
    uint64_t from = head__exemplars_encode(exemplars, 0, 1, &body);
    expect(&body, CAPACITY + 1);
    strbuf_clear(&body);
    assert_true(head__exemplars_encode(exemplars, from, 1, &body) == UINT64_MAX);
    expect(&body, CAPACITY + 2);
    strbuf_deinit(&body);
    head__exemplars_destroy(exemplars);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_checkpoint_misses_none_that_is_kept),
        cmocka_unit_test(another_size_keeps_the_newest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
