/* FULLY_CONNECTED, int8: batches of k bytes of x, n outputs each. Four channels are computed at a time. */
#ifndef RS_FULLY_CONNECTED_H
#define RS_FULLY_CONNECTED_H

#include "rs_exact.h"
#include "rs_pairs.h"
#include "rs_place.h"
#include "rs_requantize.h"

struct rs_fully_connected {
    struct rs_view x;       /* int8, any rows; batches of k bytes follow each other */
    struct rs_view y;       /* int8 [rows][row_batches][n] */
    const uint32_t *w;      /* see rs_pairs.h; [n / 4][k / 4][2 pairs][2], then [k / 4][1 pair][2] if pairs are odd */
    const int32_t *channel; /* [n][3], see rs_requantize.h; with `exact` the bias [n] alone */
    const uint32_t *scale;  /* with `exact`: [n or 1][4], see rs_exact.h */
    int32_t k, n;        /* values and outputs of a batch; in w both are rounded up, with 0 */
    int32_t block;       /* a multiple of 4, or k: so many products leave the second channel's sum within 24 bits */
    int32_t x_row_bytes; /* bytes of a row of x */
    int32_t row_batches; /* batches in a row of y */
    int32_t gather;      /* batches straddle rows of x: they are copied to scratch */
    int32_t exact;       /* requantise as rs_exact.h, else as rs_requantize.h */
    int32_t per_channel; /* with `exact`: one scale a channel */
    int32_t fast;        /* without: see rs_requantize.h */
    int32_t zero_point, low, high; /* of y: zero point and clamp */
    int8_t *scratch;               /* with `gather`: int8 [k] */
};

RS_INLINE int8_t rs_fc_output(const struct rs_fully_connected p, uint32_t sum, int32_t channel)
{
    if (p.exact) {
        const int32_t acc = (int32_t)(sum + (uint32_t)p.channel[channel]);
        const int32_t scaled = rs_multiply_exact(acc, p.scale + (p.per_channel ? 4 * channel : 0));
        return (int8_t)(rs_clamp(scaled, p.low - p.zero_point, p.high - p.zero_point) + p.zero_point);
    }
    const int32_t *c = p.channel + 3 * channel;
    const int32_t acc = (int32_t)(sum + (uint32_t)c[0]);
    return (int8_t)rs_requantize(acc, c[1], c[2], p.fast, p.zero_point, p.low, p.high);
}

/* Up to `2 * pairs` channels from `channel` on; `offset` is 128 * sum(x). */
RS_INLINE void rs_fc_channels(const struct rs_fully_connected p, const int8_t *x, const uint32_t *w, uint32_t offset,
                              int32_t channel, int32_t pairs, int8_t *y)
{
    uint32_t s0 = 0u - offset, s1 = 0, s2 = 0u - offset, s3 = 0;
    for (int32_t k = 0; k < p.k; k += p.block) {
        const int32_t count = p.k - k < p.block ? p.k - k : p.block;
        const struct rs_fc_block s = rs_fc_dot(x + k, w + (k >> 1) * pairs, count, pairs);
        s0 += s.first.low;
        s1 += rs_fc_second(s.first);
        s2 += s.second.low;
        s3 += rs_fc_second(s.second);
    }
    y[0] = rs_fc_output(p, s0, channel);
    if (pairs == 2 || (p.n & 1) == 0) {
        y[1] = rs_fc_output(p, s1, channel + 1);
    }
    if (pairs == 2) {
        y[2] = rs_fc_output(p, s2, channel + 2);
        if (channel + 3 < p.n) {
            y[3] = rs_fc_output(p, s3, channel + 3);
        }
    }
}

RS_INLINE uint32_t rs_fc_sum(const int8_t *x, int32_t count)
{
    int32_t sum = 0, k = 0;
#if RS_DSP
    for (; k < (count & ~3); k += 4) {
        const struct rs_fc_x four = rs_fc_unpack(x + k);
        sum = rs_smlad(four.even, 0x00010001u, sum);
        sum = rs_smlad(four.odd, 0x00010001u, sum);
    }
#endif
    for (; k < count; k++) {
        sum += x[k];
    }
    return (uint32_t)sum;
}

/* One batch. */
RS_INLINE void rs_fc_batch(const struct rs_fully_connected p, const int8_t *x, int8_t *y)
{
    const uint32_t offset = 128u * rs_fc_sum(x, p.k);
    const int32_t groups = (p.k + 3) >> 2;
    const uint32_t *w = p.w;
    int32_t channel = 0;
    for (; channel + 2 < p.n; channel += 4) {
        rs_fc_channels(p, x, w, offset, channel, 2, y + channel);
        w += 4 * groups;
    }
    if (channel < p.n) {
        rs_fc_channels(p, x, w, offset, channel, 1, y + channel);
    }
}

/* The k bytes of a batch in one piece; it begins in row `outer` of x, at byte `inner`. */
RS_INLINE const int8_t *rs_fc_source(const struct rs_fully_connected p, struct rs_place at)
{
    const int8_t *x = rs_row(p.x, at.outer) + at.inner;
    if (!p.gather) {
        return x;
    }
    for (int32_t k = 0; k < p.k; k++) {
        if (at.inner == p.x_row_bytes) {
            at.inner = 0;
            x = rs_row(p.x, ++at.outer);
        }
        p.scratch[k] = *x++;
        at.inner++;
    }
    return p.scratch;
}

RS_INLINE void rs_fully_connected(const struct rs_fully_connected p, int32_t row_begin, int32_t row_end)
{
    struct rs_place at = {row_begin, 0};
    if (p.row_batches * p.k != p.x_row_bytes) {
        at = rs_place_of(row_begin * p.row_batches * p.k, p.x_row_bytes);
    }
    for (int32_t row = row_begin; row < row_end; row++) {
        int8_t *y = rs_row(p.y, row);
        for (int32_t batch = 0; batch < p.row_batches; batch++) {
            rs_fc_batch(p, rs_fc_source(p, at), y + batch * p.n);
            at.inner += p.k;
            at = rs_place_at(at, p.x_row_bytes);
        }
    }
}

#endif
