/* AVX-512 with VNNI: 16 float32 are one register, and vpdpbusd adds 64 products. */
#include "engine.h"

#if HAVE_X86

#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx2,fma,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni"))), apply_to = function)
#else
#pragma GCC target("avx2,fma,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")
#endif
#include <immintrin.h>

typedef __m512 V;
#define FLOAT_ROWS 4
#define FORWARD tg_forward_avx512
#define LANE static inline __attribute__((always_inline))

LANE V v_load(const float *from) { return _mm512_loadu_ps(from); }
LANE void v_store(float *to, V x) { _mm512_storeu_ps(to, x); }
LANE V v_set(float x) { return _mm512_set1_ps(x); }
LANE V v_add(V a, V b) { return _mm512_add_ps(a, b); }
LANE V v_sub(V a, V b) { return _mm512_sub_ps(a, b); }
LANE V v_mul(V a, V b) { return _mm512_mul_ps(a, b); }
LANE V v_div(V a, V b) { return _mm512_div_ps(a, b); }
LANE V v_sqrt(V a) { return _mm512_sqrt_ps(a); }
LANE V v_fma(V a, V b, V c) { return _mm512_fmadd_ps(a, b, c); }
LANE V v_max(V a, V b) { return _mm512_max_ps(a, b); }
LANE V v_min(V a, V b) { return _mm512_min_ps(a, b); }
LANE V v_round(V a) { return _mm512_roundscale_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC); }
LANE V v_integers(const int32_t *from) { return _mm512_cvtepi32_ps(_mm512_loadu_si512(from)); }
LANE V v_int8(const int8_t *from)
{
    return _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128((const __m128i *)from)));
}
LANE V v_power(V whole)
{
    __m512i exponent = _mm512_add_epi32(_mm512_cvtps_epi32(whole), _mm512_set1_epi32(127));
    return _mm512_castsi512_ps(_mm512_slli_epi32(exponent, 23));
}
LANE void v_store_bytes(uint8_t *to, V x, int zero)
{
    __m512i whole = _mm512_add_epi32(_mm512_cvtps_epi32(x), _mm512_set1_epi32(zero));
    _mm_storeu_si128((__m128i *)to, _mm512_cvtepi32_epi8(whole));
}
LANE float v_total(V x)
{
    __m256 eight = _mm256_add_ps(_mm512_castps512_ps256(x), _mm512_extractf32x8_ps(x, 1));
    __m128 four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
    __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)));
}

LANE __m512i four_bytes(const uint8_t *from)
{
    int32_t four;
    memcpy(&four, from, sizeof four);
    return _mm512_set1_epi32(four);
}

#define ROW(r, from)                                          \
    {                                                         \
        __m512i b = four_bytes(x[from] + 4 * k);              \
        a##r##0 = _mm512_dpbusd_epi32(a##r##0, b, w0);        \
        a##r##1 = _mm512_dpbusd_epi32(a##r##1, b, w1);        \
        a##r##2 = _mm512_dpbusd_epi32(a##r##2, b, w2);        \
        if (vectors > 3) a##r##3 = _mm512_dpbusd_epi32(a##r##3, b, w3); \
    }
#define WEIGHTS                                                        \
    __m512i w0 = _mm512_loadu_si512(w), w1 = _mm512_loadu_si512(w + 64); \
    __m512i w2 = _mm512_loadu_si512(w + 128), w3 = vectors > 3 ? _mm512_loadu_si512(w + 192) : w2;
