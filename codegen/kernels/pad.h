/* PAD: x in the middle of y, both [N, H, W, C], the rest filled with one byte. */
#ifndef RS_PAD_H
#define RS_PAD_H

#include "rs_copy.h"

struct rs_pad {
    struct rs_view x, y;
    int32_t in_n, in_h, in_w, in_bytes;      /* x; in_bytes: the channels of a pixel */
    int32_t out_h, out_w, out_bytes;         /* y */
    int32_t pad_n, pad_h, pad_w, pad_bytes;  /* before x on each axis */
    int32_t fill;                            /* value of each byte around x */
};

RS_INLINE void rs_pad_pixels(const struct rs_pad p, int8_t *y, const int8_t *x)
{
    int32_t i;
    rs_fill(y, p.fill, p.pad_w * p.out_bytes);
    y += p.pad_w * p.out_bytes;
    if (p.in_bytes == p.out_bytes) {
        rs_copy(y, x, p.in_w * p.in_bytes);
        y += p.in_w * p.in_bytes;
    } else {
#pragma GCC unroll 1
        for (i = 0; i < p.in_w; i++) {
            rs_fill(y, p.fill, p.pad_bytes);
            rs_copy(y + p.pad_bytes, x, p.in_bytes);
            rs_fill(y + p.pad_bytes + p.in_bytes, p.fill, p.out_bytes - p.in_bytes - p.pad_bytes);
            y += p.out_bytes;
            x += p.in_bytes;
        }
    }
    rs_fill(y, p.fill, (p.out_w - p.pad_w - p.in_w) * p.out_bytes);
}

RS_INLINE void rs_pad(const struct rs_pad p, int32_t row_begin, int32_t row_end)
{
    int32_t row, h, n = rs_divide(row_begin, p.out_h, &h) - p.pad_n;
    h -= p.pad_h;
#pragma GCC unroll 1
    for (row = row_begin; row < row_end; row++) {
        if (n >= 0 && n < p.in_n && h >= 0 && h < p.in_h) {
            rs_pad_pixels(p, rs_row(p.y, row), rs_row(p.x, n * p.in_h + h));
        } else {
            rs_fill(rs_row(p.y, row), p.fill, p.out_w * p.out_bytes);
        }
        if (++h == p.out_h - p.pad_h) {
            h = -p.pad_h;
            n++;
        }
    }
}

#endif
