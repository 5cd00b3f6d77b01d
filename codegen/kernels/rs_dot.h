/* Dot products of two pixels with two output channels.
 *
 * x: int16 [k/4][2 pixels][4], each four values in the order 0 2 1 3 (what SXTB16 of a word of int8 gives).
 * w: int16 [k/2][2], in the order of x; a half holds both channels' weights: 256 * second + first.
 * SMLAD with such halves sums v = 256 * second + first; the low bytes, extended, sum `first` alone. So the second
 * channel is (v - first) / 256, exact while it stays within 24 bits, and its weights need no unpacking. */
#ifndef RS_DOT_H
#define RS_DOT_H

#include "rs_simd.h"

struct rs_dot {
    int32_t both0, both1;   /* 256 * second + first, of pixel 0 and 1, modulo 2^32 */
    int32_t first0, first1; /* the first channel */
};

#if RS_DSP_NATIVE

#define RS_DOT_STEP                                                                                                    \
    "ldmia %[x]!, {r0, r1, r2, r3}\n\t"                                                                                \
    "ldrd r12, lr, [%[w]], #8\n\t"                                                                                      \
    "smlad %[b0], r0, r12, %[b0]\n\t"                                                                                   \
    "smlad %[b1], r2, r12, %[b1]\n\t"                                                                                   \
    "sxtb16 r12, r12\n\t"                                                                                                \
    "smlad %[b0], r1, lr, %[b0]\n\t"                                                                                   \
    "smlad %[b1], r3, lr, %[b1]\n\t"                                                                                   \
    "sxtb16 lr, lr\n\t"                                                                                                \
    "smlad %[f0], r0, r12, %[f0]\n\t"                                                                                   \
    "smlad %[f1], r2, r12, %[f1]\n\t"                                                                                   \
    "smlad %[f0], r1, lr, %[f0]\n\t"                                                                                   \
    "smlad %[f1], r3, lr, %[f1]\n\t"
/* The same as the first step: the bias, which all four sums start from, is in f1. */
#define RS_DOT_FIRST                                                                                                   \
    "ldmia %[x]!, {r0, r1, r2, r3}\n\t"                                                                                \
    "ldrd r12, lr, [%[w]], #8\n\t"                                                                                     \
    "smlad %[b0], r0, r12, %[f1]\n\t"                                                                                  \
    "smlad %[b1], r2, r12, %[f1]\n\t"                                                                                  \
    "sxtb16 r12, r12\n\t"                                                                                              \
    "smlad %[f0], r0, r12, %[f1]\n\t"                                                                                  \
    "smlad %[f1], r2, r12, %[f1]\n\t"                                                                                  \
    "smlad %[b0], r1, lr, %[b0]\n\t"                                                                                   \
    "smlad %[b1], r3, lr, %[b1]\n\t"                                                                                   \
    "sxtb16 lr, lr\n\t"                                                                                                \
    "smlad %[f0], r1, lr, %[f0]\n\t"                                                                                   \
    "smlad %[f1], r3, lr, %[f1]\n\t"
#define RS_DOT_REGISTERS                                                                                               \
    [x] "+r"(x), [w] "+r"(w), [b0] "+r"(d.both0), [b1] "+r"(d.both1), [f0] "+r"(d.first0), [f1] "+r"(d.first1)
#define RS_DOT_REGISTERS_FIRST                                                                                         \
    [x] "+r"(x), [w] "+r"(w), [b0] "=&r"(d.both0), [b1] "=&r"(d.both1), [f0] "=&r"(d.first0), [f1] "+r"(d.first1)
#define RS_DOT_CLOBBERS "r0", "r1", "r2", "r3", "r12", "lr", "cc", "memory"

RS_INLINE struct rs_dot rs_dot_straight(const int16_t *x, const int16_t *w, int32_t steps, int32_t bias)
{
    struct rs_dot d;
    d.first1 = bias;
    if (steps & 1) {
        __asm__ volatile(RS_DOT_FIRST : RS_DOT_REGISTERS_FIRST : : RS_DOT_CLOBBERS);
    } else {
        __asm__ volatile(RS_DOT_FIRST RS_DOT_STEP : RS_DOT_REGISTERS_FIRST : : RS_DOT_CLOBBERS);
    }
    if ((steps - 1) & 2) {
        __asm__ volatile(RS_DOT_STEP RS_DOT_STEP : RS_DOT_REGISTERS : : RS_DOT_CLOBBERS);
    }
    if ((steps - 1) & 4) {
        __asm__ volatile(RS_DOT_STEP RS_DOT_STEP RS_DOT_STEP RS_DOT_STEP : RS_DOT_REGISTERS : : RS_DOT_CLOBBERS);
    }
    return d;
}

