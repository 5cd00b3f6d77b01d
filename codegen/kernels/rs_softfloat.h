/* The few float32 operations that QUANTIZE and DEQUANTIZE need, on the bits of IEEE 754 numbers, rounded to nearest,
 * ties to even, denormals included. Cores with an FPU use it; the others get integers instead of library calls. */
#ifndef RS_SOFTFLOAT_H
#define RS_SOFTFLOAT_H

#include "rs_view.h"

/* On hosts RS_EMULATE_DSP stands for the cores that have an FPU too. */
#if (defined(__ARM_FP) && (__ARM_FP & 4)) || defined(RS_EMULATE_DSP)
#define RS_HARD_FLOAT 1
#else
#define RS_HARD_FLOAT 0
#endif

#define RS_FLOAT_SIGN 0x80000000u
#define RS_FLOAT_INFINITY 0x7f800000u

/* A float32 in memory, which lies at a multiple of 4 bytes. */
typedef uint32_t __attribute__((may_alias)) rs_float_bits;

#if RS_HARD_FLOAT

RS_INLINE float rs_float_of(uint32_t bits)
{
    float value;
    __builtin_memcpy(&value, &bits, sizeof value);
    return value;
}

RS_INLINE uint32_t rs_bits_of(float value)
{
    uint32_t bits;
    __builtin_memcpy(&bits, &value, sizeof bits);
    return bits;
}

/* n * scale for |n| < 256, scale finite and >= 0. */
RS_INLINE uint32_t rs_float_scale(int32_t n, uint32_t scale)
{
    return rs_bits_of((float)n * rs_float_of(scale));
}

/* a / b for b finite and > 0. */
RS_INLINE uint32_t rs_float_divide(uint32_t a, uint32_t b)
{
    return rs_bits_of(rs_float_of(a) / rs_float_of(b));
}

#else

/* m / 2^shift rounded to nearest, ties to even; `sticky`: m lacks something that is smaller than one. 0 < shift < 32 */
RS_INLINE uint32_t rs_round_to_even(uint32_t m, int32_t shift, uint32_t sticky)
{
    const uint32_t half = 1u << (shift - 1);
    const uint32_t rest = m & ((half << 1) - 1u);
    const uint32_t whole = m >> shift;
    return whole + (rest > half || (rest == half && (sticky != 0u || (whole & 1u) != 0u)));
}

RS_INLINE uint32_t rs_float_scale(int32_t n, uint32_t scale)
{
    const uint32_t sign = n < 0 ? RS_FLOAT_SIGN : 0u;
    int32_t exponent = (int32_t)(scale >> 23), shift = 0;
    uint32_t m = scale & 0x7fffffu, bits;
    if (exponent == 0) {
        exponent = 1;
    } else {
        m |= 0x800000u;
    }
    m *= (uint32_t)(n < 0 ? -n : n); /* exact: 24 and 8 bits */
    if (m == 0u) {
        return sign;
    }
    while ((m >> shift) >= 0x1000000u) {
        shift++;
    }
    if (shift != 0) {
        m = rs_round_to_even(m, shift, 0u);
    }
    /* The leading bit of m, if it is there, adds one to the exponent. */
    bits = ((uint32_t)(exponent + shift - 1) << 23) + m;
    return sign | (bits < RS_FLOAT_INFINITY ? bits : RS_FLOAT_INFINITY);
}

/* Mantissa with its leading bit at 2^23, for numbers other than 0; *exponent as in the format, below 1 for denormals. */
RS_INLINE uint32_t rs_float_normal(uint32_t bits, int32_t *exponent)
{
    uint32_t m = bits & 0x7fffffu;
    *exponent = (int32_t)((bits >> 23) & 0xffu);
    if (*exponent != 0) {
        return m | 0x800000u;
    }
#pragma GCC unroll 1
    for (*exponent = 1; m < 0x800000u; m <<= 1) {
        --*exponent;
    }
    return m;
}

RS_INLINE uint32_t rs_float_divide(uint32_t a, uint32_t b)
{
    const uint32_t sign = a & RS_FLOAT_SIGN;
    uint32_t rest, divisor, quotient = 0;
    int32_t exponent, divisor_exponent, i, shift = 1;
    if ((a & ~RS_FLOAT_SIGN) >= RS_FLOAT_INFINITY || (a & ~RS_FLOAT_SIGN) == 0u) {
        return a;
    }
    rest = rs_float_normal(a, &exponent);
    divisor = rs_float_normal(b, &divisor_exponent);
    exponent += 127 - divisor_exponent;
    if (rest < divisor) {
        rest <<= 1;
        exponent--;
    }
#pragma GCC unroll 1
    for (i = 0; i < 25; i++) { /* 24 bits and one for rounding */
        quotient <<= 1;
        if (rest >= divisor) {
            rest -= divisor;
            quotient |= 1u;
        }
        rest <<= 1;
    }
    if (exponent < 1) {
        shift = exponent < -24 ? 26 : 2 - exponent; /* by 26, nothing is left */
        exponent = 1;
    }
    if (exponent > 254) {
        return sign | RS_FLOAT_INFINITY;
    }
    quotient = ((uint32_t)(exponent - 1) << 23) + rs_round_to_even(quotient, shift, rest);
    return sign | quotient;
}

#endif

/* The nearest integer, halves away from zero; 512 with its sign from there on, 0 for what is not a number. */
RS_INLINE int32_t rs_float_round(uint32_t bits)
{
    const int32_t exponent = (int32_t)((bits >> 23) & 0xffu);
    int32_t magnitude = 512;
    if (exponent < 126 || (bits & ~RS_FLOAT_SIGN) > RS_FLOAT_INFINITY) {
        return 0;
    }
    if (exponent < 127 + 9) {
        const uint32_t m = (bits & 0x7fffffu) | 0x800000u;
        magnitude = (int32_t)((m + (1u << (149 - exponent))) >> (150 - exponent));
    }
    return (bits & RS_FLOAT_SIGN) != 0u ? -magnitude : magnitude;
}

#endif
