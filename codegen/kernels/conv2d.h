/* CONV_2D, int8. Two pixels at a time are gathered into scratch as int16 (padding filled with x's zero point, which is
 * folded into the bias) and multiplied with all output channels, two at a time. */
#ifndef RS_CONV2D_H
#define RS_CONV2D_H

#include "rs_dot_scale.h"
#include "rs_dot_single.h"
#include "rs_widen.h"

struct rs_conv2d {
    struct rs_view x;       /* int8 [images * in_h][in_w][in_c] */
    struct rs_view y;       /* int8 [images * out_h][out_w][out_c] */
    const int16_t *w;       /* paired: [ceil(live / 2)][depth] as rs_dot.h wants it */
    const int8_t *w_single; /* not paired: [live][depth], as rs_dot_single.h wants it */
    const int32_t *channel; /* [live][3], see rs_requantize.h */
    int32_t paired;         /* which of the two layouts of weights */
    int32_t live;           /* channels to compute; when fewer than out_c: */
    const uint16_t *place;  /* [live]: which channels those are */
    const int8_t *still;    /* [out_c]: values of the others, which no input can change; 0 for the live ones */
    int32_t images, in_h, in_w, in_c, out_h, out_w, out_c;
    int32_t kernel_h, kernel_w, stride_h, stride_w, dilation_h, dilation_w, pad_top, pad_left;
    int32_t depth; /* kernel_h * kernel_w * in_c, rounded up to a multiple of 4; more weights are 0 */
    int32_t fast;  /* see rs_requantize.h */
    int32_t x_zero, y_zero, low, high;
    int8_t *scratch; /* int16 [depth / 4][2][4], then, when in_c is no multiple of 4, int8 [depth] */
};

/* Taps [begin, end) of `run` adjacent ones from column ix lie inside the image. */
struct rs_conv2d_taps {
    int32_t begin, end;
};

RS_INLINE struct rs_conv2d_taps rs_conv2d_inside(const struct rs_conv2d p, int32_t ix, int32_t run)
{
    struct rs_conv2d_taps taps;
    taps.begin = rs_clamp(-ix, 0, run);
    taps.end = rs_clamp(p.in_w - ix, taps.begin, run);
    return taps;
}

RS_INLINE int rs_conv2d_quads(const struct rs_conv2d p)
{
    return (p.in_c & 3) == 0;
}

/* Taps of `row` from column ix on, all inside the image, to `to`: int16 by fours, or bytes. */
RS_INLINE void *rs_conv2d_copy(const struct rs_conv2d p, void *to, const int8_t *row, int32_t ix, int32_t taps)
{
    const int8_t *const from = row + ix * p.in_c;
    if (rs_conv2d_quads(p)) {
        return rs_widen(to, from, taps * (p.in_c / 4));
    }
    return rs_append(to, from, taps * p.in_c);
}

RS_INLINE void *rs_conv2d_fill(const struct rs_conv2d p, void *to, int32_t taps)
{
    if (rs_conv2d_quads(p)) {
        return rs_widen_fill(to, p.x_zero, taps * (p.in_c / 4));
    }
    return rs_append_fill(to, p.x_zero, taps * p.in_c);
}

/* One kernel row, `row` being null where it is padding. */
RS_INLINE void *rs_conv2d_gather_row(const struct rs_conv2d p, void *to, const int8_t *row, int32_t ix)
{
    const int32_t runs = p.dilation_w == 1 ? 1 : p.kernel_w, run = p.dilation_w == 1 ? p.kernel_w : 1;
    int32_t i;
    for (i = 0; i < runs; ++i, ix += p.dilation_w) {
        const struct rs_conv2d_taps taps = rs_conv2d_inside(p, ix, run);
        if (!row || taps.begin == taps.end) {
            to = rs_conv2d_fill(p, to, run);
        } else if (taps.end - taps.begin == run) {
            to = rs_conv2d_copy(p, to, row, ix, run);
        } else {
            to = rs_conv2d_fill(p, to, taps.begin);
            to = rs_conv2d_copy(p, to, row, ix + taps.begin, taps.end - taps.begin);
            to = rs_conv2d_fill(p, to, run - taps.end);
        }
    }
    return to;
}

