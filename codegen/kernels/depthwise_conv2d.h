/* DEPTHWISE_CONV_2D, int8. Channel by channel: some rows of the channel, padding filled in, go to scratch as int16;
 * there two neighbouring outputs are computed at a time from pairs of values.
 *
 * 3x3 kernels keep x as it is, with x's zero point folded into the bias, and hold their weights in registers. All
 * others subtract the zero point on the way (so that padding is 0 and kernel rows outside the image can be left out). */
#ifndef RS_DEPTHWISE_CONV2D_H
#define RS_DEPTHWISE_CONV2D_H

#include "rs_requantize.h"

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
    int8_t *scratch; /* int16 [(block_rows - 1) * stride_h + reach][plane_w], int16 [kernel_h][kernel_w + 1 & ~1] */
};

/* Output rows of one image that are computed together. */
struct rs_depthwise_block {
    int32_t row, rows; /* of y, counted over the images */
    int32_t image_row; /* of x: where the image begins */
    int32_t top;       /* row of the image in row 0 of the scratch; may be negative */
};

RS_INLINE int32_t rs_depthwise_plane_rows(const struct rs_depthwise_conv2d p, int32_t rows)
{
    return (rows - 1) * p.stride_h + (p.kernel_h - 1) * p.dilation_h + 1;
}

RS_INLINE int16_t *rs_depthwise_plane(const struct rs_depthwise_conv2d p)
{
    return (int16_t *)(void *)p.scratch;
}

