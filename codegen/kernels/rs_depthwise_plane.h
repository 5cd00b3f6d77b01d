/* Rows of one channel of a depthwise convolution's input, as int16, padding filled in: in scratch, where outputs are
 * computed from. */
#ifndef RS_DEPTHWISE_PLANE_H
#define RS_DEPTHWISE_PLANE_H

#include "rs_fixedpoint.h"

struct rs_depthwise_conv2d {
    struct rs_view x;       /* int8 [images * in_h][in_w][in_c] */
    struct rs_view y;       /* int8 [images * out_h][out_w][out_c] */
    const int8_t *w;        /* [out_c][kernel_h][kernel_w] */
    const int32_t *channel; /* [out_c][3], see rs_requantize.h */
    int32_t images, in_h, in_w, in_c, out_h, out_w, out_c;
    int32_t kernel_h, kernel_w, stride_h, stride_w, dilation_h, dilation_w, pad_top, pad_left;
    int32_t subtract;   /* from x on its way into scratch */
    int32_t fill;       /* what padding is there */
    int32_t block_rows; /* output rows whose input fits into scratch */
    int32_t plane_w;    /* int16 values of a row in scratch; even */
    int32_t fast;       /* see rs_requantize.h */
    int32_t x_zero, y_zero, low, high;
    int8_t *scratch; /* int16 [(block_rows - 1) * stride_h + reach][plane_w], then a channel's weights, unpacked */
};

/* Output rows of one image that are computed together. */
struct rs_depthwise_block {
    int32_t row, rows;  /* of y, counted over the images */
    int32_t image_row;  /* of x: where the image begins */
    int32_t top;        /* row of the image in row 0 of the scratch; may be negative */
    int32_t begin, end; /* rows of the scratch that lie inside the image */
    const int8_t *x;    /* row `begin` */
    int8_t *y;          /* row 0 */
};

/* What one output channel is computed with: bias, and how sums are scaled (rs_requantize.h). */
struct rs_depthwise_channel {
    int32_t c, bias, multiplier, shift;
};

/* See refsim/int8ops/depthwise_conv2d.py. */
RS_INLINE int32_t rs_depthwise_is_3x3(const struct rs_depthwise_conv2d p)
{
    return p.kernel_h == 3 && p.kernel_w == 3 && p.dilation_h == 1 && p.dilation_w == 1 && p.stride_w <= 2;
}

/* The row after one that begins at `row`, or at a byte in it. */
RS_INLINE const int8_t *rs_depthwise_next_x(const struct rs_view v, const int8_t *row)
{
    row += v.row_stride;
    return v.ring_rows && row >= v.data + v.ring_rows * v.row_stride ? row - v.ring_rows * v.row_stride : row;
}

RS_INLINE int8_t *rs_depthwise_next_y(const struct rs_view v, int8_t *row)
{
    row += v.row_stride;
    return v.ring_rows && row >= v.data + v.ring_rows * v.row_stride ? row - v.ring_rows * v.row_stride : row;
}

RS_INLINE int32_t rs_depthwise_plane_rows(const struct rs_depthwise_conv2d p, int32_t rows)
{
    return (rows - 1) * p.stride_h + (p.kernel_h - 1) * p.dilation_h + 1;
}

RS_INLINE int16_t *rs_depthwise_plane(const struct rs_depthwise_conv2d p)
{
    return (int16_t *)(void *)p.scratch;
}

/* Values of a plane row that taps reach, and how many of them come from x. */
RS_INLINE int32_t rs_depthwise_reach(const struct rs_depthwise_conv2d p)
{
    return (p.out_w - 1) * p.stride_w + (p.kernel_w - 1) * p.dilation_w + 1;
}

RS_INLINE int32_t rs_depthwise_width(const struct rs_depthwise_conv2d p)
{
    const int32_t used = rs_depthwise_reach(p) - p.pad_left;
    return used < p.in_w ? used : p.in_w;
}

