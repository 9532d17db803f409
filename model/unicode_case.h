/* model/unicode_case.h: simple case mapping and folding of Unicode 15.0. Pure functions. */
#pragma once

#include <stddef.h>
#include <stdint.h>

enum { UNICODE_END = 0x110000 }; /* first number that is no rune */

uint32_t rune_to_lower(uint32_t rune);
uint32_t rune_to_upper(uint32_t rune);
/* Other runes equal to `rune` under simple folding; returns how many (at most 3). */
uint32_t rune_fold_others(uint32_t rune, uint32_t out[3]);
/* Smallest rune above `rune` that may have others, or UNICODE_END. */
uint32_t rune_fold_next(uint32_t rune);
