/* TRANSPOSE of [N, H, W, C]: each step along an axis of y moves in x by whole rows or by bytes within a row. */
#ifndef RS_TRANSPOSE_H
#define RS_TRANSPOSE_H

#include "rs_copy.h"

struct rs_transpose {
    struct rs_view x, y;
    int32_t out_h, out_w, out_c;                /* y, counted in runs along C */
    int32_t run;                                /* bytes that stay together */
    int32_t rows_n, rows_h, rows_w, rows_c;     /* rows of x a step */
    int32_t bytes_n, bytes_h, bytes_w, bytes_c; /* bytes in a row of x a step */
};

RS_INLINE void rs_transpose(const struct rs_transpose p, int32_t row_begin, int32_t row_end)
{
    int32_t row, w, c, h, n = rs_divide(row_begin, p.out_h, &h);
#pragma GCC unroll 1
    for (row = row_begin; row < row_end; row++) {
        const int32_t in_row = n * p.rows_n + h * p.rows_h;
        const int32_t in_byte = n * p.bytes_n + h * p.bytes_h;
        int8_t *y = rs_row(p.y, row);
#pragma GCC unroll 1
        for (w = 0; w < p.out_w; w++) {
#pragma GCC unroll 1
            for (c = 0; c < p.out_c; c++) {
                const int8_t *x = rs_row(p.x, in_row + w * p.rows_w + c * p.rows_c);
                rs_copy(y, x + in_byte + w * p.bytes_w + c * p.bytes_c, p.run);
                y += p.run;
            }
        }
        if (++h == p.out_h) {
            h = 0;
            n++;
        }
    }
}

#endif