RS_INLINE int16_t *rs_depthwise_fill(const struct rs_depthwise_conv2d p, int16_t *to, int32_t count)
{
    for (; count > 0; --count) {
        *to++ = (int16_t)p.fill;
    }
    return to;
}

/* Padding, which no channel changes. */
RS_INLINE void rs_depthwise_pad(const struct rs_depthwise_conv2d p, const struct rs_depthwise_block block)
{
    const int32_t rows = rs_depthwise_plane_rows(p, block.rows), reach = rs_depthwise_reach(p);
    int16_t *row = rs_depthwise_plane(p);
    int32_t i;
#pragma GCC unroll 1
    for (i = 0; i < rows; ++i, row += p.plane_w) {
        if (i < block.begin || i >= block.end) {
            rs_depthwise_fill(p, row, reach);
        } else {
            rs_depthwise_fill(p, row, p.pad_left);
            rs_depthwise_fill(p, row + p.pad_left + rs_depthwise_width(p), reach - p.pad_left - rs_depthwise_width(p));
        }
    }
}

/* Four values of one channel from x, `stride` apart. */
RS_INLINE void rs_depthwise_take4(int16_t *to, const int8_t *from, int32_t stride, int32_t subtract)
{
    to[0] = (int16_t)(from[0] - subtract);
    to[1] = (int16_t)(from[stride] - subtract);
    to[2] = (int16_t)(from[2 * stride] - subtract);
    to[3] = (int16_t)(from[3 * stride] - subtract);
}

RS_INLINE void rs_depthwise_take(const struct rs_depthwise_conv2d p, int16_t *to, const int8_t *from, int32_t width)
{
    int32_t left;
    for (left = width / 8; left > 0; --left, to += 8, from += 8 * p.in_c) {
        rs_depthwise_take4(to, from, p.in_c, p.subtract);
        rs_depthwise_take4(to + 4, from + 4 * p.in_c, p.in_c, p.subtract);
    }
    if (width & 4) {
        rs_depthwise_take4(to, from, p.in_c, p.subtract);
        to += 4, from += 4 * p.in_c;
    }
    for (left = width & 3; left > 0; --left, ++to, from += p.in_c) {
        *to = (int16_t)(*from - p.subtract);
    }
}

/* The rows of channel c that lie inside the image, to their places in scratch. */
RS_INLINE void rs_depthwise_gather(const struct rs_depthwise_conv2d p, const struct rs_depthwise_block block, int32_t c)
{
    int16_t *to = rs_depthwise_plane(p) + block.begin * p.plane_w + p.pad_left;
    const int8_t *from = block.x + c;
    int32_t left;
#pragma GCC unroll 1
    for (left = block.end - block.begin; left > 0; --left, to += p.plane_w, from = rs_depthwise_next_x(p.x, from)) {
        rs_depthwise_take(p, to, from, rs_depthwise_width(p));
    }
}

/* Kernel rows [begin, end) of an output row whose window begins at image row `iy`, that lie inside the image. */
RS_INLINE int32_t rs_depthwise_first_tap(const struct rs_depthwise_conv2d p, int32_t iy)
{
    int32_t ky = 0;
    if (p.dilation_h == 1) {
        return rs_clamp(-iy, 0, p.kernel_h);
    }
    for (; ky < p.kernel_h && iy < 0; iy = rs_opaque(iy + p.dilation_h)) {
        ++ky;
    }
    return ky;
}

RS_INLINE int32_t rs_depthwise_last_tap(const struct rs_depthwise_conv2d p, int32_t iy)
{
    int32_t ky = p.kernel_h;
    if (p.dilation_h == 1) {
        return rs_clamp(p.in_h - iy, 0, p.kernel_h);
    }
    for (iy += (p.kernel_h - 1) * p.dilation_h; ky > 0 && iy >= p.in_h; iy = rs_opaque(iy - p.dilation_h)) {
        --ky;
    }
    return ky;
}

#endif
