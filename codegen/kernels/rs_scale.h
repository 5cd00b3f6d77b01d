/* Requantisation of accumulators that leave a bit to spare: the same numbers as rs_multiply, in fewer instructions. */
#ifndef RS_SCALE_H
#define RS_SCALE_H

#include "rs_fixedpoint.h"
#include "rs_requantize.h"

/* High word of a * b, rounded half up, + c. */
RS_INLINE int32_t rs_high_rounded(int32_t a, int32_t b, int32_t c)
{
#if RS_DSP
    return rs_smmlar((uint32_t)a, (uint32_t)b, c);
#else
    uint32_t low;
    const int32_t high = rs_multiply_high(a, b, &low);
    return high + (int32_t)(low >> 31) + c;
#endif
}

/* x * multiplier / 2^31 rounded half up, then / 2^right rounded half away from zero. |x| < 2^30, multiplier >= 0.
 * Doubling x makes the first rounding that of the high word; a negative x takes one from the second, so that its ties
 * go down. */
RS_INLINE int32_t rs_scale_right(int32_t x, int32_t multiplier, int32_t right)
{
    const int32_t half = right > 0 ? (int32_t)(1u << (right - 1)) : 0;
    const int32_t nudge = right > 0 ? x >> 31 : 0;
    return (rs_high_rounded((int32_t)((uint32_t)x << 1), multiplier, half) + nudge) >> right;
}

#endif
