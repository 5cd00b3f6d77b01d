/* RESHAPE where input and output do not share their bytes: a copy between two ways to cut the same bytes into rows. */
#ifndef RS_RESHAPE_H
#define RS_RESHAPE_H

#include "rs_copy.h"

struct rs_reshape {
    struct rs_view x, y;
    int32_t in_bytes;  /* a row of x */
    int32_t out_bytes; /* a row of y */
};

RS_INLINE void rs_reshape(const struct rs_reshape p, int32_t row_begin, int32_t row_end)
{
    int32_t from, row, in_row;
    if (p.in_bytes == p.out_bytes) {
#pragma GCC unroll 1
        for (row = row_begin; row < row_end; row++) {
            rs_copy(rs_row(p.y, row), rs_row(p.x, row), p.out_bytes);
        }
        return;
    }
    in_row = rs_divide(row_begin * p.out_bytes, p.in_bytes, &from);
#pragma GCC unroll 1
    for (row = row_begin; row < row_end; row++) {
        int8_t *y = rs_row(p.y, row);
        int32_t left = p.out_bytes;
#pragma GCC unroll 1
        while (left > 0) {
            const int32_t rest = p.in_bytes - from;
            const int32_t run = rest < left ? rest : left;
            rs_copy(y, rs_row(p.x, in_row) + from, run);
            y += run;
            left -= run;
            from += run;
            if (from == p.in_bytes) {
                from = 0;
                in_row++;
            }
        }
    }
}

#endif
