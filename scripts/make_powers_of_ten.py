#!/usr/bin/env python3
"""Writes base/powers_of_ten.c: the leading 128 bits of the powers of ten, from exact integers.

usage: make_powers_of_ten.py > base/powers_of_ten.c
       make_powers_of_ten.py --check base/powers_of_ten.c    (exit 1 if the file differs)
"""
import sys

FIRST, LAST = -342, 324


def leading_bits(exponent):
    """floor(10^exponent * 2^s) with s such that the result has exactly 128 bits."""
    if exponent >= 0:
        power = 10**exponent
        shift = power.bit_length() - 128
        return power >> shift if shift >= 0 else power << -shift
    divisor = 10**-exponent
    shift = divisor.bit_length() + 127
    quotient = (1 << shift) // divisor
    return quotient if quotient.bit_length() == 128 else (1 << (shift - 1)) // divisor


def check_logarithms():
    """The multiply-and-shift logarithms of powers_of_ten.h against exact integers."""
    for e in range(-1200, 1200):
        # floor(log10(2^e)): the k with 10^k <= 2^e < 10^(k+1); both sides scaled to integers.
        for factor, offset in ((4, 0), (3, 524031)):
            k = (e * 1262611 - offset) >> 22
            scale = 10**500 << 1300
            value = scale * factor // 4 * 2**e if e >= 0 else scale * factor // 4 // 2**-e
            low = scale * 10**k if k >= 0 else scale // 10**-k
            high = scale * 10 ** (k + 1) if k + 1 >= 0 else scale // 10 ** -(k + 1)
            assert low <= value < high, (e, factor)
    for e in range(FIRST, LAST + 1):
        k = (e * 1741647) >> 19
        low, value = 2 ** max(k, 0) * 10 ** max(-e, 0), 10 ** max(e, 0) * 2 ** max(-k, 0)
        assert low <= value < 2 * low, e


def table():
    yield "/* Made by scripts/make_powers_of_ten.py: do not edit. */"
    yield "/* clang-format off: the generator fixes the form, so that --check can compare. */"
    yield '#include "powers_of_ten.h"'
    yield ""
    yield "const struct power_of_ten powers_of_ten[POWER_OF_TEN_LAST - POWER_OF_TEN_FIRST + 1] = {"
    for exponent in range(FIRST, LAST + 1):
        bits = leading_bits(exponent)
        assert bits.bit_length() == 128
        yield f"    {{0x{bits >> 64:016x}, 0x{bits & (1 << 64) - 1:016x}}}, /* 10^{exponent} */"
    yield "};"


def main():
    check_logarithms()
    text = "\n".join(table()) + "\n"
    if len(sys.argv) == 3 and sys.argv[1] == "--check":
        with open(sys.argv[2], encoding="ascii") as file:
            return 0 if file.read() == text else 1
    sys.stdout.write(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