/* The window that begins at row iy of the image, column ix, to `slot` 0 or 1 of the scratch. */
RS_INLINE void rs_conv2d_gather(const struct rs_conv2d p, int32_t image_row, int32_t iy, int32_t ix, int32_t slot)
{
    int16_t *const wide = (int16_t *)(void *)p.scratch + 4 * slot;
    int8_t *const bytes = p.scratch + 4 * p.depth;
    void *to = rs_conv2d_quads(p) ? (void *)wide : (void *)bytes;
    int32_t ky;
    for (ky = 0; ky < p.kernel_h; ++ky, iy += p.dilation_h) {
        to = rs_conv2d_gather_row(p, to, iy >= 0 && iy < p.in_h ? rs_row(p.x, image_row + iy) : 0, ix);
    }
    if (!rs_conv2d_quads(p)) {
        rs_append_fill(to, 0, p.depth - p.kernel_h * p.kernel_w * p.in_c);
        rs_widen(wide, bytes, p.depth / 4);
    }
}

RS_INLINE int8_t rs_conv2d_output(const struct rs_conv2d p, const int32_t *channel, int32_t acc)
{
    return (int8_t)rs_requantize(acc, channel[1], channel[2], p.fast, p.y_zero, p.low, p.high);
}

/* One channel of both pixels, computed before either is stored: for all the compiler knows, y may be `channel`. */
RS_INLINE void rs_conv2d_store(
    const struct rs_conv2d p, const int32_t *channel, int32_t acc0, int32_t acc1, int8_t *y0, int8_t *y1)
{
    const int8_t first = rs_conv2d_output(p, channel, acc0), second = rs_conv2d_output(p, channel, acc1);
    *y1 = second; /* y0 == y1 where one pixel is left: the first comes last */
    *y0 = first;
}

/* Offset in a pixel of the i-th channel that is computed. */
RS_INLINE int32_t rs_conv2d_place(const struct rs_conv2d p, int32_t i)
{
    return p.live == p.out_c ? i : p.place[i];
}

/* Outputs from sums: of the first channel in first0 and first1, of the second in both0 and both1. */
RS_INLINE struct rs_dot rs_conv2d_outputs(const struct rs_conv2d p, struct rs_dot d, const int32_t *channel)
{
    if (p.fast) {
        return rs_dot_scale(d, channel, p.y_zero, p.low, p.high);
    }
    d.both0 = rs_conv2d_output(p, channel + 3, rs_dot_second(d.both0, d.first0, channel[3]));
    d.both1 = rs_conv2d_output(p, channel + 3, rs_dot_second(d.both1, d.first1, channel[3]));
    d.first0 = rs_conv2d_output(p, channel, d.first0);
    d.first1 = rs_conv2d_output(p, channel, d.first1);
    return d;
}

RS_INLINE void rs_conv2d_paired(const struct rs_conv2d p, int8_t *y0, int8_t *y1)
{
    const int16_t *x = (const int16_t *)(const void *)p.scratch;
    const int32_t *channel = p.channel;
    const int16_t *w = p.w;
    int32_t i;
    RS_FORGET(x);
    for (i = 0; i < (p.live & ~1); i += 2, w += p.depth, channel += 6) {
        const struct rs_dot d = rs_conv2d_outputs(p, rs_dot_2x2(x, w, p.depth / 4, channel[0]), channel);
        const int32_t c = rs_conv2d_place(p, i), next = rs_conv2d_place(p, i + 1);
        y1[c] = (int8_t)d.first1; /* y0 == y1 where one pixel is left: the first comes last */
        y0[c] = (int8_t)d.first0;
        y1[next] = (int8_t)d.both1;
        y0[next] = (int8_t)d.both0;
    }
    if (p.live & 1) {
        const struct rs_dot d = rs_dot_2x2(x, w, p.depth / 4, channel[0]);
        const int32_t c = rs_conv2d_place(p, i);
        rs_conv2d_store(p, channel, d.first0, d.first1, y0 + c, y1 + c);
    }
}

