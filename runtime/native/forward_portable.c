/* Plain C, for every processor: fmaf rounds once, wherever it is computed. */
#include <math.h>

#include "engine.h"

#if !HAVE_SIMD128 /* a module of WebAssembly needs one of both */

typedef struct {
    float x[LANES];
} V;
#define FLOAT_ROWS 1
#define FORWARD tg_forward_portable
#define LANE static inline
#define EACH(result, value)                         \
    V result;                                       \
    for (int i = 0; i < LANES; i++) result.x[i] = value; \
    return result;

LANE V v_load(const float *from) { EACH(r, from[i]) }
LANE void v_store(float *to, V a) { memcpy(to, a.x, sizeof a.x); }
LANE V v_set(float x) { EACH(r, x) }
LANE V v_add(V a, V b) { EACH(r, a.x[i] + b.x[i]) }
LANE V v_sub(V a, V b) { EACH(r, a.x[i] - b.x[i]) }
LANE V v_mul(V a, V b) { EACH(r, a.x[i] * b.x[i]) }
LANE V v_div(V a, V b) { EACH(r, a.x[i] / b.x[i]) }
LANE V v_sqrt(V a) { EACH(r, sqrtf(a.x[i])) }
LANE V v_fma(V a, V b, V c) { EACH(r, fmaf(a.x[i], b.x[i], c.x[i])) }
LANE V v_max(V a, V b) { EACH(r, a.x[i] > b.x[i] ? a.x[i] : b.x[i]) }
LANE V v_min(V a, V b) { EACH(r, a.x[i] < b.x[i] ? a.x[i] : b.x[i]) }
LANE V v_round(V a) { EACH(r, rintf(a.x[i])) }
LANE V v_integers(const int32_t *from) { EACH(r, (float)from[i]) }
LANE V v_int8(const int8_t *from) { EACH(r, (float)from[i]) }
LANE V v_power(V whole)
{
    V result;
    for (int i = 0; i < LANES; i++) {
        uint32_t bits = (uint32_t)((int32_t)whole.x[i] + 127) << 23;
        memcpy(&result.x[i], &bits, sizeof bits);
    }
    return result;
}
LANE void v_store_bytes(uint8_t *to, V a, int zero)
{
    for (int i = 0; i < LANES; i++) to[i] = (uint8_t)((int)rintf(a.x[i]) + zero);
}
LANE float v_total(V a)
{
    for (int half = LANES / 2; half; half /= 2) {
        for (int i = 0; i < half; i++) a.x[i] += a.x[i + half];
    }
    return a.x[0];
}

static void product8(size_t rows, size_t vectors, int narrow, const uint8_t *const *x, size_t groups, const int8_t *w,
                     const int32_t *start, int32_t *out)
{
    (void)narrow;
    for (size_t r = 0; r < rows; r++, out += vectors * LANES) {
        memcpy(out, start, vectors * LANES * sizeof *out);
        const int8_t *weight = w;
        for (size_t k = 0; k < groups; k++) {
            const uint8_t *four = x[r] + 4 * k;
            for (size_t i = 0; i < vectors * LANES; i++, weight += 4)
                out[i] += four[0] * weight[0] + four[1] * weight[1] + four[2] * weight[2] + four[3] * weight[3];
        }
    }
}

#include "forward.h"

#endif
