/* WebAssembly with SIMD: relaxed SIMD adds 16 products of bytes; without it, int16 are multiplied and added in
 * pairs. */
#include "engine.h"

#if HAVE_SIMD128

#include "lanes_simd128.h"

#define FORWARD tg_forward_simd128
#define ACTIVATION static __attribute__((noinline)) /* a module is downloaded */

#if HAVE_RELAXED_SIMD

/* Constants that the compiler does not know, as it would make them anew in every loop. */
v128_t tg_zero_points = {INT32_C(-0x7f7f7f80), INT32_C(-0x7f7f7f80), INT32_C(-0x7f7f7f80), INT32_C(-0x7f7f7f80)};
v128_t tg_lowest_bits = {0x01010101, 0x01010101, 0x01010101, 0x01010101};

/* Adds products of signed bytes and of bytes below 128, four to a sum. That is exact and the same on every
 * processor as long as the sum of two products fits in 16 bits, which 2 * 128 * 127 does. */
LANE v128_t add16(v128_t x, v128_t low, v128_t sum) { return wasm_i32x4_relaxed_dot_i8x16_i7x16_add(x, low, sum); }

/* Return 64 times the sum of activations without their zero point, in all lanes. */
LANE v128_t sum_of(const uint8_t *x, size_t groups)
{
    v128_t sum = wasm_i32x4_const_splat(0), zeros = tg_zero_points, by = wasm_i8x16_const_splat(64);
    size_t k = 0;
    for (; k + 4 <= groups; k += 4) sum = add16(wasm_v128_xor(wasm_v128_load(x + 4 * k), zeros), by, sum);
    by = wasm_i32x4_const(0x40404040, 0, 0, 0);
    for (; k < groups; k++) sum = add16(wasm_v128_xor(wasm_v128_load32_splat(x + 4 * k), zeros), by, sum);
    sum = wasm_i32x4_add(sum, wasm_i32x4_shuffle(sum, sum, 2, 3, 0, 1));
    return wasm_i32x4_add(sum, wasm_i32x4_shuffle(sum, sum, 1, 0, 3, 2));
}

/* Products of one or two rows with some of the outputs of a panel. Narrow weights have 64 added to them, and
 * activations lose their zero point: the sums of the activations make up for the one, the starts for the other. */
LANE void part_of_narrow(size_t rows, size_t outputs, const uint8_t *const *x, size_t groups, size_t step, const int8_t *w,
                         const int32_t *start, const v128_t *less, int32_t *out, size_t out_step)
{
    v128_t sum[2][LANES / 2], zeros = tg_zero_points;
    for (size_t r = 0; r < rows; r++) {
        for (size_t i = 0; i < outputs / 4; i++) sum[r][i] = wasm_i32x4_sub(wasm_v128_load(start + 4 * i), less[r]);
    }
    for (size_t k = 0; k < groups; k++, w += step) {
        v128_t four[2];
        for (size_t r = 0; r < rows; r++) four[r] = wasm_v128_xor(wasm_v128_load32_splat(x[r] + 4 * k), zeros);
        for (size_t i = 0; i < outputs / 4; i++) {
            v128_t weights = wasm_v128_load(w + 16 * i);
            for (size_t r = 0; r < rows; r++) sum[r][i] = add16(four[r], weights, sum[r][i]);
        }
    }
    for (size_t r = 0; r < rows; r++) {
        for (size_t i = 0; i < outputs / 4; i++) wasm_v128_store(out + r * out_step + 4 * i, sum[r][i]);
    }
}

/* Products of one row with 16 outputs. Wide weights are the signed bytes; the bytes below 128 are halves of
 * activations, and then their lowest bits. */
static void part_of_wide(const uint8_t *x, size_t groups, size_t step, const int8_t *w, const int32_t *start, int32_t *out)
{
    v128_t halves[LANES / 4], rest[LANES / 4], lowest = tg_lowest_bits;
    for (size_t i = 0; i < LANES / 4; i++) halves[i] = wasm_i32x4_const_splat(0), rest[i] = wasm_v128_load(start + 4 * i);
    for (size_t k = 0; k < groups; k++, w += step) {
        v128_t four = wasm_v128_load32_splat(x + 4 * k), bits = wasm_v128_and(four, lowest);
        v128_t half = wasm_u16x8_shr(wasm_v128_xor(four, bits), 1); /* a bit that enters another byte is 0 */
        for (size_t i = 0; i < LANES / 4; i++) {
            v128_t weights = wasm_v128_load(w + 16 * i);
            halves[i] = add16(weights, half, halves[i]);
            rest[i] = add16(weights, bits, rest[i]);
        }
    }
    for (size_t i = 0; i < LANES / 4; i++) {
        wasm_v128_store(out + 4 * i, wasm_i32x4_add(rest[i], wasm_i32x4_add(halves[i], halves[i])));
    }
}

