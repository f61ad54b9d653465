/* 16 float32 as two registers of AVX2, for forward_avx2.c and forward_avx_vnni.c. */
#include <immintrin.h>

typedef struct {
    __m256 a, b;
} V;
#define FLOAT_ROWS 1
#define LANE static inline __attribute__((always_inline))
#define BOTH(x, y) (V){x, y}
#define NEAREST (_MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC)

LANE V v_load(const float *from) { return BOTH(_mm256_loadu_ps(from), _mm256_loadu_ps(from + 8)); }
LANE void v_store(float *to, V x) { _mm256_storeu_ps(to, x.a), _mm256_storeu_ps(to + 8, x.b); }
LANE V v_set(float x) { return BOTH(_mm256_set1_ps(x), _mm256_set1_ps(x)); }
LANE V v_add(V x, V y) { return BOTH(_mm256_add_ps(x.a, y.a), _mm256_add_ps(x.b, y.b)); }
LANE V v_sub(V x, V y) { return BOTH(_mm256_sub_ps(x.a, y.a), _mm256_sub_ps(x.b, y.b)); }
LANE V v_mul(V x, V y) { return BOTH(_mm256_mul_ps(x.a, y.a), _mm256_mul_ps(x.b, y.b)); }
LANE V v_div(V x, V y) { return BOTH(_mm256_div_ps(x.a, y.a), _mm256_div_ps(x.b, y.b)); }
LANE V v_sqrt(V x) { return BOTH(_mm256_sqrt_ps(x.a), _mm256_sqrt_ps(x.b)); }
LANE V v_fma(V x, V y, V z) { return BOTH(_mm256_fmadd_ps(x.a, y.a, z.a), _mm256_fmadd_ps(x.b, y.b, z.b)); }
LANE V v_max(V x, V y) { return BOTH(_mm256_max_ps(x.a, y.a), _mm256_max_ps(x.b, y.b)); }
LANE V v_min(V x, V y) { return BOTH(_mm256_min_ps(x.a, y.a), _mm256_min_ps(x.b, y.b)); }
LANE V v_round(V x) { return BOTH(_mm256_round_ps(x.a, NEAREST), _mm256_round_ps(x.b, NEAREST)); }
LANE __m256i eight(const int32_t *from) { return _mm256_loadu_si256((const __m256i *)from); }
LANE V v_integers(const int32_t *from)
{
    return BOTH(_mm256_cvtepi32_ps(eight(from)), _mm256_cvtepi32_ps(eight(from + 8)));
}
LANE V v_int8(const int8_t *from)
{
    __m128i bytes = _mm_loadu_si128((const __m128i *)from);
    __m256i low = _mm256_cvtepi8_epi32(bytes), high = _mm256_cvtepi8_epi32(_mm_srli_si128(bytes, 8));
    return BOTH(_mm256_cvtepi32_ps(low), _mm256_cvtepi32_ps(high));
}
LANE __m256 power_of(__m256 whole)
{
    __m256i exponent = _mm256_add_epi32(_mm256_cvtps_epi32(whole), _mm256_set1_epi32(127));
    return _mm256_castsi256_ps(_mm256_slli_epi32(exponent, 23));
}
LANE V v_power(V whole) { return BOTH(power_of(whole.a), power_of(whole.b)); }
LANE void v_store_bytes(uint8_t *to, V x, int zero)
{
    __m256i add = _mm256_set1_epi32(zero);
    __m256i low = _mm256_add_epi32(_mm256_cvtps_epi32(x.a), add), high = _mm256_add_epi32(_mm256_cvtps_epi32(x.b), add);
    __m256i words = _mm256_permute4x64_epi64(_mm256_packs_epi32(low, high), 0xD8);
    __m128i bytes = _mm_packus_epi16(_mm256_castsi256_si128(words), _mm256_extracti128_si256(words, 1));
    _mm_storeu_si128((__m128i *)to, bytes);
}
LANE float v_total(V x)
{
    __m256 eight = _mm256_add_ps(x.a, x.b);
    __m128 four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
    __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)));
}

/* Products with 16 registers: a row alone computes 16 outputs of every vector, two rows together
 * eight of them and then the other eight. ADD(sum, activations, weights) adds 32 products. */

LANE __m256i four_bytes(const uint8_t *from)
{
    int32_t four;
    memcpy(&four, from, sizeof four);
    return _mm256_set1_epi32(four);
}

