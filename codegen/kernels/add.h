/* ADD, int8. Arithmetic: refsim/int8ops/add.py. */
#ifndef RS_ADD_H
#define RS_ADD_H

#include "rs_elementwise.h"
#include "rs_scale.h"

struct rs_add {
    struct rs_view x1, x2;      /* int8 operands, each of its own shape */
    struct rs_view y;           /* int8 [outer * inner][pixels][channels] */
    const int8_t *constant;     /* in place of x2, or null */
    int32_t constant_row_bytes; /* bytes of a row of it */
    int32_t inner;              /* output rows of an image */
    int32_t pixels, channels;   /* of an output row; one pixel where operands allow it */
    int32_t row_outer1, row_inner1, row_pixel1, pixel_bytes1, step1; /* see rs_moves */
    int32_t row_outer2, row_inner2, row_pixel2, pixel_bytes2, step2;
    int32_t zero_point1, multiplier1, right1; /* x1 to the common scale */
    int32_t zero_point2, multiplier2, right2; /* x2 to the common scale */
    int32_t multiplier, right, zero_point;    /* the sum to y */
    int32_t low, high;                        /* clamp */
};

/* The input of the larger scale: its ratio to the common scale is 1/2, which leaves nothing to round. */
RS_INLINE int32_t rs_add_is_half(int32_t multiplier, int32_t right)
{
    return multiplier == 1 << 30 && right == 0;
}

/* (x - zero_point) * 2^20 * multiplier * 2^(-31 - right), rounded twice, + plus. The difference has nine bits, so that
 * without a long multiply two short products give the first rounding. */
RS_INLINE int32_t rs_add_scaled(int32_t x, int32_t zero_point, int32_t multiplier, int32_t right, int32_t plus)
{
    const int32_t half = right > 0 ? (int32_t)(1u << (right - 1)) : 0;
    const int32_t before = right <= 4 ? plus * (1 << (right & 7)) : 0; /* |plus| <= 2^26 */
    const int32_t after = right <= 4 ? 0 : plus;
    int32_t high;
#if RS_DSP
    const int32_t difference = (int32_t)(((uint32_t)x << 21) - ((uint32_t)zero_point << 21));
    high = rs_smmlar((uint32_t)difference, (uint32_t)multiplier, half + before);
#else
    const int32_t difference = x - zero_point;
    high = difference * (multiplier >> 16) * 32 + ((difference * (multiplier & 0xffff) + 1024) >> 11) + half + before;
#endif
    return ((high + (right > 0 ? difference >> 31 : 0)) >> right) + after;
}

/* The sum of both inputs, in the common scale; of nine bits and a fraction of 19 or less. */
RS_INLINE int32_t rs_add_total(const struct rs_add p, int32_t a, int32_t b)
{
    if (rs_add_is_half(p.multiplier1, p.right1) && rs_add_is_half(p.multiplier2, p.right2)) {
        return (a + b - (p.zero_point1 + p.zero_point2)) * (1 << 19);
    }
    if (rs_add_is_half(p.multiplier1, p.right1)) {
        const int32_t plus = -p.zero_point1 * (1 << 19);
        return a * (1 << 19) + rs_add_scaled(b, p.zero_point2, p.multiplier2, p.right2, plus);
    }
    return b * (1 << 19) + rs_add_scaled(a, p.zero_point1, p.multiplier1, p.right1, -p.zero_point2 * (1 << 19));
}

RS_INLINE int8_t rs_add_one(const struct rs_add p, int32_t a, int32_t b)
{
    const int32_t scaled = rs_scale_right(rs_add_total(p, a, b), p.multiplier, p.right);
    return (int8_t)rs_clamp_int8(scaled + p.zero_point, p.low, p.high);
}

/* Two are loaded before any is stored, which the compiler may not assume to be safe. */
RS_INLINE void rs_add_pair(const struct rs_add p, const int8_t *a, const int8_t *b, int8_t *y)
{
    const int32_t a0 = a[0], a1 = a[p.step1], b0 = b[0], b1 = b[p.step2];
    y[0] = rs_add_one(p, a0, b0);
    y[1] = rs_add_one(p, a1, b1);
}

/* One run of `channels` bytes. */
RS_INLINE void rs_add_run(const struct rs_add p, const int8_t *a, const int8_t *b, int8_t *y)
{
    const int8_t *const end = y + (p.channels & ~3);
    for (; y != end; y += 4) {
        rs_add_pair(p, a, b, y);
        rs_add_pair(p, a + 2 * p.step1, b + 2 * p.step2, y + 2);
        a += 4 * p.step1;
        b += 4 * p.step2;
    }
    for (int32_t left = p.channels & 3; left > 0; left--) {
        *y++ = rs_add_one(p, *a, *b);
        a += p.step1;
        b += p.step2;
    }
}

RS_INLINE void rs_add(const struct rs_add p, int32_t row_begin, int32_t row_end)
{
    const struct rs_moves moves1 = {p.row_outer1, p.row_inner1, p.row_pixel1, p.pixel_bytes1};
    const struct rs_moves moves2 = {p.row_outer2, p.row_inner2, p.row_pixel2, p.pixel_bytes2};
    for (int32_t row = row_begin; row < row_end; row++) {
        const struct rs_place at = rs_place_of(row, p.inner);
        int8_t *y = rs_row(p.y, row);
        for (int32_t pixel = 0; pixel < p.pixels; pixel++) {
            const int8_t *a = rs_operand(p.x1, 0, 0, moves1, at, pixel);
            const int8_t *b = rs_operand(p.x2, p.constant, p.constant_row_bytes, moves2, at, pixel);
            rs_add_run(p, a, b, y + pixel * p.channels);
        }
    }
}

#endif