/* Weights that do not pair (-128 beside a negative one, or sums of more than 24 bits): one channel at a time. */
RS_INLINE void rs_conv2d_single(const struct rs_conv2d p, int8_t *y0, int8_t *y1)
{
    const int16_t *x = (const int16_t *)(const void *)p.scratch;
    const int32_t *channel = p.channel;
    const int8_t *w = p.w_single;
    int32_t i;
    RS_FORGET(x);
#pragma GCC unroll 1
    for (i = 0; i < p.live; ++i, w += p.depth, channel += 3) {
        const struct rs_dot_single d = rs_dot_2x1(x, w, p.depth / 4, channel[0]);
        const int32_t c = rs_conv2d_place(p, i);
        rs_conv2d_store(p, channel, d.y0, d.y1, y0 + c, y1 + c);
    }
}

RS_INLINE void rs_conv2d_pixels(const struct rs_conv2d p, int8_t *y0, int8_t *y1)
{
    if (p.live < p.out_c) {
        rs_append(y0, p.still, p.out_c);
        rs_append(y1, p.still, p.out_c);
    }
    if (p.paired) {
        rs_conv2d_paired(p, y0, y1);
    } else {
        rs_conv2d_single(p, y0, y1);
    }
}

/* 1x1, stride 1, no padding, in_c a multiple of 4: `pixels` of x in a row, to y. The last one, when it is alone, is
 * computed with the one before it again; in a row of one, with itself. */
RS_INLINE void rs_conv2d_pointwise(const struct rs_conv2d p, const int8_t *x, int8_t *y, int32_t pixels)
{
    int16_t *const wide = (int16_t *)(void *)p.scratch;
    RS_FORGET(x);
    RS_FORGET(y);
    for (; pixels > 0; pixels -= 2, x += 2 * p.in_c, y += 2 * p.out_c) {
        const int32_t alone = p.out_w == 1 && pixels == 1;
        if ((p.out_w & 1) && p.out_w > 1 && pixels == 1) {
            x -= p.in_c;
            y -= p.out_c;
        }
        rs_widen(wide, x, p.depth / 4);
        rs_widen(wide + 4, alone ? x : x + p.in_c, p.depth / 4);
        rs_conv2d_pixels(p, y, alone ? y : y + p.out_c);
    }
}

RS_INLINE void rs_conv2d_windows(const struct rs_conv2d p, int32_t row_begin, int32_t row_end)
{
    int32_t row, oy = row_begin, image_row = 0, ox, slot = 0;
    int8_t *y[2] = {0, 0};
    for (row = row_begin; row < row_end; ++row, ++oy) {
        for (; p.images > 1 && oy >= p.out_h; oy = rs_opaque(oy - p.out_h)) {
            image_row += p.in_h;
        }
        for (ox = 0; ox < p.out_w; ++ox) {
            do {
                rs_conv2d_gather(p, image_row, oy * p.stride_h - p.pad_top, ox * p.stride_w - p.pad_left, slot);
                y[slot] = slot && !(p.out_w & 1) ? y[0] + p.out_c : rs_row(p.y, row) + ox * p.out_c;
                ++slot; /* the last pixel, when it is alone, fills both slots */
            } while ((p.out_w & 1) && slot == 1 && row + 1 == row_end && ox + 1 == p.out_w);
            if (slot == 2) {
                rs_conv2d_pixels(p, y[0], y[1]);
                slot = 0;
            }
        }
    }
}

/* Rows from `row` on that lie side by side. */
RS_INLINE int32_t rs_conv2d_run(const struct rs_view v, int32_t row, int32_t row_bytes)
{
    if (v.row_stride != row_bytes) {
        return 1;
    }
    return v.ring_rows ? v.ring_rows - rs_slot(v, row) : INT32_MAX;
}

RS_INLINE void rs_conv2d(const struct rs_conv2d p, int32_t row_begin, int32_t row_end)
{
    const int plain = p.kernel_h * p.kernel_w * p.stride_h * p.stride_w == 1 && p.in_w == p.out_w && p.in_h == p.out_h;
    int32_t row = row_begin, run;
    if (!plain || !rs_conv2d_quads(p)) {
        rs_conv2d_windows(p, row_begin, row_end);
        return;
    }
    for (; row < row_end; row += run) {
        run = rs_clamp(row_end - row, 1, rs_conv2d_run(p.x, row, p.in_w * p.in_c));
        run = rs_clamp(run, 1, rs_conv2d_run(p.y, row, p.out_w * p.out_c));
        rs_conv2d_pointwise(p, rs_row(p.x, row), rs_row(p.y, row), run * p.out_w);
    }
}

#endif