RS_INLINE void rs_depthwise_fill(const struct rs_depthwise_conv2d p, int32_t rows)
{
    int16_t *to = rs_depthwise_plane(p);
    const int16_t *const end = to + rows * p.plane_w;
    for (; to != end; to += 2) {
        to[0] = to[1] = (int16_t)p.fill;
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

/* The rows of channel c that lie inside the image, to their places in scratch. */
RS_INLINE void rs_depthwise_gather(const struct rs_depthwise_conv2d p, const struct rs_depthwise_block block, int32_t c)
{
    const int32_t used = (p.out_w - 1) * p.stride_w + (p.kernel_w - 1) * p.dilation_w + 1 - p.pad_left;
    const int32_t width = used < p.in_w ? used : p.in_w;
    const int32_t rows = rs_depthwise_plane_rows(p, block.rows);
    const int32_t begin = block.top < 0 ? -block.top : 0;
    const int32_t end = block.top + rows > p.in_h ? p.in_h - block.top : rows;
    int32_t i, left;
    for (i = begin; i < end; ++i) {
        int16_t *to = rs_depthwise_plane(p) + i * p.plane_w + p.pad_left;
        const int8_t *from = rs_row(p.x, block.image_row + block.top + i) + c;
        for (left = width; left >= 4; left -= 4, to += 4, from += 4 * p.in_c) {
            rs_depthwise_take4(to, from, p.in_c, p.subtract);
        }
        for (; left > 0; --left, ++to, from += p.in_c) {
            *to = (int16_t)(*from - p.subtract);
        }
    }
}

RS_INLINE int8_t rs_depthwise_output(const struct rs_depthwise_conv2d p, const int32_t *channel, int32_t acc)
{
    return (int8_t)rs_requantize(acc, channel[1], channel[2], p.fast, p.y_zero, p.low, p.high);
}

/* Both are computed before one is stored: for all the compiler knows, y may be `channel`. */
RS_INLINE void rs_depthwise_store2(
    const struct rs_depthwise_conv2d p, int8_t *y, const int32_t *channel, int32_t first, int32_t second)
{
    const int8_t y0 = rs_depthwise_output(p, channel, first), y1 = rs_depthwise_output(p, channel, second);
    y[0] = y0;
    y[p.out_c] = y1;
}

/* Kernel rows [begin, end) of an output row whose window begins at image row `iy`, that lie inside the image. */
RS_INLINE int32_t rs_depthwise_first_tap(const struct rs_depthwise_conv2d p, int32_t iy)
{
    int32_t ky = 0;
    for (; ky < p.kernel_h && iy < 0; iy = rs_opaque(iy + p.dilation_h)) {
        ++ky;
    }
    return ky;
}

RS_INLINE int32_t rs_depthwise_last_tap(const struct rs_depthwise_conv2d p, int32_t iy)
{
    int32_t ky = p.kernel_h;
    for (iy += (p.kernel_h - 1) * p.dilation_h; ky > 0 && iy >= p.in_h; iy = rs_opaque(iy - p.dilation_h)) {
        --ky;
    }
    return ky;
}

#if RS_DSP

/* Weights of a kernel row of 3 as two words: halves {w0, w1} and {w1, w2}. */
struct rs_depthwise_w3 {
    uint32_t w01, w12;
};

/* All weights of a 3x3 channel, by rows. */
struct rs_depthwise_w9 {
    struct rs_depthwise_w3 top, middle, bottom;
};

/* Both outputs of one kernel row; x of the first begins at `x`, which is at an even place. */
RS_INLINE void rs_depthwise_row3(
    const int16_t *x, const struct rs_depthwise_w3 w, int32_t stride_w, int32_t *first, int32_t *second)
{
    const rs_word *word = (const rs_word *)(const void *)x;
    const uint32_t a = word[0], b = word[1];
    *first = rs_smlad(a, w.w01, *first);
    *first = rs_smlabt(b, w.w12, *first);
    if (stride_w == 1) {
        *second = rs_smlatb(a, w.w01, *second);
        *second = rs_smlad(b, w.w12, *second);
    } else {
        *second = rs_smlad(b, w.w01, *second);
        *second = rs_smlabt(word[2], w.w12, *second);
    }
}

RS_INLINE int32_t rs_depthwise_row3_single(const int16_t *x, const struct rs_depthwise_w3 w, int32_t acc)
{
    const rs_word *word = (const rs_word *)(const void *)x;
    return rs_smlabt(word[1], w.w12, rs_smlad(word[0], w.w01, acc));
}

RS_INLINE int32_t rs_depthwise_one3x3(const int16_t *x, const struct rs_depthwise_w9 w, int32_t row, int32_t bias)
{
    const int32_t top = rs_depthwise_row3_single(x, w.top, bias);
    return rs_depthwise_row3_single(x + 2 * row, w.bottom, rs_depthwise_row3_single(x + row, w.middle, top));
}

/* w: nine int8. The last four are loaded from the sixth on, so that nothing beyond the ninth is read. */
RS_INLINE struct rs_depthwise_w9 rs_depthwise_load9(const int8_t *w)
{
    const uint32_t top = rs_load32(w), middle = rs_load32(w + 3), bottom = rs_load32(w + 5);
    const uint32_t t02 = rs_sxtb16(top), t13 = rs_sxtb16_ror8(top);
    const uint32_t m02 = rs_sxtb16(middle), m13 = rs_sxtb16_ror8(middle);
    const uint32_t b02 = rs_sxtb16(bottom), b13 = rs_sxtb16_ror8(bottom); /* weights 5 7 and 6 8 */
    return (struct rs_depthwise_w9){
        {rs_pack_bottom(t02, t13), rs_pack_mixed(t13, t02)},
        {rs_pack_bottom(m02, m13), rs_pack_mixed(m13, m02)},
        {rs_pack_mixed(b13, b02), rs_pack_top(b02, b13)},
    };
}

RS_INLINE void rs_depthwise_3x3(
    const struct rs_depthwise_conv2d p, const struct rs_depthwise_block block, int32_t c, const int32_t *channel)
{
    const struct rs_depthwise_w9 w = rs_depthwise_load9(p.w + 9 * c);
    int32_t i, left;
    for (i = 0; i < block.rows; ++i) {
        const int16_t *x = rs_depthwise_plane(p) + i * p.stride_h * p.plane_w;
        int8_t *y = rs_row(p.y, block.row + i) + c;
        for (left = p.out_w; left >= 2; left -= 2, x += 2 * p.stride_w, y += 2 * p.out_c) {
            int32_t first = channel[0], second = channel[0];
            rs_depthwise_row3(x, w.top, p.stride_w, &first, &second);
            rs_depthwise_row3(x + p.plane_w, w.middle, p.stride_w, &first, &second);
            rs_depthwise_row3(x + 2 * p.plane_w, w.bottom, p.stride_w, &first, &second);
            rs_depthwise_store2(p, y, channel, first, second);
        }
        if (p.out_w & 1) {
            *y = rs_depthwise_output(p, channel, rs_depthwise_one3x3(x, w, p.plane_w, channel[0]));
        }
    }
}

/* Rows of the channel's weights as int16, an odd one followed by 0. */
RS_INLINE int16_t *rs_depthwise_unpack(const struct rs_depthwise_conv2d p, int32_t c)
{
    int16_t *const wide = rs_depthwise_plane(p) + rs_depthwise_plane_rows(p, p.block_rows) * p.plane_w;
    const int8_t *w = p.w + c * p.kernel_h * p.kernel_w;
    int16_t *to = wide;
    int32_t ky, kx;
    for (ky = 0; ky < p.kernel_h; ++ky) {
        for (kx = 0; kx < p.kernel_w; ++kx) {
            *to++ = *w++;
        }
        if (p.kernel_w & 1) {
            *to++ = 0;
        }
    }
    return wide;
}

/* One kernel row for two outputs; all but the pointers are literals. */
RS_INLINE void rs_depthwise_row(
    const struct rs_depthwise_conv2d p, const int16_t *x, const int16_t *w, int32_t *acc0, int32_t *acc1)
{
    int32_t kx;
#pragma GCC unroll 8
    for (kx = 0; kx < p.kernel_w; kx += 2) {
        const uint32_t pair = *(const rs_word *)(const void *)(w + kx);
        *acc0 = rs_smlad(rs_load32(x + kx), pair, *acc0);
        *acc1 = rs_smlad(rs_load32(x + kx + p.stride_w), pair, *acc1);
    }
}

RS_INLINE void rs_depthwise_wide(
    const struct rs_depthwise_conv2d p, const struct rs_depthwise_block block, int32_t c, const int32_t *channel)
{
    const int32_t w_row = (p.kernel_w + 1) & ~1, x_row = p.dilation_h * p.plane_w;
    const int16_t *const w = rs_depthwise_unpack(p, c);
    int32_t i, ox;
    for (i = 0; i < block.rows; ++i) {
        const int32_t first = rs_depthwise_first_tap(p, block.top + i * p.stride_h);
        const int32_t last = rs_depthwise_last_tap(p, block.top + i * p.stride_h);
        const int16_t *x = rs_depthwise_plane(p) + i * p.stride_h * p.plane_w + first * x_row;
        int8_t *y = rs_row(p.y, block.row + i) + c;
        for (ox = 0; ox < p.out_w; ox += 2, x += 2 * p.stride_w, y += 2 * p.out_c) {
            int32_t acc0 = channel[0], acc1 = channel[0], ky;
            const int16_t *x_tap = x, *w_tap = w + first * w_row;
            for (ky = first; ky < last; ++ky, x_tap += x_row, w_tap += w_row) {
                rs_depthwise_row(p, x_tap, w_tap, &acc0, &acc1);
            }
            if (ox + 1 < p.out_w) {
                rs_depthwise_store2(p, y, channel, acc0, acc1);
            } else {
                *y = rs_depthwise_output(p, channel, acc0);
            }
        }
    }
}

#endif

/* Any kernel, one tap at a time. */
RS_INLINE void rs_depthwise_plain(
    const struct rs_depthwise_conv2d p, const struct rs_depthwise_block block, int32_t c, const int32_t *channel)
{
    const int32_t x_row = p.dilation_h * p.plane_w;
    int32_t i, ox, ky, kx;
    for (i = 0; i < block.rows; ++i) {
        const int32_t first = p.subtract == p.x_zero ? rs_depthwise_first_tap(p, block.top + i * p.stride_h) : 0;
        const int32_t last = p.subtract == p.x_zero ? rs_depthwise_last_tap(p, block.top + i * p.stride_h) : p.kernel_h;
        const int16_t *x = rs_depthwise_plane(p) + i * p.stride_h * p.plane_w + first * x_row;
        int8_t *y = rs_row(p.y, block.row + i) + c;
        for (ox = 0; ox < p.out_w; ++ox, x += p.stride_w, y += p.out_c) {
            uint32_t acc = (uint32_t)channel[0];
            const int8_t *w = p.w + (c * p.kernel_h + first) * p.kernel_w;
            const int16_t *x_tap = x;
            for (ky = first; ky < last; ++ky, x_tap += x_row, w += p.kernel_w) {
#pragma GCC unroll 8
                for (kx = 0; kx < p.kernel_w; ++kx) {
                    acc += (uint32_t)(x_tap[kx * p.dilation_w] * w[kx]);
                }
            }
            *y = rs_depthwise_output(p, channel, (int32_t)acc);
        }
    }
}

RS_INLINE void rs_depthwise_channel(
    const struct rs_depthwise_conv2d p, const struct rs_depthwise_block block, int32_t c, const int32_t *channel)
{
#if RS_DSP
    if (p.kernel_h == 3 && p.kernel_w == 3 && p.dilation_h == 1 && p.dilation_w == 1 && p.stride_w <= 2) {
        rs_depthwise_3x3(p, block, c, channel);
        return;
    }
    if (p.dilation_w == 1) {
        rs_depthwise_wide(p, block, c, channel);
        return;
    }
#endif
    rs_depthwise_plain(p, block, c, channel);
}

RS_INLINE void rs_depthwise_conv2d(const struct rs_depthwise_conv2d p, int32_t row_begin, int32_t row_end)
{
    const int32_t multiplier = p.out_c / p.in_c; /* literals: folded by the compiler */
    struct rs_depthwise_block block = {row_begin, 0, 0, 0};
    int32_t oy = row_begin, ic, m;
    for (; block.row < row_end; block.row += block.rows, oy += block.rows) {
        const int32_t *channel = p.channel;
        for (; p.images > 1 && oy >= p.out_h; oy = rs_opaque(oy - p.out_h)) {
            block.image_row += p.in_h;
            RS_KEEP_LOOP(oy);
        }
        block.rows = rs_clamp(row_end - block.row, 0, p.block_rows);
        block.rows = p.images > 1 ? rs_clamp(block.rows, 0, p.out_h - oy) : block.rows;
        block.top = oy * p.stride_h - p.pad_top;
        rs_depthwise_fill(p, rs_depthwise_plane_rows(p, block.rows));
        for (ic = 0; ic < p.in_c; ++ic) {
            rs_depthwise_gather(p, block, ic);
            for (m = 0; m < multiplier; ++m, channel += 3) {
                rs_depthwise_channel(p, block, ic * multiplier + m, channel);
            }
        }
    }
}

#endif
