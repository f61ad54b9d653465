/* NEON of 64-bit ARM without dot products: pairs of products are added in 32 bits. */
#include "engine.h"

#if HAVE_NEON
#include "lanes_neon.h"

#define FORWARD tg_forward_neon

LANE int32x4_t add16(int32x4_t sum, int8x16_t x, int8x16_t w)
{
    int32x4_t low = vpaddlq_s16(vmull_s8(vget_low_s8(x), vget_low_s8(w)));
    int32x4_t high = vpaddlq_s16(vmull_s8(vget_high_s8(x), vget_high_s8(w)));
    return vaddq_s32(sum, vpaddq_s32(low, high));
}

#include "product_neon.h"
#include "forward.h"
#endif
