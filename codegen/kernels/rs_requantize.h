/* Accumulators to int8, with the constants of one output channel: {bias, multiplier, shift}.
 *
 * fast = 0: `multiplier` and `shift` are those of rs_multiply.
 * fast = 1: real multipliers below 1/2 (shift of at least 1 to the right) and accumulators so bounded that nothing
 * below overflows; `multiplier` is the doubled one modulo 2^32, `shift` counts to the right. Then
 *   h = (2 * acc * m + 2^31) >> 32, which SMMLAR gives at once: the doubled multiplier is its signed word + 2^32;
 *   y = (h - (h < 0) + 2^(shift - 1)) >> shift is h / 2^shift rounded half away from zero,
 * and the zero point enters the same sum, shifted left. */
#ifndef RS_REQUANTIZE_H
#define RS_REQUANTIZE_H

#include "rs_fixedpoint.h"
#include "rs_simd.h"

/* Of v that int8 holds. */
RS_INLINE int32_t rs_clamp_within(int32_t v, int32_t low, int32_t high)
{
    v = low > -128 && v < low ? low : v;
    return high < 127 && v > high ? high : v;
}

RS_INLINE int32_t rs_clamp_int8(int32_t v, int32_t low, int32_t high)
{
#if RS_DSP
    if (low == -128 || high == 127) {
        return rs_clamp_within(rs_saturate8(v), low, high);
    }
#endif
    return rs_clamp(v, low, high);
}

/* (2 * acc * m + 2^31) >> 32 where `doubled` = 2 * m modulo 2^32. */
RS_INLINE int32_t rs_scale_doubled(int32_t acc, int32_t doubled)
{
#if RS_DSP
    return rs_smmlar((uint32_t)acc, (uint32_t)doubled, acc);
#else
    uint32_t low;
    const int32_t high = rs_multiply_high(acc, (int32_t)((uint32_t)doubled >> 1), &low);
    const uint32_t rounded = low + 0x40000000u;
    return (int32_t)((((uint32_t)high + (rounded < low)) << 1) | (rounded >> 31));
#endif
}

RS_INLINE int32_t rs_requantize(
    int32_t acc, int32_t multiplier, int32_t shift, int32_t fast, int32_t zero, int32_t low, int32_t high)
{
    if (fast) {
        const int32_t h = rs_scale_doubled(acc, multiplier);
        const int32_t half = (int32_t)((uint32_t)(2 * zero + 1) << shift) >> 1;
        const int32_t away = low == zero ? 0 : h >> 31; /* else what is below 0 is clamped, however rounded */
        return rs_clamp_int8((h + away + half) >> shift, low, high);
    }
    return rs_clamp(rs_multiply(acc, multiplier, shift), low - zero, high - zero) + zero;
}

#endif
