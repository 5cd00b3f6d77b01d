/* MEAN, int8, over any axes of at most four. Arithmetic: refsim/int8ops/mean.py.
 *
 * The input is seen as outer x inner rows of pixels x channels. Of each axis either all positions are kept (one
 * output each) or all are summed. */
#ifndef RS_MEAN_H
#define RS_MEAN_H

#include "rs_scale.h"

struct rs_mean {
    struct rs_view x; /* int8 [outer * inner][pixels][channels], each axis kept * summed positions long */
    struct rs_view y; /* int8, of the kept axes */
    /* Of each axis: positions kept, positions summed (one of them is 1), and how far a kept position moves the
     * output's row and the byte in it. The last axis never moves the row. */
    int32_t outer_kept, outer_summed, outer_y_rows, outer_y_bytes;
    int32_t inner_kept, inner_summed, inner_y_rows, inner_y_bytes;
    int32_t pixel_kept, pixel_summed, pixel_y_rows, pixel_y_bytes;
    int32_t channel_kept, channel_summed, channel_y_bytes;
    int32_t zero_point_sum;    /* of all that is summed: count * zero point of x */
    int32_t multiplier, shift; /* the sum to y, see rs_multiply */
    int32_t zero_point;        /* of y */
};

/* Sum of everything that one output comes from; (outer, inner) and `byte` are the first row and its first byte. */
RS_INLINE int32_t rs_mean_sum(const struct rs_mean p, int32_t outer, int32_t inner, int32_t byte)
{
    const int32_t lines = p.inner_kept * p.inner_summed, channels = p.channel_kept * p.channel_summed;
    int32_t sum = 0;
    for (int32_t o = 0; o < p.outer_summed; o++) {
        for (int32_t i = 0; i < p.inner_summed; i++) {
            const int8_t *x = rs_row(p.x, (outer + o) * lines + inner + i) + byte;
            for (int32_t pixel = 0; pixel < p.pixel_summed; pixel++) {
                for (int32_t channel = 0; channel < p.channel_summed; channel++) {
                    sum += x[channel];
                }
                x += channels;
            }
        }
    }
    return sum;
}

RS_INLINE int8_t rs_mean_one(const struct rs_mean p, int32_t sum)
{
    const int32_t scaled = rs_multiply(sum - p.zero_point_sum, p.multiplier, p.shift);
    return (int8_t)rs_clamp_int8(scaled + p.zero_point, -128, 127);
}

/* The outputs of one (outer, inner) position that fall into the rows asked for. */
RS_INLINE void rs_mean_pixels(const struct rs_mean p, int32_t outer, int32_t inner, int32_t row_begin, int32_t row_end)
{
    const int32_t channels = p.channel_kept * p.channel_summed;
    for (int32_t pixel = 0; pixel < p.pixel_kept; pixel++) {
        const int32_t row = outer * p.outer_y_rows + inner * p.inner_y_rows + pixel * p.pixel_y_rows;
        const int32_t byte = outer * p.outer_y_bytes + inner * p.inner_y_bytes + pixel * p.pixel_y_bytes;
        if (row < row_begin || row >= row_end) {
            continue;
        }
        int8_t *y = rs_row(p.y, row) + byte;
        for (int32_t channel = 0; channel < p.channel_kept; channel++) {
            y[channel * p.channel_y_bytes] = rs_mean_one(p, rs_mean_sum(p, outer, inner, pixel * channels + channel));
        }
    }
}

RS_INLINE void rs_mean(const struct rs_mean p, int32_t row_begin, int32_t row_end)
{
    for (int32_t outer = 0; outer < p.outer_kept; outer++) {
        for (int32_t inner = 0; inner < p.inner_kept; inner++) {
            rs_mean_pixels(p, outer, inner, row_begin, row_end);
        }
    }
}

#endif
