/* 16 float32 as four vectors of WebAssembly, for forward_simd128.c.
 *
 * Relaxed SIMD has a multiply-add that is fused where the processor has one; tg_is_exact says so. Without
 * it, float64 is used, in which a product is exact. */
#include <wasm_simd128.h>

typedef struct {
    v128_t x[4];
} V;
#define FLOAT_ROWS 1
#define LANE static inline __attribute__((always_inline))
#define EACH(value)                                                          \
    {                                                                        \
        V r;                                                                 \
        _Pragma("clang loop unroll(full)") for (int i = 0; i < 4; i++) r.x[i] = value; \
        return r;                                                            \
    }

LANE V v_load(const float *from) EACH(wasm_v128_load(from + 4 * i))
LANE void v_store(float *to, V a)
{
    for (int i = 0; i < 4; i++) wasm_v128_store(to + 4 * i, a.x[i]);
}
LANE V v_set(float x) EACH(wasm_f32x4_splat(x))
LANE V v_add(V a, V b) EACH(wasm_f32x4_add(a.x[i], b.x[i]))
LANE V v_sub(V a, V b) EACH(wasm_f32x4_sub(a.x[i], b.x[i]))
LANE V v_mul(V a, V b) EACH(wasm_f32x4_mul(a.x[i], b.x[i]))
LANE V v_div(V a, V b) EACH(wasm_f32x4_div(a.x[i], b.x[i]))
LANE V v_sqrt(V a) EACH(wasm_f32x4_sqrt(a.x[i]))
LANE V v_max(V a, V b) EACH(wasm_f32x4_pmax(b.x[i], a.x[i])) /* of equal ones the second, as elsewhere */
LANE V v_min(V a, V b) EACH(wasm_f32x4_pmin(b.x[i], a.x[i]))
LANE V v_round(V a) EACH(wasm_f32x4_nearest(a.x[i]))
LANE V v_integers(const int32_t *from) EACH(wasm_f32x4_convert_i32x4(wasm_v128_load(from + 4 * i)))
LANE V v_int8(const int8_t *from)
    EACH(wasm_f32x4_convert_i32x4(wasm_i32x4_extend_low_i16x8(wasm_i16x8_extend_low_i8x16(wasm_v128_load32_zero(from + 4 * i)))))
LANE V v_power(V whole)
    EACH(wasm_i32x4_shl(wasm_i32x4_add(wasm_i32x4_trunc_sat_f32x4(whole.x[i]), wasm_i32x4_const_splat(127)), 23))
LANE void v_store_bytes(uint8_t *to, V a, int zero)
{
    V n;
    for (int i = 0; i < 4; i++) {
        n.x[i] = wasm_i32x4_add(wasm_i32x4_trunc_sat_f32x4(wasm_f32x4_nearest(a.x[i])), wasm_i32x4_splat(zero));
    }
    v128_t low = wasm_i16x8_narrow_i32x4(n.x[0], n.x[1]), high = wasm_i16x8_narrow_i32x4(n.x[2], n.x[3]);
    wasm_v128_store(to, wasm_u8x16_narrow_i16x8(low, high));
}
LANE float v_total(V a)
{
    v128_t four = wasm_f32x4_add(wasm_f32x4_add(a.x[0], a.x[2]), wasm_f32x4_add(a.x[1], a.x[3]));
    v128_t two = wasm_f32x4_add(four, wasm_i32x4_shuffle(four, four, 2, 3, 2, 3));
    return wasm_f32x4_extract_lane(two, 0) + wasm_f32x4_extract_lane(two, 1);
}

#if HAVE_RELAXED_SIMD

LANE V v_fma(V a, V b, V c) EACH(wasm_f32x4_relaxed_madd(a.x[i], b.x[i], c.x[i]))

#else

/* 16 float32 as float64, for chains of multiply-adds. */
typedef struct {
    v128_t x[8];
} C;

LANE v128_t upper(v128_t x) { return wasm_i32x4_shuffle(x, x, 2, 3, 2, 3); }
LANE C c_of(V a)
{
    C r;
    for (int i = 0; i < 4; i++) {
        r.x[2 * i] = wasm_f64x2_promote_low_f32x4(a.x[i]);
        r.x[2 * i + 1] = wasm_f64x2_promote_low_f32x4(upper(a.x[i]));
    }
    return r;
}
LANE V v_of(C a)
    EACH(wasm_i32x4_shuffle(wasm_f32x4_demote_f64x2_zero(a.x[2 * i]), wasm_f32x4_demote_f64x2_zero(a.x[2 * i + 1]), 0, 1, 4, 5))
