/* Products by add16, which adds products of int8: activations lose their zero point of 128, which
 * the starts make up for. Two vectors at a time are eight sums. */

LANE int8x16_t four_bytes(const uint8_t *from)
{
    uint32_t four;
    memcpy(&four, from, sizeof four);
    return vreinterpretq_s8_u32(vdupq_n_u32(four ^ 0x80808080u));
}

LANE void product8_of(size_t vectors, size_t step, const uint8_t *x, size_t groups, const int8_t *w,
                      const int32_t *start, int32_t *out)
{
    int32x4_t a[8];
    for (size_t i = 0; i < vectors * 4; i++) a[i] = vld1q_s32(start + 4 * i);
    for (size_t k = 0; k < groups; k++, w += step) {
        int8x16_t b = four_bytes(x + 4 * k);
        for (size_t i = 0; i < vectors * 4; i++) a[i] = add16(a[i], b, vld1q_s8(w + 16 * i));
    }
    for (size_t i = 0; i < vectors * 4; i++) vst1q_s32(out + 4 * i, a[i]);
}

static void product8(size_t rows, size_t vectors, int narrow, const uint8_t *const *x, size_t groups, const int8_t *w,
                     const int32_t *start, int32_t *out)
{
    (void)narrow;
    for (size_t r = 0; r < rows; r++, out += vectors * LANES) {
        product8_of(2, vectors * 64, x[r], groups, w, start, out);
        if (vectors == 4) product8_of(2, vectors * 64, x[r], groups, w + 128, start + 32, out + 32);
        else product8_of(1, vectors * 64, x[r], groups, w + 128, start + 32, out + 32);
    }
}
