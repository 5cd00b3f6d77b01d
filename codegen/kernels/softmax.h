/* SOFTMAX over runs of `depth` int8 values; the output's scale is 1/256, its zero point -128. */
#ifndef RS_SOFTMAX_H
#define RS_SOFTMAX_H

#include "rs_gemmlowp.h"

struct rs_softmax {
    struct rs_view x, y;
    int32_t depth;      /* values that share a sum */
    int32_t groups;     /* runs of depth a row */
    int32_t multiplier; /* differences of inputs to Q5.26: (difference << shift) * multiplier / 2^31 */
    int32_t shift;
    int32_t diff_min;   /* exp of smaller differences counts as 0 */
};

/* exp of an input's difference from the maximum, Q0.31. */
RS_INLINE int32_t rs_softmax_exp(const struct rs_softmax p, int32_t difference)
{
    const int32_t shifted = (int32_t)((uint32_t)difference << p.shift);
    return rs_exp_on_negative_values(rs_doubling_high_multiply(shifted, p.multiplier));
}

RS_INLINE void rs_softmax_group(const struct rs_softmax p, int8_t *y, const int8_t *x)
{
    int32_t i, over_unit, scale, exponent, largest = -128;
    uint32_t sum = 0; /* Q12.19 */
#pragma GCC unroll 1
    for (i = 0; i < p.depth; i++) {
        largest = x[i] > largest ? x[i] : largest;
    }
#pragma GCC unroll 1
    for (i = 0; i < p.depth; i++) {
        if (x[i] - largest >= p.diff_min) {
            sum += (uint32_t)rs_rounding_divide_by_pot(rs_softmax_exp(p, x[i] - largest), 12);
        }
    }
    scale = rs_reciprocal(sum, 12, &over_unit);
    exponent = over_unit + 31 - 8;
#pragma GCC unroll 1
    for (i = 0; i < p.depth; i++) {
        int32_t probability = 0; /* also where the shift leaves nothing */
        if (x[i] - largest >= p.diff_min && exponent <= 31) {
            const int32_t product = rs_doubling_high_multiply(scale, rs_softmax_exp(p, x[i] - largest));
            probability = rs_rounding_divide_by_pot(product, exponent);
        }
        y[i] = (int8_t)(probability > 255 ? 127 : probability - 128);
    }
}

RS_INLINE void rs_softmax(const struct rs_softmax p, int32_t row_begin, int32_t row_end)
{
    int32_t row, group;
#pragma GCC unroll 1
    for (row = row_begin; row < row_end; row++) {
        const int8_t *x = rs_row(p.x, row);
        int8_t *y = rs_row(p.y, row);
        for (group = 0; group < p.groups; group++, x += p.depth, y += p.depth) {
            rs_softmax_group(p, y, x);
        }
    }
}

#endif
