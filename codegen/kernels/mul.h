/* MUL, int8. Arithmetic: refsim/int8ops/mul.py. */
#ifndef RS_MUL_H
#define RS_MUL_H

#include "rs_elementwise.h"
#include "rs_scale.h"

struct rs_mul {
    struct rs_view x1, x2;      /* int8 operands, each of its own shape */
    struct rs_view y;           /* int8 [outer * inner][pixels][channels] */
    const int8_t *constant;     /* in place of x2, or null */
    int32_t constant_row_bytes; /* bytes of a row of it */
    int32_t inner;              /* output rows of an image */
    int32_t pixels, channels;   /* of an output row; one pixel where operands allow it */
    int32_t row_outer1, row_inner1, row_pixel1, pixel_bytes1, step1; /* see rs_moves */
    int32_t row_outer2, row_inner2, row_pixel2, pixel_bytes2, step2;
    int32_t zero_point1, zero_point2;      /* of x1 and x2 */
    int32_t multiplier, shift, zero_point; /* the product to y */
    int32_t low, high;                     /* clamp */
};

/* The product has 17 bits, which leaves room for small left shifts. */
RS_INLINE int8_t rs_mul_one(const struct rs_mul p, int32_t a, int32_t b)
{
    const int32_t product = (a - p.zero_point1) * (b - p.zero_point2);
    const int32_t scaled = p.shift <= 0    ? rs_scale_right(product, p.multiplier, -p.shift)
                           : p.shift <= 13 ? rs_scale_right(product * (1 << (p.shift & 15)), p.multiplier, 0)
                                           : rs_multiply(product, p.multiplier, p.shift);
    return (int8_t)rs_clamp_int8((int32_t)((uint32_t)scaled + (uint32_t)p.zero_point), p.low, p.high);
}

/* Two are loaded before any is stored, which the compiler may not assume to be safe. */
RS_INLINE void rs_mul_pair(const struct rs_mul p, const int8_t *a, const int8_t *b, int8_t *y)
{
    const int32_t a0 = a[0], a1 = a[p.step1], b0 = b[0], b1 = b[p.step2];
    y[0] = rs_mul_one(p, a0, b0);
    y[1] = rs_mul_one(p, a1, b1);
}

/* One run of `channels` bytes. */
RS_INLINE void rs_mul_run(const struct rs_mul p, const int8_t *a, const int8_t *b, int8_t *y)
{
    const int8_t *const end = y + (p.channels & ~3);
    for (; y != end; y += 4) {
        rs_mul_pair(p, a, b, y);
        rs_mul_pair(p, a + 2 * p.step1, b + 2 * p.step2, y + 2);
        a += 4 * p.step1;
        b += 4 * p.step2;
    }
    for (int32_t left = p.channels & 3; left > 0; left--) {
        *y++ = rs_mul_one(p, *a, *b);
        a += p.step1;
        b += p.step2;
    }
}

RS_INLINE void rs_mul(const struct rs_mul p, int32_t row_begin, int32_t row_end)
{
    const struct rs_moves moves1 = {p.row_outer1, p.row_inner1, p.row_pixel1, p.pixel_bytes1};
    const struct rs_moves moves2 = {p.row_outer2, p.row_inner2, p.row_pixel2, p.pixel_bytes2};
    for (int32_t row = row_begin; row < row_end; row++) {
        const struct rs_place at = rs_place_of(row, p.inner);
        int8_t *y = rs_row(p.y, row);
        for (int32_t pixel = 0; pixel < p.pixels; pixel++) {
            const int8_t *a = rs_operand(p.x1, 0, 0, moves1, at, pixel);
            const int8_t *b = rs_operand(p.x2, p.constant, p.constant_row_bytes, moves2, at, pixel);
            rs_mul_run(p, a, b, y + pixel * p.channels);
        }
    }
}

#endif
