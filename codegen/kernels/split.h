/* SPLIT into up to 16 equal parts, each a slice of x. */
#ifndef RS_SPLIT_H
#define RS_SPLIT_H

#include "slice.h"

struct rs_split {
    struct rs_view x;
    struct rs_view y0, y1, y2, y3, y4, y5, y6, y7, y8, y9, y10, y11, y12, y13, y14, y15;
    int32_t parts;                              /* of y0, y1, ... */
    int32_t part_rows, part_bytes;              /* from one part to the next, in x */
    int32_t out_h, out_w, out_c, run;           /* from here on: see struct rs_transpose */
    int32_t rows_n, rows_h, rows_w, rows_c;
    int32_t bytes_n, bytes_h, bytes_w, bytes_c;
};

#define RS_PART(i)                                                                                                     \
    if (p.parts > i) {                                                                                                 \
        const struct rs_slice part = {p.x,      p.y##i,   i * p.part_rows, i * p.part_bytes, p.out_h,   p.out_w,       \
                                      p.out_c,  p.run,    p.rows_n,        p.rows_h,         p.rows_w,  p.rows_c,      \
                                      p.bytes_n, p.bytes_h, p.bytes_w,     p.bytes_c};                                 \
        rs_slice(part, row_begin, row_end);                                                                            \
    }

RS_INLINE void rs_split(const struct rs_split p, int32_t row_begin, int32_t row_end)
{
    RS_PART(0) RS_PART(1) RS_PART(2) RS_PART(3) RS_PART(4) RS_PART(5) RS_PART(6) RS_PART(7)
    RS_PART(8) RS_PART(9) RS_PART(10) RS_PART(11) RS_PART(12) RS_PART(13) RS_PART(14) RS_PART(15)
}
#undef RS_PART

#endif
