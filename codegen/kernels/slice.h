/* SLICE and STRIDED_SLICE: a walk like TRANSPOSE's that begins somewhere inside x. */
#ifndef RS_SLICE_H
#define RS_SLICE_H

#include "transpose.h"

struct rs_slice {
    struct rs_view x, y;
    int32_t first_row, first_byte;              /* where in x the first element of y lies */
    int32_t out_h, out_w, out_c, run;           /* from here on: see struct rs_transpose; steps may be negative */
    int32_t rows_n, rows_h, rows_w, rows_c;
    int32_t bytes_n, bytes_h, bytes_w, bytes_c;
};

/* The view in which row 0 is row `rows` of v, less its first `bytes`. */
RS_INLINE struct rs_view rs_slice_view(const struct rs_view v, int32_t rows, int32_t bytes)
{
    const struct rs_view moved = {v.data + bytes, v.row_stride, v.ring_rows, v.first_row - rows};
    return moved;
}

RS_INLINE void rs_slice(const struct rs_slice p, int32_t row_begin, int32_t row_end)
{
    const struct rs_view x = rs_slice_view(p.x, p.first_row, p.first_byte);
    const struct rs_transpose walk = {x,        p.y,      p.out_h,   p.out_w,   p.out_c,   p.run,    p.rows_n, p.rows_h,
                                      p.rows_w, p.rows_c, p.bytes_n, p.bytes_h, p.bytes_w, p.bytes_c};
    rs_transpose(walk, row_begin, row_end);
}

#endif
