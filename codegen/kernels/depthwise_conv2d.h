/* DEPTHWISE_CONV_2D, int8. Channel by channel: some rows of the channel, padding filled in, go to scratch as int16;
 * there four neighbouring outputs are computed at a time from pairs of values, or two where few are left or the kernel
 * is an unusual one.
 *
 * 3x3 kernels keep x as it is, with x's zero point folded into the bias. All others subtract the zero point on the way
 * (so that padding is 0 and kernel rows outside the image can be left out). */
#ifndef RS_DEPTHWISE_CONV2D_H
#define RS_DEPTHWISE_CONV2D_H

#include "rs_depthwise_plane.h"
#include "rs_fours.h"
#include "rs_requantize.h"

RS_INLINE int8_t rs_depthwise_output(
    const struct rs_depthwise_conv2d p, const struct rs_depthwise_channel channel, int32_t acc)
{
    return (int8_t)rs_requantize(acc, channel.multiplier, channel.shift, p.fast, p.y_zero, p.low, p.high);
}

#if RS_DSP

/* Whether rs_fours.h computes it: four neighbouring outputs at a time, if there are as many. */
RS_INLINE int32_t rs_depthwise_in_fours(const struct rs_depthwise_conv2d p)
{
    const int32_t odd = p.kernel_w == 3 || p.kernel_w == 5 || p.kernel_w == 7;
    const int32_t suits = odd && p.kernel_h > 1 && p.dilation_w == 1 && p.stride_w <= 2 && p.out_w > 2;
    return suits || rs_depthwise_is_3x3(p);
}

RS_INLINE rs_word *rs_depthwise_words(const struct rs_depthwise_conv2d p)
{
    return (rs_word *)(void *)(rs_depthwise_plane(p) + rs_depthwise_plane_rows(p, p.block_rows) * p.plane_w);
}

/* Those kernel rows that the block's outputs use, to their places. */
RS_INLINE void rs_depthwise_unpack_words(
    const struct rs_depthwise_conv2d p, const struct rs_depthwise_block block, int32_t c)
{
    const int32_t lowest = block.top + (block.rows - 1) * p.stride_h;
    const int32_t first = rs_depthwise_is_3x3(p) ? 0 : rs_depthwise_first_tap(p, lowest);
    const int32_t last = rs_depthwise_is_3x3(p) ? 3 : rs_depthwise_last_tap(p, block.top);
    const int8_t *w = p.w + (c * p.kernel_h + first) * p.kernel_w;
    rs_word *to = rs_depthwise_words(p) + first * rs_fours_words(p.kernel_w, p.stride_w);
    int32_t ky;
#pragma GCC unroll 3
    for (ky = first; ky < last - (last == p.kernel_h); ++ky, w += p.kernel_w) {
        to = rs_fours_unpack(to, w, p.kernel_w, p.stride_w, 0);
    }
    if (last == p.kernel_h) {
        rs_fours_unpack(to, w, p.kernel_w, p.stride_w, 1);
    }
}

RS_INLINE struct rs_fours rs_depthwise_sums(
    const struct rs_depthwise_conv2d p, int32_t bias, const int16_t *x, int32_t first, int32_t last)
{
    const rs_word *const w = rs_depthwise_words(p) + first * rs_fours_words(p.kernel_w, p.stride_w);
    struct rs_fours s = {w, bias, bias, bias, bias};
    if (rs_depthwise_is_3x3(p)) {
        s = rs_fours_row(s, x, 3, p.stride_w);
        s = rs_fours_row(s, x + p.plane_w, 3, p.stride_w);
        return rs_fours_row(s, x + 2 * p.plane_w, 3, p.stride_w);
    }
#pragma GCC unroll 1
    for (last -= first; last > 0; --last, x += p.dilation_h * p.plane_w) {
        s = rs_fours_row(s, x, p.kernel_w, p.stride_w);
    }
    return s;
}

/* How many outputs of a row are computed one by one, because four more would be more work. */
RS_INLINE int32_t rs_depthwise_singles(const struct rs_depthwise_conv2d p)
{
    const int32_t rest = p.out_w & 3;
    return rest == 1 || (rest == 2 && rs_depthwise_is_3x3(p)) ? rest : 0;
}

