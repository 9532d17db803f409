/* Runs a fuzz target on seeded random inputs where libFuzzer is not linked: bytes, text of the
 * characters that grammars are made of, and mutations of the inputs before. The seed is printed and
 * may be given as the first argument; the second is the number of inputs. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
/* Targets that prepare something have it. */
__attribute__((weak)) int LLVMFuzzerInitialize(int *argc, char ***argv);

enum { INPUT_BYTES_MAX = 2048, INPUTS_DEFAULT = 3000 };

static uint64_t state;

/* splitmix64 */
static uint64_t next_random(void)
{
    uint64_t z = (state += UINT64_C(0x9e3779b97f4a7c15));
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

static size_t make_bytes(uint8_t *data)
{
    size_t size = next_random() % INPUT_BYTES_MAX;
    for (size_t i = 0; i < size; i++)
        data[i] = (uint8_t)next_random();
    return size;
}

static size_t make_text(uint8_t *data)
{
    static const char characters[] = "abcle_01259.+-eE:{}[]()\"'\\,=~!<>@#% \n\t/*|^$?xX";
    size_t size = next_random() % 200;
    for (size_t i = 0; i < size; i++)
        data[i] = (uint8_t)characters[next_random() % (sizeof characters - 1)];
    return size;
}

static size_t mutate(uint8_t *data, size_t size)
{
    for (uint64_t edits = 1 + next_random() % 4; edits > 0 && size > 0; edits--) {
        size_t at = next_random() % size;
        switch (next_random() % 3) {
        case 0:
            data[at] = (uint8_t)next_random();
            break;
        case 1:
            memmove(data + at, data + at + 1, size - at - 1);
            size--;
            break;
        default:
            size = at;
            break;
        }
    }
    return size;
}

int main(int argc, char **argv)
{
    static uint8_t data[INPUT_BYTES_MAX];
    uint64_t seed = argc > 1 ? strtoull(argv[1], NULL, 0) : 20260101;
    long inputs = argc > 2 ? strtol(argv[2], NULL, 0) : INPUTS_DEFAULT;
    size_t size = 0;
    printf("seed %llu, %ld inputs\n", (unsigned long long)seed, inputs);
    fflush(stdout);
    state = seed;
    if (LLVMFuzzerInitialize != NULL && LLVMFuzzerInitialize(&argc, &argv) != 0)
        return 1;
    for (long i = 0; i < inputs; i++) {
        uint64_t kind = next_random() % 4;
        size = kind == 0 ? make_bytes(data) : kind == 1 ? make_text(data) : mutate(data, size);
        /* Exactly sized, so that a sanitizer sees one byte too far. */
        uint8_t *exact = malloc(size == 0 ? 1 : size);
        if (exact == NULL)
            return 1;
        memcpy(exact, data, size);
        LLVMFuzzerTestOneInput(exact, size);
        free(exact);
    }
    return 0;
}