LANE C c_set(float x)
{
    C r;
    for (int i = 0; i < 8; i++) r.x[i] = wasm_f64x2_splat(x);
    return r;
}

/* Rounding a sum to float64 and then to float32 is not rounding it once where the float64 lies halfway
 * between two float32. There the sum is rounded to odd first, so that it lies on the side of what was cut
 * off (Boldo and Melquiond 2008). */
static __attribute__((noinline)) void add_once(const double *a, const double *b, const double *c, double *sum)
{
    for (int i = 0; i < LANES; i++) {
        double product = a[i] * b[i], total = product + c[i], added = total - product;
        double rest = (product - (total - added)) + (c[i] - added); /* Knuth's sum of two */
        uint64_t bits;
        memcpy(&bits, &total, sizeof bits);
        if (rest != 0.0 && total - total == 0.0 && !(bits & 1)) bits += (rest > 0.0) == (total > 0.0) ? 1 : UINT64_MAX;
        memcpy(&total, &bits, sizeof bits);
        sum[i] = total;
    }
}

LANE void spill(double *to, C a)
{
    for (int i = 0; i < 8; i++) wasm_v128_store(to + 2 * i, a.x[i]);
}

LANE C sums_once(C a, C b, C c)
{
    double left[LANES], right[LANES], more[LANES], sum[LANES];
    spill(left, a), spill(right, b), spill(more, c);
    add_once(left, right, more, sum);
    for (int i = 0; i < 8; i++) a.x[i] = wasm_v128_load(sum + 2 * i);
    return a;
}

/* What is halfway has one bit and then 28 zeros behind the bits of a float32. */
LANE v128_t are_halfway(C a)
{
    v128_t found = wasm_i32x4_const_splat(0);
    for (int i = 0; i < 4; i++) {
        v128_t low = wasm_i32x4_shuffle(a.x[2 * i], a.x[2 * i + 1], 0, 2, 4, 6);
        found = wasm_v128_or(found, wasm_i32x4_eq(wasm_i32x4_shl(low, 3), wasm_i32x4_const_splat(INT32_MIN)));
    }
    return found;
}

/* The sums of c and products, such that rounding them to float32 rounds once: but for float32 below the
 * normal ones, which `v_fma` looks for. */
LANE C sums_of(C a, C b, C c)
{
    C r;
    for (int i = 0; i < 8; i++) r.x[i] = wasm_f64x2_add(wasm_f64x2_mul(a.x[i], b.x[i]), c.x[i]);
    return __builtin_expect(wasm_v128_any_true(are_halfway(r)), 0) ? sums_once(a, b, c) : r;
}

/* a * b + c, rounded to float32, for numbers that stay away from the denormal ones. */
LANE C c_fma(C a, C b, C c)
{
    C r = sums_of(a, b, c);
    for (int i = 0; i < 8; i++) { /* to 24 bits (Veltkamp 1968): faster than there and back */
        v128_t large = wasm_f64x2_mul(r.x[i], wasm_f64x2_const_splat(0x20000001));
        r.x[i] = wasm_f64x2_add(large, wasm_f64x2_sub(r.x[i], large));
    }
    return r;
}

LANE V v_fma(V x, V y, V z)
{
    C a = c_of(x), b = c_of(y), c = c_of(z);
    V r = v_of(sums_of(a, b, c));
    v128_t denormal = wasm_i32x4_const_splat(0);
    for (int i = 0; i < 4; i++) { /* without the sign, and less one: 0 is the largest number then */
        v128_t bits = wasm_i32x4_sub(wasm_i32x4_shl(r.x[i], 1), wasm_i32x4_const_splat(1));
        denormal = wasm_v128_or(denormal, wasm_u32x4_lt(bits, wasm_i32x4_const_splat(0x00ffffff)));
    }
    return __builtin_expect(wasm_v128_any_true(denormal), 0) ? v_of(sums_once(a, b, c)) : r;
}
#define OWN_CHAINS

#endif