/* The first `count` of four outputs whose windows begin at x, of kernel rows [first, last). All are computed before one
 * is stored: for all the compiler knows, y may be the weights. */
RS_INLINE void rs_depthwise_four(const struct rs_depthwise_conv2d p, const struct rs_depthwise_channel channel,
    const int16_t *x, int32_t first, int32_t last, int8_t *y, int32_t count)
{
    const struct rs_fours s = rs_depthwise_sums(p, channel.bias, x, first, last);
    const int8_t y0 = rs_depthwise_output(p, channel, s.y0), y1 = rs_depthwise_output(p, channel, s.y1);
    const int8_t y2 = rs_depthwise_output(p, channel, s.y2), y3 = rs_depthwise_output(p, channel, s.y3);
    const int32_t all = ((p.out_w - rs_depthwise_singles(p)) & 3) == 0;
    y[0] = y0;
    if (all || count > 1) {
        y[p.out_c] = y1;
    }
    if (all || count > 2) {
        y[2 * p.out_c] = y2;
    }
    if (all || count > 3) {
        y[3 * p.out_c] = y3;
    }
}

RS_INLINE int8_t rs_depthwise_single(const struct rs_depthwise_conv2d p, const struct rs_depthwise_channel channel,
    const int16_t *x, int32_t first, int32_t last)
{
    const int32_t words = rs_fours_words(p.kernel_w, p.stride_w);
    const rs_word *w = rs_depthwise_words(p) + first * words;
    int32_t sum = channel.bias, i;
#pragma GCC unroll 3
    for (i = last - first; i > 0; --i, x += p.dilation_h * p.plane_w, w += words) {
        sum = rs_fours_single(sum, x, w, p.kernel_w, p.stride_w);
    }
    return rs_depthwise_output(p, channel, sum);
}