#define END(r)                                                                      \
    if (rows > r) {                                                                 \
        int32_t *o = out + r * vectors * LANES;                                     \
        _mm512_storeu_si512(o, a##r##0), _mm512_storeu_si512(o + LANES, a##r##1);   \
        _mm512_storeu_si512(o + 2 * LANES, a##r##2);                                \
        if (vectors > 3) _mm512_storeu_si512(o + 3 * LANES, a##r##3);               \
    }

/* One row alone adds up odd and even groups apart: an addition waits for the one before it. */
LANE void product8_of(size_t rows, size_t vectors, const uint8_t *const *x, size_t groups, const int8_t *w,
                      const int32_t *start, int32_t *out)
{
    __m512i a00 = _mm512_loadu_si512(start), a01 = _mm512_loadu_si512(start + LANES);
    __m512i a02 = _mm512_loadu_si512(start + 2 * LANES), a03 = vectors > 3 ? _mm512_loadu_si512(start + 3 * LANES) : a02;
    if (rows == 1) {
        __m512i a10 = _mm512_setzero_si512(), a11 = a10, a12 = a10, a13 = a10;
        size_t k = 0;
        const int8_t *end = w + (groups & ~(size_t)1) * vectors * 64;
        while (w != end) {
            {
                WEIGHTS
                ROW(0, 0)
            }
            k++, w += vectors * 64;
            {
                WEIGHTS
                ROW(1, 0)
            }
            k++, w += vectors * 64;
        }
        if (groups & 1) {
            WEIGHTS
            ROW(0, 0)
        }
        a00 = _mm512_add_epi32(a00, a10), a01 = _mm512_add_epi32(a01, a11), a02 = _mm512_add_epi32(a02, a12);
        if (vectors > 3) a03 = _mm512_add_epi32(a03, a13);
        END(0)
        return;
    }
    __m512i a10 = a00, a11 = a01, a12 = a02, a13 = a03, a20 = a00, a21 = a01, a22 = a02, a23 = a03;
    __m512i a30 = a00, a31 = a01, a32 = a02, a33 = a03;
    for (size_t k = 0; k < groups; k++, w += vectors * 64) {
        WEIGHTS
        ROW(0, 0) ROW(1, 1)
        if (rows > 2) ROW(2, 2)
        if (rows > 3) ROW(3, 3)
    }
    END(0) END(1) END(2) END(3)
}

static void product8(size_t rows, size_t vectors, int narrow, const uint8_t *const *x, size_t groups, const int8_t *w,
                     const int32_t *start, int32_t *out)
{
    (void)narrow;
    switch (rows * 8 + vectors) {
    case 1 * 8 + 3: product8_of(1, 3, x, groups, w, start, out); break;
    case 2 * 8 + 3: product8_of(2, 3, x, groups, w, start, out); break;
    case 3 * 8 + 3: product8_of(3, 3, x, groups, w, start, out); break;
    case 4 * 8 + 3: product8_of(4, 3, x, groups, w, start, out); break;
    case 1 * 8 + 4: product8_of(1, 4, x, groups, w, start, out); break;
    case 2 * 8 + 4: product8_of(2, 4, x, groups, w, start, out); break;
    case 3 * 8 + 4: product8_of(3, 4, x, groups, w, start, out); break;
    default: product8_of(4, 4, x, groups, w, start, out);
    }
}

/* One row with two neighbouring panels, which share what is read of the row: in parts, between which
 * something else is computed. */
typedef struct {
    __m512i a0, a1, a2, a3, b0, b1, b2, b3;
    const uint8_t *x;
    const int8_t *w, *other;
} Pair;

LANE Pair pair_begin(size_t vectors, const uint8_t *x, size_t groups, const int8_t *w, const int32_t *start)
{
    const int32_t *next = start + vectors * LANES;
    Pair p = {.x = x, .w = w, .other = w + groups * vectors * 64};
    p.a0 = _mm512_loadu_si512(start), p.a1 = _mm512_loadu_si512(start + LANES), p.a2 = _mm512_loadu_si512(start + 2 * LANES);
    p.a3 = vectors > 3 ? _mm512_loadu_si512(start + 3 * LANES) : p.a2;
    p.b0 = _mm512_loadu_si512(next), p.b1 = _mm512_loadu_si512(next + LANES), p.b2 = _mm512_loadu_si512(next + 2 * LANES);
    p.b3 = vectors > 3 ? _mm512_loadu_si512(next + 3 * LANES) : p.b2;
    return p;
}

LANE void pair_add(size_t vectors, Pair *p, size_t groups)
{
    for (size_t k = 0; k < groups; k++, p->x += 4, p->w += vectors * 64, p->other += vectors * 64) {
        __m512i four = four_bytes(p->x);
        p->a0 = _mm512_dpbusd_epi32(p->a0, four, _mm512_loadu_si512(p->w));
        p->b0 = _mm512_dpbusd_epi32(p->b0, four, _mm512_loadu_si512(p->other));
        p->a1 = _mm512_dpbusd_epi32(p->a1, four, _mm512_loadu_si512(p->w + 64));
        p->b1 = _mm512_dpbusd_epi32(p->b1, four, _mm512_loadu_si512(p->other + 64));
        p->a2 = _mm512_dpbusd_epi32(p->a2, four, _mm512_loadu_si512(p->w + 128));
        p->b2 = _mm512_dpbusd_epi32(p->b2, four, _mm512_loadu_si512(p->other + 128));
        if (vectors > 3) {
            p->a3 = _mm512_dpbusd_epi32(p->a3, four, _mm512_loadu_si512(p->w + 192));
            p->b3 = _mm512_dpbusd_epi32(p->b3, four, _mm512_loadu_si512(p->other + 192));
        }
    }
}

LANE void pair_end(size_t vectors, const Pair *p, int32_t *out)
{
    int32_t *next = out + vectors * LANES;
    _mm512_storeu_si512(out, p->a0), _mm512_storeu_si512(out + LANES, p->a1), _mm512_storeu_si512(out + 2 * LANES, p->a2);
    if (vectors > 3) _mm512_storeu_si512(out + 3 * LANES, p->a3);
    _mm512_storeu_si512(next, p->b0), _mm512_storeu_si512(next + LANES, p->b1), _mm512_storeu_si512(next + 2 * LANES, p->b2);
    if (vectors > 3) _mm512_storeu_si512(next + 3 * LANES, p->b3);
}

#define PAIRS 1
#include "forward.h"

#if defined(__clang__)
#pragma clang attribute pop
#endif
#endif
