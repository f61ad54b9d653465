/* AVX2 and FMA. vpmaddubsw adds pairs of products in 16 bits, with saturation, which neither kind of
 * weights reaches: 2 * 255 * 64 for an LSTM, and 2 * 127 * 127 for the others, whose activations are
 * taken as signed ones, the sign being moved to the weight. */
#include "engine.h"

#if HAVE_X86

#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx2,fma"))), apply_to = function)
#else
#pragma GCC target("avx2,fma")
#endif
#include "lanes_avx2.h"

#define FORWARD tg_forward_avx2

LANE __m256i add_pairs(__m256i sum, __m256i pairs)
{
    return _mm256_add_epi32(sum, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
}

#define PREPARE_NARROW(p, bytes) __m256i p = bytes;
#define ADD_NARROW(sum, p, weights) add_pairs(sum, _mm256_maddubs_epi16(p, weights))
PRODUCTS(narrow, PREPARE_NARROW, ADD_NARROW)

typedef struct {
    __m256i sign, size;
} Signed;
#define PREPARE_WIDE(p, bytes) \
    Signed p;                  \
    p.sign = _mm256_xor_si256(bytes, _mm256_set1_epi8(-128)), p.size = _mm256_abs_epi8(p.sign);
#define ADD_WIDE(sum, p, weights) add_pairs(sum, _mm256_maddubs_epi16((p).size, _mm256_sign_epi8(weights, (p).sign)))
PRODUCTS(wide, PREPARE_WIDE, ADD_WIDE)

static void product8(size_t rows, size_t vectors, int is_narrow, const uint8_t *const *x, size_t groups, const int8_t *w,
                     const int32_t *start, int32_t *out)
{
    if (is_narrow) narrow_of(4, rows, x, groups, w, start, out);
    else if (vectors == 4) wide_of(4, rows, x, groups, w, start, out);
    else wide_of(3, rows, x, groups, w, start, out);
}

#include "forward.h"

#if defined(__clang__)
#pragma clang attribute pop
#endif
#endif
