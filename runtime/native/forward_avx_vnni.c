/* AVX2 and FMA with AVX-VNNI: vpdpbusd adds 32 products. */
#include "engine.h"

#if HAVE_AVX_VNNI

#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx2,fma,avxvnni"))), apply_to = function)
#else
#pragma GCC target("avx2,fma,avxvnni")
#endif
#include "lanes_avx2.h"

#define FORWARD tg_forward_avx_vnni

#define PREPARE(p, bytes) __m256i p = bytes;
#define ADD(sum, p, weights) _mm256_dpbusd_avx_epi32(sum, p, weights)
PRODUCTS(any, PREPARE, ADD)

static void product8(size_t rows, size_t vectors, int narrow, const uint8_t *const *x, size_t groups, const int8_t *w,
                     const int32_t *start, int32_t *out)
{
    (void)narrow;
    if (vectors == 4) any_of(4, rows, x, groups, w, start, out);
    else any_of(3, rows, x, groups, w, start, out);
}

#include "forward.h"

#if defined(__clang__)
#pragma clang attribute pop
#endif
#endif
