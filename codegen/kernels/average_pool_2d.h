/* AVERAGE_POOL_2D, int8, NHWC. Arithmetic: refsim/int8ops/average_pool_2d.py. */
#ifndef RS_AVERAGE_POOL_2D_H
#define RS_AVERAGE_POOL_2D_H

#include "rs_pool.h"
#include "rs_scale.h"

struct rs_average_pool_2d {
    struct rs_view x;                               /* int8 [images * in_h][in_w][channels] */
    struct rs_view y;                               /* int8 [images * out_h][out_w][channels] */
    const uint32_t *reciprocals;                    /* floor(2^24 / n) for n from least_count to most_count */
    int32_t least_count, most_count;                /* taps inside the input, over all outputs */
    int32_t in_h, in_w, channels, out_h, out_w;
    int32_t size_h, size_w, stride_h, stride_w;     /* of the window */
    int32_t pad_top, pad_left;                      /* positions before the input that the first window covers */
    int32_t low, high;                              /* clamp */
};

/* sum / count rounded half away from zero. The truncated reciprocal gives the quotient or one less: with
 * u <= 128.5 * count < 2^24 the error is below u / 2^24, and the product stays below 2^32. */
RS_INLINE int32_t rs_rounded_mean(int32_t sum, uint32_t count, uint32_t reciprocal)
{
    const uint32_t u = (uint32_t)(sum < 0 ? -sum : sum) + count / 2;
    uint32_t quotient = (u * reciprocal) >> 24;
    quotient += (u - quotient * count) >= count;
    return sum < 0 ? -(int32_t)quotient : (int32_t)quotient;
}

/* Four channels, or one, of one output pixel. */
RS_INLINE void rs_average_pool_2d_channels(const struct rs_average_pool_2d p, int32_t image, const struct rs_taps down,
                                           const struct rs_taps across, int32_t channel, int32_t four, int8_t *y)
{
    const uint32_t count = (uint32_t)((down.end - down.begin) * (across.end - across.begin));
    const uint32_t reciprocal = p.reciprocals[(int32_t)count - p.least_count];
    int32_t s0 = 0, s1 = 0, s2 = 0, s3 = 0;
    for (int32_t line = down.begin; line < down.end; line++) {
        const int8_t *x = rs_row(p.x, image * p.in_h + line) + across.begin * p.channels + channel;
        for (int32_t taps = across.end - across.begin; taps > 0; taps--) {
            s0 += x[0];
            if (four) {
                s1 += x[1];
                s2 += x[2];
                s3 += x[3];
            }
            x += p.channels;
        }
    }
    y[0] = (int8_t)rs_clamp_int8(rs_rounded_mean(s0, count, reciprocal), p.low, p.high);
    if (four) {
        y[1] = (int8_t)rs_clamp_int8(rs_rounded_mean(s1, count, reciprocal), p.low, p.high);
        y[2] = (int8_t)rs_clamp_int8(rs_rounded_mean(s2, count, reciprocal), p.low, p.high);
        y[3] = (int8_t)rs_clamp_int8(rs_rounded_mean(s3, count, reciprocal), p.low, p.high);
    }
}

RS_INLINE void rs_average_pool_2d(const struct rs_average_pool_2d p, int32_t row_begin, int32_t row_end)
{
    for (int32_t row = row_begin; row < row_end; row++) {
        const struct rs_place at = rs_place_of(row, p.out_h);
        const struct rs_taps down = rs_taps_of(at.inner, p.size_h, p.stride_h, p.pad_top, p.in_h);
        int8_t *y = rs_row(p.y, row);
        for (int32_t column = 0; column < p.out_w; column++) {
            const struct rs_taps across = rs_taps_of(column, p.size_w, p.stride_w, p.pad_left, p.in_w);
            int32_t channel = 0;
            for (; channel + 4 <= p.channels; channel += 4) {
                rs_average_pool_2d_channels(p, at.outer, down, across, channel, 1, y + channel);
            }
            for (; channel < p.channels; channel++) {
                rs_average_pool_2d_channels(p, at.outer, down, across, channel, 0, y + channel);
            }
            y += p.channels;
        }
    }
}

#endif
