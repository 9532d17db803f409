#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "narthex/base/hash.h"

static void crc32c_of_known_vectors(void **state)
{
    (void)state;
    assert_int_equal(hash_crc32c(0, "", 0), 0);
    assert_int_equal(hash_crc32c(0, "123456789", 9), 0xe3069283);
    /* RFC 3720, appendix B.4 */
    uint8_t bytes[32] = {0};
    assert_int_equal(hash_crc32c(0, bytes, 32), 0x8a9136aa);
    memset(bytes, 0xff, 32);
    assert_int_equal(hash_crc32c(0, bytes, 32), 0x62a8ab43);
    for (int i = 0; i < 32; i++)
        bytes[i] = (uint8_t)i;
    assert_int_equal(hash_crc32c(0, bytes, 32), 0x46dd794e);
    for (int i = 0; i < 32; i++)
        bytes[i] = (uint8_t)(31 - i);
    assert_int_equal(hash_crc32c(0, bytes, 32), 0x113fdb5c);
}

static void crc32c_continues_at_every_cut(void **state)
{
    (void)state;
    const char *text = "The quick brown fox jumps over the lazy dog, twice.";
    size_t size = strlen(text);
    uint32_t whole = hash_crc32c(0, text, size);
    for (size_t cut = 0; cut <= size; cut++)
        assert_int_equal(hash_crc32c(hash_crc32c(0, text, cut), text + cut, size - cut), whole);
}

static void xxh64_of_known_vectors(void **state)
{
    (void)state;
    assert_true(hash_xxh64("", 0) == UINT64_C(0xef46db3751d8e999));
    assert_true(hash_xxh64("a", 1) == UINT64_C(0xd24ec4f1a98c6e5b));
    assert_true(hash_xxh64("abc", 3) == UINT64_C(0x44bc2cf5ad770999));
}

static void hashes_depend_on_every_byte_and_the_seed(void **state)
{
    (void)state;
    char text[64];
    memset(text, 'x', sizeof text);
    uint64_t before = hash_bytes(text, sizeof text);
    assert_true(hash_str(str_from(text, sizeof text)) == before);
    for (size_t i = 0; i < sizeof text; i++) {
        text[i] = 'y';
        assert_true(hash_bytes(text, sizeof text) != before);
        text[i] = 'x';
    }
    assert_true(hash_bytes(text, 63) != before);
    assert_true(hash_bytes_seeded(text, 64, 1) != hash_bytes_seeded(text, 64, 2));
    assert_true(hash_mix(1, 2) != hash_mix(2, 1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(crc32c_of_known_vectors),
        cmocka_unit_test(crc32c_continues_at_every_cut),
        cmocka_unit_test(xxh64_of_known_vectors),
        cmocka_unit_test(hashes_depend_on_every_byte_and_the_seed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