static void product8(size_t rows, size_t vectors, int narrow, const uint8_t *const *x, size_t groups, const int8_t *w,
                     const int32_t *start, int32_t *out)
{
    size_t wide = vectors * LANES, step = wide * 4;
    while (rows) {
        if (!narrow) {
            for (size_t i = 0; i < wide; i += LANES) part_of_wide(x[0], groups, step, w + i * 4, start + i, out + i);
            rows--, x++, out += wide;
        } else if (rows == 1) {
            v128_t less = sum_of(x[0], groups);
            part_of_narrow(1, 2 * LANES, x, groups, step, w, start, &less, out, wide);
            part_of_narrow(1, 2 * LANES, x, groups, step, w + 8 * LANES, start + 2 * LANES, &less, out + 2 * LANES, wide);
            rows--;
        } else {
            v128_t less[2] = {sum_of(x[0], groups), sum_of(x[1], groups)};
            for (size_t i = 0; i < wide; i += LANES) part_of_narrow(2, LANES, x, groups, step, w + i * 4, start + i, less, out + i, wide);
            rows -= 2, x += 2, out += 2 * wide;
        }
    }
}

#else

/* Products of one or two rows with some of the 16 outputs of a vector. Two outputs have four weights each,
 * so that their sums lie in two halves until the end. */
LANE void part_of(size_t rows, size_t outputs, const uint8_t *const *x, size_t groups, size_t step, const int8_t *w,
                  const int32_t *start, int32_t *out, size_t out_step)
{
    v128_t sum[2][LANES / 2];
    for (size_t r = 0; r < rows; r++) {
        for (size_t i = 0; i < outputs / 2; i++) sum[r][i] = wasm_i32x4_const_splat(0);
    }
    for (size_t k = 0; k < groups; k++, w += step) {
        v128_t four[2];
        for (size_t r = 0; r < rows; r++) four[r] = wasm_u16x8_extend_low_u8x16(wasm_v128_load32_splat(x[r] + 4 * k));
        for (size_t i = 0; i < outputs / 2; i++) {
            v128_t weights = wasm_i16x8_load8x8(w + 8 * i);
            for (size_t r = 0; r < rows; r++) sum[r][i] = wasm_i32x4_add(sum[r][i], wasm_i32x4_dot_i16x8(weights, four[r]));
        }
    }
    for (size_t r = 0; r < rows; r++) {
        for (size_t i = 0; i < outputs / 4; i++) {
            v128_t a = sum[r][2 * i], b = sum[r][2 * i + 1];
            v128_t both = wasm_i32x4_add(wasm_i32x4_shuffle(a, b, 0, 2, 4, 6), wasm_i32x4_shuffle(a, b, 1, 3, 5, 7));
            wasm_v128_store(out + r * out_step + 4 * i, wasm_i32x4_add(both, wasm_v128_load(start + 4 * i)));
        }
    }
}

static void product8(size_t rows, size_t vectors, int narrow, const uint8_t *const *x, size_t groups, const int8_t *w,
                     const int32_t *start, int32_t *out)
{
    (void)narrow;
    size_t wide = vectors * LANES, step = wide * 4;
    for (; rows > 1; rows -= 2, x += 2, out += 2 * wide) {
        for (size_t i = 0; i < wide; i += LANES / 2) part_of(2, LANES / 2, x, groups, step, w + i * 4, start + i, out + i, wide);
    }
    for (size_t i = 0; rows && i < wide; i += LANES) part_of(1, LANES, x, groups, step, w + i * 4, start + i, out + i, wide);
}

#endif

#include "forward.h"

#if HAVE_RELAXED_SIMD
/* Return whether `product8` gives what plain C does: V8 11 loses sums in code that it has not optimized yet. */
static bool adds_exactly(int narrow)
{
    enum { ROWS = 3, GROUPS = 5, OUTPUTS = 4 * LANES };
    int8_t weights[GROUPS * OUTPUTS * 4];
    uint8_t inputs[ROWS][GROUPS * 4];
    const uint8_t *x[ROWS] = {inputs[0], inputs[1], inputs[2]};
    int32_t start[OUTPUTS], out[ROWS * OUTPUTS];
    uint32_t drawn = 1;
#define DRAW (drawn = drawn * 1103515245u + 12345u) >> 24 /* of a linear congruence; 0 to 255 */
    for (size_t i = 0; i < sizeof weights; i++) weights[i] = (int8_t)(narrow ? (DRAW) >> 1 : DRAW);
    for (size_t r = 0; r < ROWS; r++) {
        for (size_t i = 0; i < GROUPS * 4; i++) inputs[r][i] = (uint8_t)(DRAW);
    }
    for (size_t i = 0; i < OUTPUTS; i++) start[i] = (int32_t)(DRAW);
    product8(ROWS, 4, narrow, x, GROUPS, weights, start, out);
    for (size_t i = 0; i < ROWS * OUTPUTS; i++) {
        int32_t sum = start[i % OUTPUTS];
        for (size_t k = 0; k < GROUPS * 4; k++) {
            int weight = weights[(k / 4 * OUTPUTS + i % OUTPUTS) * 4 + k % 4], input = x[i / OUTPUTS][k];
            sum += narrow ? (input - 128) * (weight - 64) : input * weight;
        }
        if (sum != out[i]) return false;
    }
    return true;
}
#endif

int tg_is_exact(void)
{
#if HAVE_RELAXED_SIMD
    volatile float more = 0x1p-12f;
    V x = v_set(1.0f + more), square = v_set(1.0f + 2.0f * more), parts = v_fma(x, x, v_sub(v_set(0.0f), square));
    bool is_fused = wasm_f32x4_extract_lane(parts.x[0], 0) == 0x1p-24f; /* 0 if the product was rounded */
    return is_fused && adds_exactly(0) && adds_exactly(1);
#else
    return 1;
#endif
}

#endif
