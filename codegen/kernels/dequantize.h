/* DEQUANTIZE from int8 or uint8 to float32. */
#ifndef RS_DEQUANTIZE_H
#define RS_DEQUANTIZE_H

#include "rs_softfloat.h"

struct rs_dequantize {
    struct rs_view x;    /* int8 or uint8 */
    struct rs_view y;    /* float32, its rows at multiples of 4 bytes */
    int32_t elements;    /* in a row */
    int32_t scale;       /* of x, the bits of a float32 */
    int32_t zero_point;  /* of x */
    int32_t is_unsigned; /* x is uint8 */
};

RS_INLINE void rs_dequantize(const struct rs_dequantize p, int32_t row_begin, int32_t row_end)
{
    int32_t row, i;
#pragma GCC unroll 1
    for (row = row_begin; row < row_end; row++) {
        const int8_t *x = rs_row(p.x, row);
        rs_float_bits *y = (rs_float_bits *)(void *)rs_row(p.y, row);
#pragma GCC unroll 1
        for (i = 0; i < p.elements; i++) {
            const int32_t q = p.is_unsigned ? (uint8_t)x[i] : x[i];
            y[i] = rs_float_scale(q - p.zero_point, (uint32_t)p.scale);
        }
    }
}

#endif
