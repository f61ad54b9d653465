/* 16 float32 as four registers of NEON, for forward_neon.c and forward_dotprod.c. */
#include <arm_neon.h>

typedef struct {
    float32x4_t a, b, c, d;
} V;
#define FLOAT_ROWS 1
#define LANE static inline __attribute__((always_inline))

LANE V v_load(const float *p) { return (V){vld1q_f32(p), vld1q_f32(p + 4), vld1q_f32(p + 8), vld1q_f32(p + 12)}; }
LANE void v_store(float *to, V x)
{
    vst1q_f32(to, x.a), vst1q_f32(to + 4, x.b), vst1q_f32(to + 8, x.c), vst1q_f32(to + 12, x.d);
}
LANE V v_set(float x)
{
    float32x4_t four = vdupq_n_f32(x);
    return (V){four, four, four, four};
}
/* What x86 gives where a NaN or two zeros meet, which vmaxq does not. */
LANE float32x4_t larger(float32x4_t x, float32x4_t y) { return vbslq_f32(vcgtq_f32(x, y), x, y); }
LANE float32x4_t smaller(float32x4_t x, float32x4_t y) { return vbslq_f32(vcltq_f32(x, y), x, y); }
#define TWO(NAME, OF) \
    LANE V NAME(V x, V y) { return (V){OF(x.a, y.a), OF(x.b, y.b), OF(x.c, y.c), OF(x.d, y.d)}; }
#define ONE(NAME, OF) \
    LANE V NAME(V x) { return (V){OF(x.a), OF(x.b), OF(x.c), OF(x.d)}; }
TWO(v_add, vaddq_f32)
TWO(v_sub, vsubq_f32)
TWO(v_mul, vmulq_f32)
TWO(v_div, vdivq_f32)
TWO(v_max, larger)
TWO(v_min, smaller)
ONE(v_sqrt, vsqrtq_f32)
ONE(v_round, vrndnq_f32)
LANE V v_fma(V x, V y, V z)
{
    return (V){vfmaq_f32(z.a, x.a, y.a), vfmaq_f32(z.b, x.b, y.b), vfmaq_f32(z.c, x.c, y.c), vfmaq_f32(z.d, x.d, y.d)};
}
LANE float32x4_t power_of(float32x4_t whole)
{
    return vreinterpretq_f32_s32(vshlq_n_s32(vaddq_s32(vcvtq_s32_f32(whole), vdupq_n_s32(127)), 23));
}
ONE(v_power, power_of)
LANE V v_integers(const int32_t *p)
{
    return (V){vcvtq_f32_s32(vld1q_s32(p)), vcvtq_f32_s32(vld1q_s32(p + 4)), vcvtq_f32_s32(vld1q_s32(p + 8)),
               vcvtq_f32_s32(vld1q_s32(p + 12))};
}
LANE V v_int8(const int8_t *p)
{
    int8x16_t bytes = vld1q_s8(p);
    int16x8_t low = vmovl_s8(vget_low_s8(bytes)), high = vmovl_s8(vget_high_s8(bytes));
    return (V){vcvtq_f32_s32(vmovl_s16(vget_low_s16(low))), vcvtq_f32_s32(vmovl_s16(vget_high_s16(low))),
               vcvtq_f32_s32(vmovl_s16(vget_low_s16(high))), vcvtq_f32_s32(vmovl_s16(vget_high_s16(high)))};
}
LANE int16x4_t whole_of(float32x4_t x, int zero)
{
    return vmovn_s32(vaddq_s32(vcvtnq_s32_f32(x), vdupq_n_s32(zero)));
}
LANE void v_store_bytes(uint8_t *to, V x, int zero)
{
    int16x8_t low = vcombine_s16(whole_of(x.a, zero), whole_of(x.b, zero));
    int16x8_t high = vcombine_s16(whole_of(x.c, zero), whole_of(x.d, zero));
    vst1q_u8(to, vcombine_u8(vqmovun_s16(low), vqmovun_s16(high)));
}
LANE float v_total(V x)
{
    float32x4_t four = vaddq_f32(vaddq_f32(x.a, x.c), vaddq_f32(x.b, x.d));
    float32x2_t two = vadd_f32(vget_low_f32(four), vget_high_f32(four));
    return vget_lane_f32(two, 0) + vget_lane_f32(two, 1);
}
