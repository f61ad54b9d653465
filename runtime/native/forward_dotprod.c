/* NEON with dot products: sdot adds 16 products. */
#include "engine.h"

#if HAVE_NEON

#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("dotprod"))), apply_to = function)
#else
#pragma GCC target("+dotprod")
#endif
#include "lanes_neon.h"

#define FORWARD tg_forward_dotprod

LANE int32x4_t add16(int32x4_t sum, int8x16_t x, int8x16_t w) { return vdotq_s32(sum, x, w); }

#include "product_neon.h"
#include "forward.h"

#if defined(__clang__)
#pragma clang attribute pop
#endif
#endif
