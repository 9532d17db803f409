#include "scrape_body.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "narthex/base/mem.h"

static void pack(struct scrape_body *out, const char *data, size_t size)
{
    struct libdeflate_compressor *compressor = libdeflate_alloc_compressor(6);
    size_t room = libdeflate_gzip_compress_bound(compressor, size);
    char *packed = mem_alloc(MEM_TEST, room);
    size_t packed_size = libdeflate_gzip_compress(compressor, data, size, packed, room);
    assert_true(scrape_body_add(out, packed, packed_size, SIZE_MAX));
    mem_free(MEM_TEST, packed);
    libdeflate_free_compressor(compressor);
}

struct unpacking {
    struct libdeflate_decompressor *decompressor;
    struct scrape_body packed;
    struct scrape_body out;
    struct strbuf why;
};

static void begin(struct unpacking *u)
{
    *u = (struct unpacking){.decompressor = libdeflate_alloc_decompressor()};
}

static void end(struct unpacking *u)
{
    libdeflate_free_decompressor(u->decompressor);
    scrape_body_deinit(&u->packed);
    scrape_body_deinit(&u->out);
    strbuf_deinit(&u->why);
}

static void test_members_are_joined(void **state)
{
    (void)state;
    struct unpacking u;
    begin(&u);
    pack(&u.packed, "first\n", 6);
    pack(&u.packed, "second\n", 7);
    assert_int_equal(scrape_body_gunzip(u.decompressor, &u.packed, 1, SIZE_MAX / 2, &u.out, &u.why),
                     OK);
    assert_int_equal(u.out.size, 13);
    assert_memory_equal(u.out.data, "first\nsecond\n", 13);
    assert_int_equal(u.out.data[13], 0);
    end(&u);
}

/* 64 MiB of zeros pack into 64 KiB; the limit is 1 MiB and so is what is used. */
static void test_bomb_stops_at_the_limit(void **state)
{
    (void)state;
    enum { BOMB = 64 << 20, LIMIT = 1 << 20 };
    struct unpacking u;
    begin(&u);
    char *zeros = mem_calloc(MEM_TEST, 1, BOMB);
    pack(&u.packed, zeros, BOMB);
    mem_free(MEM_TEST, zeros);
    assert_int_equal(scrape_body_gunzip(u.decompressor, &u.packed, 0, LIMIT, &u.out, &u.why),
                     ERR_LIMIT);
    assert_string_equal(strbuf_cstr(&u.why), "body size limit exceeded");
    assert_true(u.out.capacity <= 2 * LIMIT);
    end(&u);
}

static void test_limit_is_exclusive(void **state)
{
    (void)state;
    struct unpacking u;
    begin(&u);
    pack(&u.packed, "0123456789", 10);
    assert_int_equal(scrape_body_gunzip(u.decompressor, &u.packed, 0, 10, &u.out, &u.why),
                     ERR_LIMIT);
    assert_int_equal(scrape_body_gunzip(u.decompressor, &u.packed, 0, 11, &u.out, &u.why), OK);
    assert_false(scrape_body_add(&u.out, "x", 1, 11));
    assert_true(scrape_body_add(&u.out, "x", 1, 12));
    end(&u);
}

static void test_damage_is_named(void **state)
{
    (void)state;
    struct unpacking u;
    begin(&u);
    pack(&u.packed, "some text that is packed\n", 25);
    u.packed.size -= 4;
    assert_int_equal(scrape_body_gunzip(u.decompressor, &u.packed, 0, 1000, &u.out, &u.why),
                     ERR_CORRUPT);
    assert_string_equal(strbuf_cstr(&u.why), "unexpected EOF");
    u.packed.size += 4;
    u.packed.data[u.packed.size - 8] ^= 1;
    assert_int_equal(scrape_body_gunzip(u.decompressor, &u.packed, 0, 1000, &u.out, &u.why),
                     ERR_CORRUPT);
    assert_string_equal(strbuf_cstr(&u.why), "gzip: invalid checksum");
    u.packed.data[0] = 'x';
    assert_int_equal(scrape_body_gunzip(u.decompressor, &u.packed, 0, 1000, &u.out, &u.why),
                     ERR_CORRUPT);
    assert_string_equal(strbuf_cstr(&u.why), "gzip: invalid header");
    u.packed.size = 9; /* Go reads the ten bytes of the head first */
    assert_int_equal(scrape_body_gunzip(u.decompressor, &u.packed, 0, 1000, &u.out, &u.why),
                     ERR_CORRUPT);
    assert_string_equal(strbuf_cstr(&u.why), "unexpected EOF");
    end(&u);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_members_are_joined),
        cmocka_unit_test(test_bomb_stops_at_the_limit),
        cmocka_unit_test(test_limit_is_exclusive),
        cmocka_unit_test(test_damage_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