RS_INLINE void rs_depthwise_fours(const struct rs_depthwise_conv2d p, const struct rs_depthwise_block block,
    const struct rs_depthwise_channel channel)
{
    const int16_t *row = rs_depthwise_plane(p);
    int8_t *y_row = block.y + channel.c;
    int32_t i, left, iy = block.top;
    rs_depthwise_unpack_words(p, block, channel.c);
#pragma GCC unroll 1
    for (i = block.rows; i > 0; --i, iy += p.stride_h, row += p.stride_h * p.plane_w) {
        const int32_t first = rs_depthwise_is_3x3(p) ? 0 : rs_depthwise_first_tap(p, iy);
        const int32_t last = rs_depthwise_is_3x3(p) ? p.kernel_h : rs_depthwise_last_tap(p, iy);
        const int16_t *x = row + first * p.dilation_h * p.plane_w;
        int8_t *y = y_row;
#pragma GCC unroll 1
        for (left = p.out_w - rs_depthwise_singles(p); left > 0; left -= 4, x += 4 * p.stride_w, y += 4 * p.out_c) {
            rs_depthwise_four(p, channel, x, first, last, y, left);
        }
#pragma GCC unroll 1
        for (left = rs_depthwise_singles(p); left > 0; --left, x += p.stride_w, y += p.out_c) {
            *y = rs_depthwise_single(p, channel, x, first, last);
        }
        y_row = rs_depthwise_next_y(p.y, y_row);
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
RS_INLINE void rs_depthwise_wide_row(
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

RS_INLINE void rs_depthwise_wide(const struct rs_depthwise_conv2d p, const struct rs_depthwise_block block,
    const struct rs_depthwise_channel channel)
{
    const int32_t w_row = (p.kernel_w + 1) & ~1, x_row = p.dilation_h * p.plane_w;
    const int16_t *const w = rs_depthwise_unpack(p, channel.c);
    int8_t *y_row = block.y + channel.c;
    int32_t i, ox;
    for (i = 0; i < block.rows; ++i, y_row = rs_depthwise_next_y(p.y, y_row)) {
        const int32_t first = rs_depthwise_first_tap(p, block.top + i * p.stride_h);
        const int32_t last = rs_depthwise_last_tap(p, block.top + i * p.stride_h);
        const int16_t *x = rs_depthwise_plane(p) + i * p.stride_h * p.plane_w + first * x_row;
        int8_t *y = y_row;
        for (ox = 0; ox < p.out_w; ox += 2, x += 2 * p.stride_w, y += 2 * p.out_c) {
            int32_t acc0 = channel.bias, acc1 = channel.bias, ky;
            const int16_t *x_tap = x, *w_tap = w + first * w_row;
            for (ky = first; ky < last; ++ky, x_tap += x_row, w_tap += w_row) {
                rs_depthwise_wide_row(p, x_tap, w_tap, &acc0, &acc1);
            }
            y[0] = rs_depthwise_output(p, channel, acc0);
            if (ox + 1 < p.out_w) {
                y[p.out_c] = rs_depthwise_output(p, channel, acc1);
            }
        }
    }
}

#endif

/* Any kernel, one tap at a time. */
RS_INLINE void rs_depthwise_plain(const struct rs_depthwise_conv2d p, const struct rs_depthwise_block block,
    const struct rs_depthwise_channel channel)
{
    const int32_t x_row = p.dilation_h * p.plane_w;
    int8_t *y_row = block.y + channel.c;
    int32_t i, ox, ky, kx;
    for (i = 0; i < block.rows; ++i, y_row = rs_depthwise_next_y(p.y, y_row)) {
        const int32_t first = p.subtract == p.x_zero ? rs_depthwise_first_tap(p, block.top + i * p.stride_h) : 0;
        const int32_t last = p.subtract == p.x_zero ? rs_depthwise_last_tap(p, block.top + i * p.stride_h) : p.kernel_h;
        const int16_t *x = rs_depthwise_plane(p) + i * p.stride_h * p.plane_w + first * x_row;
        int8_t *y = y_row;
        for (ox = 0; ox < p.out_w; ++ox, x += p.stride_w, y += p.out_c) {
            uint32_t acc = (uint32_t)channel.bias;
            const int8_t *w = p.w + (channel.c * p.kernel_h + first) * p.kernel_w;
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

RS_INLINE void rs_depthwise_compute(const struct rs_depthwise_conv2d p, const struct rs_depthwise_block block,
    const struct rs_depthwise_channel channel)
{
#if RS_DSP
    if (rs_depthwise_in_fours(p)) {
        rs_depthwise_fours(p, block, channel);
        return;
    }
    if (p.dilation_w == 1) {
        rs_depthwise_wide(p, block, channel);
        return;
    }
#endif
    rs_depthwise_plain(p, block, channel);
}

RS_INLINE void rs_depthwise_run(const struct rs_depthwise_conv2d p, const struct rs_depthwise_block block)
{
    const int32_t multiplier = p.out_c / p.in_c; /* literals: folded by the compiler */
    const int32_t *constants = p.channel;
    int32_t ic, c = 0, m;
    rs_depthwise_pad(p, block);
    for (ic = 0; ic < p.in_c; ++ic) {
        rs_depthwise_gather(p, block, ic);
        for (m = 0; m < multiplier; ++m, ++c, constants += 3) {
            const struct rs_depthwise_channel channel = {c, constants[0], constants[1], constants[2]};
            rs_depthwise_compute(p, block, channel);
        }
    }
}

RS_INLINE void rs_depthwise_conv2d(const struct rs_depthwise_conv2d p, int32_t row_begin, int32_t row_end)
{
    struct rs_depthwise_block block = {row_begin, 0, 0, 0, 0, 0, 0, 0};
    int32_t oy = row_begin, bottom;
    for (; block.row < row_end; block.row += block.rows, oy += block.rows) {
        for (; p.images > 1 && oy >= p.out_h; oy = rs_opaque(oy - p.out_h)) {
            block.image_row += p.in_h;
            RS_KEEP_LOOP(oy);
        }
        block.rows = rs_clamp(row_end - block.row, 0, p.block_rows);
        block.rows = p.images > 1 ? rs_clamp(block.rows, 0, p.out_h - oy) : block.rows;
        block.top = oy * p.stride_h - p.pad_top;
        block.begin = block.top < 0 ? -block.top : 0;
        bottom = rs_depthwise_plane_rows(p, block.rows);
        block.end = block.top + bottom > p.in_h ? p.in_h - block.top : bottom;
        block.x = rs_row(p.x, block.image_row + block.top + block.begin);
        block.y = rs_row(p.y, block.row);
        rs_depthwise_run(p, block);
    }
}

#endif