/* `steps` literal: four values of k each. */
RS_INLINE struct rs_dot rs_dot_2x2(const int16_t *x, const int16_t *w, int32_t steps, int32_t bias)
{
    const int16_t *const end = x + 8 * (steps & ~3);
    struct rs_dot d;
    if (steps <= 8) {
        return rs_dot_straight(x, w, steps, bias);
    }
    d.first1 = bias;
    __asm__ volatile("mov %[b0], %[f1]\n\tmov %[b1], %[f1]\n\tmov %[f0], %[f1]\n\t"
                     "1:\n\t" RS_DOT_STEP RS_DOT_STEP RS_DOT_STEP RS_DOT_STEP "cmp %[x], %[end]\n\tbne 1b"
                     : RS_DOT_REGISTERS_FIRST
                     : [end] "r"(end)
                     : RS_DOT_CLOBBERS);
    if (steps & 1) {
        __asm__ volatile(RS_DOT_STEP : RS_DOT_REGISTERS : : RS_DOT_CLOBBERS);
    }
    if (steps & 2) {
        __asm__ volatile(RS_DOT_STEP RS_DOT_STEP : RS_DOT_REGISTERS : : RS_DOT_CLOBBERS);
    }
    return d;
}

#undef RS_DOT_FIRST
#undef RS_DOT_REGISTERS_FIRST
#undef RS_DOT_STEP
#undef RS_DOT_REGISTERS
#undef RS_DOT_CLOBBERS

#else

/* Two values of x with the weights of both channels for them. */
RS_INLINE void rs_dot_word(uint32_t x, uint32_t w, int32_t *both, int32_t *first)
{
    const int32_t x0 = (int16_t)x, x1 = (int32_t)x >> 16, w0 = (int16_t)w, w1 = (int32_t)w >> 16;
    *both = (int32_t)((uint32_t)*both + (uint32_t)(x0 * w0) + (uint32_t)(x1 * w1));
    *first = (int32_t)((uint32_t)*first + (uint32_t)(x0 * (int8_t)w0) + (uint32_t)(x1 * (int8_t)w1));
}

#if RS_FEW_REGISTERS

/* One pixel after the other: two at once would not fit into eight registers. */
RS_INLINE void rs_dot_1x2(const rs_word *x, const rs_word *w, int32_t steps, int32_t *both, int32_t *first)
{
    const rs_word *const end = w + 2 * steps;
    do {
        rs_dot_word(x[0], w[0], both, first);
        rs_dot_word(x[1], w[1], both, first);
        x += 4;
        w += 2;
    } while (w != end);
}

RS_INLINE struct rs_dot rs_dot_2x2(const int16_t *x, const int16_t *w, int32_t steps, int32_t bias)
{
    const rs_word *const x0 = (const rs_word *)(const void *)x, *const w0 = (const rs_word *)(const void *)w;
    struct rs_dot d = {bias, bias, bias, bias};
    rs_dot_1x2(x0, w0, steps, &d.both0, &d.first0);
    rs_dot_1x2(x0 + 2, w0, steps, &d.both1, &d.first1);
    return d;
}

#else

RS_INLINE struct rs_dot rs_dot_2x2(const int16_t *x, const int16_t *w, int32_t steps, int32_t bias)
{
    const rs_word *xs = (const rs_word *)(const void *)x, *ws = (const rs_word *)(const void *)w;
    struct rs_dot d = {bias, bias, bias, bias};
    for (; steps > 0; --steps, xs += 4, ws += 2) {
        rs_dot_word(xs[0], ws[0], &d.both0, &d.first0);
        rs_dot_word(xs[1], ws[1], &d.both0, &d.first0);
        rs_dot_word(xs[2], ws[0], &d.both1, &d.first1);
        rs_dot_word(xs[3], ws[1], &d.both1, &d.first1);
    }
    return d;
}

#endif
#endif

/* The second channel's sum, its bias added. */
RS_INLINE int32_t rs_dot_second(int32_t both, int32_t first, int32_t bias)
{
    return bias + ((int32_t)((uint32_t)both - (uint32_t)first) >> 8);
}

#endif
