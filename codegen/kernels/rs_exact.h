/* An accumulator times a real scale as float64 arithmetic gives it, rounded half away from zero; in integers.
 *
 * The scale is {high, low, right | left << 8, limit}: scale = high:low * 2^(-64 - right + left), where high:low holds
 * float64's 53 bits at its top and right >= 1. Beyond `limit` the result is out of any int8's reach.
 *
 * Let P be the exact product. Float64 rounds it to 53 bits first, which changes the rounding to an integer only where
 * it lifts P to k + 1/2 from below: where the bits of P + 1/2 after the binary point are all ones as far down as half
 * a unit of the 53rd bit. That place depends on k alone. */
#ifndef RS_EXACT_H
#define RS_EXACT_H

#include "rs_fixedpoint.h"

/* High and low words of a * b, unsigned. */
RS_INLINE uint32_t rs_multiply_unsigned(uint32_t a, uint32_t b, uint32_t *low)
{
    /* the signed product lacks b * 2^32 where a's top bit is set, and the other way round */
    const uint32_t high = (uint32_t)rs_multiply_high((int32_t)a, (int32_t)b, low);
    return high + (b & (uint32_t)-(int32_t)(a >> 31)) + (a & (uint32_t)-(int32_t)(b >> 31));
}

/* Ones that have to follow the binary point for k + fraction to be lifted to k + 1: down to half a unit of P's 53rd
 * bit, where P < k + 1/2. Only the first 32 are known to be there; the next 32 are `bits`. */
RS_INLINE uint32_t rs_exact_lift(uint32_t k, uint32_t bits)
{
    uint32_t width = 22; /* 54 - 32, less the bits of k */
    if (k == 0) {
        width = 23;
    }
    for (; k > 0 && width > 0; k >>= 1) {
        width--;
    }
    return ~bits >> 1 >> (31 - width) == 0;
}

RS_INLINE int32_t rs_multiply_exact(int32_t acc, const uint32_t *scale)
{
    const uint32_t right = scale[2] & 0xffu, left = scale[2] >> 8;
    uint32_t magnitude = acc < 0 ? 0u - (uint32_t)acc : (uint32_t)acc;
    uint32_t w0, w1, w2, carry, k;
    magnitude = (magnitude > scale[3] ? scale[3] : magnitude) << left;
    carry = rs_multiply_unsigned(magnitude, scale[1], &w0);
    w2 = rs_multiply_unsigned(magnitude, scale[0], &w1);
    w1 += carry;
    w2 += (w1 < carry) + (1u << (right - 1));
    k = w2 >> right;
    if (((w2 << (32 - right)) | (w1 >> right)) == 0xffffffffu) {
        k += rs_exact_lift(k, (w1 << (32 - right)) | (w0 >> right));
    }
    return acc < 0 ? -(int32_t)k : (int32_t)k;
}

#endif
