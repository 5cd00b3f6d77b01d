/* QUANTIZE from float32 to int8. Between 8-bit types it is a table: see lookup.h. */
#ifndef RS_QUANTIZE_H
#define RS_QUANTIZE_H

#include "rs_fixedpoint.h"
#include "rs_softfloat.h"

struct rs_quantize {
    struct rs_view x;   /* float32, its rows at multiples of 4 bytes */
    struct rs_view y;   /* int8 */
    int32_t elements;   /* in a row */
    int32_t scale;      /* of y, the bits of a float32 */
    int32_t zero_point; /* of y */
};

RS_INLINE void rs_quantize(const struct rs_quantize p, int32_t row_begin, int32_t row_end)
{
    int32_t row, i;
#pragma GCC unroll 1
    for (row = row_begin; row < row_end; row++) {
        const rs_float_bits *x = (const rs_float_bits *)(const void *)rs_row(p.x, row);
        int8_t *y = rs_row(p.y, row);
#pragma GCC unroll 1
        for (i = 0; i < p.elements; i++) {
            const int32_t steps = rs_float_round(rs_float_divide(x[i], (uint32_t)p.scale));
            y[i] = (int8_t)rs_clamp(steps + p.zero_point, -128, 127);
        }
    }
}

#endif
