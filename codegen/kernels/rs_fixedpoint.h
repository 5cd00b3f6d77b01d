/* TFLite's fixed-point arithmetic. Unsigned where it may wrap; no 64-bit shift or division, so that no target needs a
 * library call. The definitions are those of refsim/int8ops/fixedpoint.py. */
#ifndef RS_FIXEDPOINT_H
#define RS_FIXEDPOINT_H

#include "rs_view.h"

/* High and low words of a * b. Armv6-M has no long multiply: four 16-bit products. */
RS_INLINE int32_t rs_multiply_high(int32_t a, int32_t b, uint32_t *low)
{
#if defined(__ARM_ARCH) && __ARM_ARCH < 7 && defined(__thumb__) && !defined(__ARM_ARCH_8M_BASE__)
    const uint32_t al = (uint32_t)a & 0xffffu, bl = (uint32_t)b & 0xffffu;
    const int32_t ah = a >> 16, bh = b >> 16;
    const uint32_t ll = al * bl;
    const int32_t hl = (int32_t)((uint32_t)ah * bl); /* |ah| <= 2^15, bl < 2^16: fits */
    const int32_t lh = (int32_t)(al * (uint32_t)bh);
    const uint32_t middle = (ll >> 16) + ((uint32_t)hl & 0xffffu) + ((uint32_t)lh & 0xffffu);
    *low = (middle << 16) | (ll & 0xffffu);
    return ah * bh + (hl >> 16) + (lh >> 16) + (int32_t)(middle >> 16);
#else
    const int64_t product = (int64_t)a * b;
    *low = (uint32_t)product;
    return (int32_t)(product >> 32);
#endif
}

/* (2ab + 2^31) >> 32; a = b = INT32_MIN saturates. */
RS_INLINE int32_t rs_doubling_high_multiply(int32_t a, int32_t b)
{
    uint32_t low;
    int32_t high;
    if (a == INT32_MIN && b == INT32_MIN) {
        return INT32_MAX;
    }
    high = rs_multiply_high(a, b, &low);
    /* (high:low + 2^30) >> 31 */
    high += (low + 0x40000000u) < low;
    low += 0x40000000u;
    return (int32_t)(((uint32_t)high << 1) | (low >> 31));
}

/* x / 2^exponent rounded half away from zero; 0 <= exponent <= 31. */
RS_INLINE int32_t rs_rounding_divide_by_pot(int32_t x, int32_t exponent)
{
    const uint32_t mask = (1u << exponent) - 1u;
    const uint32_t remainder = (uint32_t)x & mask;
    const uint32_t threshold = (mask >> 1) + (uint32_t)(x < 0);
    return (x >> exponent) + (remainder > threshold);
}

/* x * multiplier * 2^(shift - 31) with two roundings; shift > 0 is to the left and wraps. */
RS_INLINE int32_t rs_multiply(int32_t x, int32_t multiplier, int32_t shift)
{
    const int32_t left = shift > 0 ? shift : 0;
    const int32_t right = shift > 0 ? 0 : -shift;
    return rs_rounding_divide_by_pot(
        rs_doubling_high_multiply((int32_t)((uint32_t)x << left), multiplier), right);
}

RS_INLINE int32_t rs_clamp(int32_t x, int32_t low, int32_t high)
{
    return x < low ? low : (x > high ? high : x);
}

#endif