#define WEIGHT(v, h) _mm256_loadu_si256((const __m256i *)(w + (v) * 64 + (h) * 32))
#define KEEP(o, x) _mm256_storeu_si256((__m256i *)(o), x)

#define PRODUCTS(NAME, PREPARE, ADD)                                                                             \
    LANE void NAME##_one(size_t vectors, const uint8_t *x, size_t groups, const int8_t *w, const int32_t *start, \
                         int32_t *out)                                                                           \
    {                                                                                                            \
        __m256i a0 = eight(start), b0 = eight(start + 8), a1 = eight(start + 16), b1 = eight(start + 24);        \
        __m256i a2 = eight(start + 32), b2 = eight(start + 40), a3 = a2, b3 = b2;                                \
        if (vectors > 3) a3 = eight(start + 48), b3 = eight(start + 56);                                         \
        for (size_t k = 0; k < groups; k++, w += vectors * 64) {                                                 \
            PREPARE(p, four_bytes(x + 4 * k))                                                                    \
            a0 = ADD(a0, p, WEIGHT(0, 0)), b0 = ADD(b0, p, WEIGHT(0, 1));                                        \
            a1 = ADD(a1, p, WEIGHT(1, 0)), b1 = ADD(b1, p, WEIGHT(1, 1));                                        \
            a2 = ADD(a2, p, WEIGHT(2, 0)), b2 = ADD(b2, p, WEIGHT(2, 1));                                        \
            if (vectors > 3) a3 = ADD(a3, p, WEIGHT(3, 0)), b3 = ADD(b3, p, WEIGHT(3, 1));                       \
        }                                                                                                        \
        KEEP(out, a0), KEEP(out + 8, b0), KEEP(out + 16, a1), KEEP(out + 24, b1), KEEP(out + 32, a2);            \
        KEEP(out + 40, b2);                                                                                      \
        if (vectors > 3) KEEP(out + 48, a3), KEEP(out + 56, b3);                                                 \
    }                                                                                                            \
    LANE void NAME##_two(size_t vectors, const uint8_t *x, const uint8_t *y, size_t groups, const int8_t *all,   \
                         const int32_t *start, int32_t *out)                                                     \
    {                                                                                                            \
        for (size_t h = 0; h < 2; h++, start += 8, out += 8) {                                                   \
            const int8_t *w = all;                                                                               \
            int32_t *other = out + vectors * LANES;                                                              \
            __m256i a0 = eight(start), a1 = eight(start + 16), a2 = eight(start + 32);                           \
            __m256i a3 = vectors > 3 ? eight(start + 48) : a2, b0 = a0, b1 = a1, b2 = a2, b3 = a3;               \
            for (size_t k = 0; k < groups; k++, w += vectors * 64) {                                             \
                PREPARE(p, four_bytes(x + 4 * k))                                                                \
                PREPARE(q, four_bytes(y + 4 * k))                                                                \
                a0 = ADD(a0, p, WEIGHT(0, h)), b0 = ADD(b0, q, WEIGHT(0, h));                                    \
                a1 = ADD(a1, p, WEIGHT(1, h)), b1 = ADD(b1, q, WEIGHT(1, h));                                    \
                a2 = ADD(a2, p, WEIGHT(2, h)), b2 = ADD(b2, q, WEIGHT(2, h));                                    \
                if (vectors > 3) a3 = ADD(a3, p, WEIGHT(3, h)), b3 = ADD(b3, q, WEIGHT(3, h));                   \
            }                                                                                                    \
            KEEP(out, a0), KEEP(out + 16, a1), KEEP(out + 32, a2), KEEP(other, b0), KEEP(other + 16, b1);        \
            KEEP(other + 32, b2);                                                                                \
            if (vectors > 3) KEEP(out + 48, a3), KEEP(other + 48, b3);                                           \
        }                                                                                                        \
    }                                                                                                            \
    LANE void NAME##_of(size_t vectors, size_t rows, const uint8_t *const *x, size_t groups, const int8_t *w,    \
                        const int32_t *start, int32_t *out)                                                      \
    {                                                                                                            \
        for (; rows > 1; rows -= 2, x += 2, out += 2 * vectors * LANES)                                          \
            NAME##_two(vectors, x[0], x[1], groups, w, start, out);                                              \
        if (rows) NAME##_one(vectors, x[0], groups, w, start, out);                                              \
    }
