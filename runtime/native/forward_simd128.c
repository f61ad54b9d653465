/* WebAssembly with SIMD, which multiplies int16 and adds them in pairs. */
#include "engine.h"

#if HAVE_SIMD128

#include "lanes_simd128.h"

#define FORWARD tg_forward_simd128
#define ACTIVATION static __attribute__((noinline)) /* a module is downloaded */

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

#include "forward.h"

int tg_is_fused(void)
{
#if defined(__wasm_relaxed_simd__)
    volatile float more = 0x1p-12f; /* which a compiler does not know */
    V x = v_set(1.0f + more), square = v_set(1.0f + 2.0f * more), parts = v_fma(x, x, v_sub(v_set(0.0f), square));
    return wasm_f32x4_extract_lane(parts.x[0], 0) == 0x1p-24f; /* 0 if the product was rounded */
#else
    return 1;
#endif
}

#endif
