/* MAX_POOL_2D, int8, NHWC. Arithmetic: refsim/int8ops/max_pool_2d.py. */
#ifndef RS_MAX_POOL_2D_H
#define RS_MAX_POOL_2D_H

#include "rs_pool.h"
#include "rs_scale.h"

struct rs_max_pool_2d {
    struct rs_view x;                               /* int8 [images * in_h][in_w][channels] */
    struct rs_view y;                               /* int8 [images * out_h][out_w][channels] */
    int32_t in_h, in_w, channels, out_h, out_w;
    int32_t size_h, size_w, stride_h, stride_w;     /* of the window */
    int32_t pad_top, pad_left;                      /* positions before the input that the first window covers */
    int32_t low, high;                              /* clamp */
};

RS_INLINE int32_t rs_larger(int32_t a, int32_t b)
{
    return a > b ? a : b;
}

/* Four channels, or one, of one output pixel. Starting from the lower clamp saves clamping to it. */
RS_INLINE void rs_max_pool_2d_channels(const struct rs_max_pool_2d p, int32_t image, const struct rs_taps down,
                                       const struct rs_taps across, int32_t channel, int32_t four, int8_t *y)
{
    int32_t m0 = p.low, m1 = p.low, m2 = p.low, m3 = p.low;
    for (int32_t line = down.begin; line < down.end; line++) {
        const int8_t *x = rs_row(p.x, image * p.in_h + line) + across.begin * p.channels + channel;
        for (int32_t taps = across.end - across.begin; taps > 0; taps--) {
            m0 = rs_larger(m0, x[0]);
            if (four) {
                m1 = rs_larger(m1, x[1]);
                m2 = rs_larger(m2, x[2]);
                m3 = rs_larger(m3, x[3]);
            }
            x += p.channels;
        }
    }
    y[0] = (int8_t)(m0 < p.high ? m0 : p.high);
    if (four) {
        y[1] = (int8_t)(m1 < p.high ? m1 : p.high);
        y[2] = (int8_t)(m2 < p.high ? m2 : p.high);
        y[3] = (int8_t)(m3 < p.high ? m3 : p.high);
    }
}

RS_INLINE void rs_max_pool_2d(const struct rs_max_pool_2d p, int32_t row_begin, int32_t row_end)
{
    for (int32_t row = row_begin; row < row_end; row++) {
        const struct rs_place at = rs_place_of(row, p.out_h);
        const struct rs_taps down = rs_taps_of(at.inner, p.size_h, p.stride_h, p.pad_top, p.in_h);
        int8_t *y = rs_row(p.y, row);
        for (int32_t column = 0; column < p.out_w; column++) {
            const struct rs_taps across = rs_taps_of(column, p.size_w, p.stride_w, p.pad_left, p.in_w);
            int32_t channel = 0;
            for (; channel + 4 <= p.channels; channel += 4) {
                rs_max_pool_2d_channels(p, at.outer, down, across, channel, 1, y + channel);
            }
            for (; channel < p.channels; channel++) {
                rs_max_pool_2d_channels(p, at.outer, down, across, channel, 0, y + channel);
            }
            y += p.channels;
        }
    }
}

#endif
