/* gemmlowp's exp and reciprocal on int32 fixed point (Qm.n: value * 2^n, m + n = 31). The definitions are those of
 * refsim/int8ops/gemmlowp.py. */
#ifndef RS_GEMMLOWP_H
#define RS_GEMMLOWP_H

#include "rs_fixedpoint.h"

/* x * 2^bits, saturated. */
RS_INLINE int32_t rs_saturating_shift_left(int32_t x, int32_t bits)
{
    const int32_t limit = INT32_MAX >> bits;
    if (x > limit) {
        return INT32_MAX;
    }
    return x < -limit - 1 ? INT32_MIN : (int32_t)((uint32_t)x << bits);
}

/* exp(a), a in [-1/4, 0), both Q0.31: Taylor series around -1/8. */
RS_INLINE int32_t rs_exp_on_last_quarter(int32_t a)
{
    const int32_t x = a + (1 << 28);
    const int32_t x2 = rs_doubling_high_multiply(x, x);
    const int32_t x3 = rs_doubling_high_multiply(x2, x);
    const int32_t x4_over_4 = rs_rounding_divide_by_pot(rs_doubling_high_multiply(x2, x2), 2);
    const int32_t third = rs_doubling_high_multiply(x4_over_4 + x3, 715827883);
    const int32_t tail = rs_rounding_divide_by_pot(third + x2, 1);
    return 1895147668 + rs_doubling_high_multiply(1895147668, x + tail);
}

/* exp(a) in Q0.31, a <= 0 in Q5.26. A function of its own: it is long, and called twice. */
static __attribute__((noinline, unused)) int32_t rs_exp_on_negative_values(int32_t a)
{
    /* exp(-1/4), exp(-1/2), ..., exp(-16) in Q0.31 */
    static const int32_t factors[7] = {1672461947, 1302514674, 790015084, 290630308, 39332535, 720401, 242};
    const int32_t quarter = 1 << 24;
    const int32_t within = (a & (quarter - 1)) - quarter;
    uint32_t rest = (uint32_t)(within - a) >> 24;
    int32_t result, bit;
    if (a == 0) {
        return INT32_MAX;
    }
    result = rs_exp_on_last_quarter((int32_t)((uint32_t)within << 5));
#pragma GCC unroll 1
    for (bit = 0; bit < 7; bit++, rest >>= 1) {
        if ((rest & 1u) != 0u) {
            result = rs_doubling_high_multiply(result, factors[bit]);
        }
    }
    return result;
}

/* 1 / (1 + x), x in [0, 1), both Q0.31: Newton's method. */
RS_INLINE int32_t rs_one_over_one_plus_x(int32_t x)
{
    const int32_t half_denominator = (int32_t)(((uint32_t)x + 0x80000000u) >> 1);
    int32_t i, guess = 1515870810 + rs_doubling_high_multiply(half_denominator, -1010580540); /* 48/17, 32/17 */
#pragma GCC unroll 1
    for (i = 0; i < 3; i++) {
        const int32_t error = (1 << 29) - rs_doubling_high_multiply(half_denominator, guess);
        guess += rs_saturating_shift_left(rs_doubling_high_multiply(guess, error), 2);
    }
    return rs_saturating_shift_left(guess, 1);
}

/* r in Q0.31 with 1 / x ~ r * 2^-over for x > 0 in Q(integer_bits); r is returned, *over_unit is over. */
RS_INLINE int32_t rs_reciprocal(uint32_t x, int32_t integer_bits, int32_t *over_unit)
{
    int32_t headroom = 0;
#pragma GCC unroll 1
    for (; (x & 0x80000000u) == 0u; headroom++) { /* Armv6-M cannot count leading zeros */
        x <<= 1;
    }
    *over_unit = integer_bits - headroom;
    return rs_one_over_one_plus_x((int32_t)(x & 0x7fffffffu));
}

#endif
