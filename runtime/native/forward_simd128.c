/* WebAssembly with SIMD. Weights lie as int16, which are multiplied in pairs. */
#include "engine.h"

#if HAVE_SIMD128

#include "lanes_simd128.h"

#define FORWARD tg_forward_simd128
#define PACKED int16_t
#define ACTIVATION static __attribute__((noinline)) /* a module is downloaded */

/* Products of one or two rows with one or two vectors of 16 outputs. A group is four inputs: of each
 * vector, 16 pairs of weights for the first two, then 16 for the others. */
LANE void part_of(size_t rows, size_t vectors, const uint8_t *const *x, size_t groups, size_t step, const int16_t *w,
                  const int32_t *start, int32_t *out, size_t out_step)
{
    v128_t sum[2][8];
    for (size_t r = 0; r < rows; r++) {
        for (size_t i = 0; i < 4 * vectors; i++) sum[r][i] = wasm_v128_load(start + 4 * i);
    }
    for (size_t k = 0; k < groups; k++, w += step) {
        v128_t first[2], second[2];
        for (size_t r = 0; r < rows; r++) {
            v128_t four = wasm_u16x8_extend_low_u8x16(wasm_v128_load32_zero(x[r] + 4 * k));
            first[r] = wasm_i32x4_shuffle(four, four, 0, 0, 0, 0);
            second[r] = wasm_i32x4_shuffle(four, four, 1, 1, 1, 1);
        }
        for (size_t i = 0; i < 4 * vectors; i++) {
            const int16_t *at = w + i / 4 * 64 + i % 4 * 8;
            v128_t low = wasm_v128_load(at), high = wasm_v128_load(at + 32);
            for (size_t r = 0; r < rows; r++) {
                v128_t both = wasm_i32x4_add(wasm_i32x4_dot_i16x8(low, first[r]), wasm_i32x4_dot_i16x8(high, second[r]));
                sum[r][i] = wasm_i32x4_add(sum[r][i], both);
            }
        }
    }
    for (size_t r = 0; r < rows; r++) {
        for (size_t i = 0; i < 4 * vectors; i++) wasm_v128_store(out + r * out_step + 4 * i, sum[r][i]);
    }
}

static void product8(size_t rows, size_t vectors, int narrow, const uint8_t *const *x, size_t groups, const int16_t *w,
                     const int32_t *start, int32_t *out)
{
    (void)narrow;
    size_t wide = vectors * LANES, step = wide * 4;
    for (; rows > 1; rows -= 2, x += 2, out += 2 * wide) {
        for (size_t v = 0; v < vectors; v++) part_of(2, 1, x, groups, step, w + v * 64, start + v * LANES, out + v * LANES, wide);
    }
    if (!rows) return;
    for (size_t v = 0; v + 1 < vectors; v += 2) part_of(1, 2, x, groups, step, w + v * 64, start + v * LANES, out + v * LANES, wide);
    if (vectors % 2) part_of(1, 1, x, groups, step, w + (vectors - 1) * 64, start + (wide - LANES), out + (wide - LANES), wide);
}

#include "forward.h"

#endif
