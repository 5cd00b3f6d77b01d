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

#if RS_ASSEMBLY && RS_DSP_NATIVE

#define RS_DOT_STEP                                                                                                    \
    "ldmia %[x]!, {r0, r1, r2, r3}\n\t"                                                                                \
    "ldrd r12, lr, [%[w]], #8\n\t"                                                                                     \
    "smlad %[b0], r0, r12, %[b0]\n\t"                                                                                  \
    "smlad %[b1], r2, r12, %[b1]\n\t"                                                                                  \
    "sxtb16 r12, r12\n\t"                                                                                              \
    "smlad %[b0], r1, lr, %[b0]\n\t"                                                                                   \
    "smlad %[b1], r3, lr, %[b1]\n\t"                                                                                   \
    "sxtb16 lr, lr\n\t"                                                                                                \
    "smlad %[f0], r0, r12, %[f0]\n\t"                                                                                  \
    "smlad %[f1], r2, r12, %[f1]\n\t"                                                                                  \
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
    [x] "+r"(x), [w] "+r"(w), [b0] "=&r"(d.both0), [b1] "=&r"(d.both1), [f0] "=&r"(d.first0), [f1] "+r"(d.first1)
#define RS_DOT_CLOBBERS "r0", "r1", "r2", "r3", "r12", "lr", "cc", "memory"

/* One statement for all steps: GCC 12 at times finds no registers for a second one. */
#define RS_DOT_RUN(text) __asm__ volatile(text : RS_DOT_REGISTERS : [end] "r"(end) : RS_DOT_CLOBBERS)
#define RS_DOT_STRAIGHT(text) __asm__ volatile(text : RS_DOT_REGISTERS : : RS_DOT_CLOBBERS)
#define RS_DOT_TWO RS_DOT_STEP RS_DOT_STEP
#define RS_DOT_FOUR RS_DOT_TWO RS_DOT_TWO
#define RS_DOT_LOOP                                                                                                    \
    "mov %[b0], %[f1]\n\t"                                                                                             \
    "mov %[b1], %[f1]\n\t"                                                                                             \
    "mov %[f0], %[f1]\n\t"                                                                                             \
    "1:\n\t" RS_DOT_FOUR                                                                                               \
    "cmp %[x], %[end]\n\t"                                                                                             \
    "bne 1b\n\t"

/* `steps` literal, 1 to 8. */
RS_INLINE struct rs_dot rs_dot_straight(const int16_t *x, const int16_t *w, int32_t steps, int32_t bias)
{
    struct rs_dot d;
    d.first1 = bias;
    switch (steps) {
    case 1: RS_DOT_STRAIGHT(RS_DOT_FIRST); break;
    case 2: RS_DOT_STRAIGHT(RS_DOT_FIRST RS_DOT_STEP); break;
    case 3: RS_DOT_STRAIGHT(RS_DOT_FIRST RS_DOT_TWO); break;
    case 4: RS_DOT_STRAIGHT(RS_DOT_FIRST RS_DOT_TWO RS_DOT_STEP); break;
    case 5: RS_DOT_STRAIGHT(RS_DOT_FIRST RS_DOT_FOUR); break;
    case 6: RS_DOT_STRAIGHT(RS_DOT_FIRST RS_DOT_FOUR RS_DOT_STEP); break;
    case 7: RS_DOT_STRAIGHT(RS_DOT_FIRST RS_DOT_FOUR RS_DOT_TWO); break;
    default: RS_DOT_STRAIGHT(RS_DOT_FIRST RS_DOT_FOUR RS_DOT_TWO RS_DOT_STEP); break;
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
    switch (steps & 3) {
    case 0: RS_DOT_RUN(RS_DOT_LOOP); break;
    case 1: RS_DOT_RUN(RS_DOT_LOOP RS_DOT_STEP); break;
    case 2: RS_DOT_RUN(RS_DOT_LOOP RS_DOT_TWO); break;
    default: RS_DOT_RUN(RS_DOT_LOOP RS_DOT_TWO RS_DOT_STEP); break;
    }
    return d;
}

#undef RS_DOT_RUN
#undef RS_DOT_STRAIGHT
#undef RS_DOT_TWO
#undef RS_DOT_FOUR
#undef RS_DOT_LOOP
#undef RS_DOT_FIRST
#undef RS_DOT_REGISTERS
#undef RS_DOT_STEP
#undef RS_DOT_CLOBBERS

#elif RS_ASSEMBLY && RS_FEW_REGISTERS

/* Two values of one pixel with two channels, all in low registers, which compilers do not manage. */
#define RS_DOT_WORD(at_x, at_w)                                                                                        \
    "ldr r0, [%[x], #" at_x "]\n\t"                                                                                    \
    "ldr r1, [%[w], #" at_w "]\n\t"                                                                                    \
    "sxth r2, r0\n\t"                                                                                                  \
    "sxtb r3, r1\n\t"                                                                                                  \
    "muls r3, r2, r3\n\t"                                                                                              \
    "add %[first], r3\n\t"                                                                                             \
    "sxth r3, r1\n\t"                                                                                                  \
    "muls r3, r2, r3\n\t"                                                                                              \
    "add %[both], r3\n\t"                                                                                              \
    "asrs r0, r0, #16\n\t"                                                                                             \
    "asrs r1, r1, #16\n\t"                                                                                             \
    "sxtb r3, r1\n\t"                                                                                                  \
    "muls r3, r0, r3\n\t"                                                                                              \
    "add %[first], r3\n\t"                                                                                             \
    "muls r1, r0, r1\n\t"                                                                                              \
    "add %[both], r1\n\t"

RS_INLINE void rs_dot_1x2(const int16_t *x, const int16_t *w, const int16_t *end, int32_t *both, int32_t *first)
{
    __asm__ volatile(".syntax unified\n\t"
                     "1:\n\t" RS_DOT_WORD("0", "0") RS_DOT_WORD("4", "4")
                     "adds %[x], #16\n\t"
                     "adds %[w], #8\n\t"
                     "cmp %[w], %[end]\n\t"
                     "bne 1b"
                     : [x] "+l"(x), [w] "+l"(w), [both] "+h"(*both), [first] "+h"(*first)
                     : [end] "h"(end)
                     : "r0", "r1", "r2", "r3", "cc", "memory");
}

#undef RS_DOT_WORD

RS_INLINE struct rs_dot rs_dot_2x2(const int16_t *x, const int16_t *w, int32_t steps, int32_t bias)
{
    struct rs_dot d = {bias, bias, bias, bias};
    rs_dot_1x2(x, w, w + 4 * steps, &d.both0, &d.first0);
    rs_dot_1x2(x + 4, w, w + 4 * steps, &d.both1, &d.first1);
    return d;
}

#else

RS_INLINE void rs_dot_add(int32_t *sum, int32_t a, int32_t b)
{
    *sum = (int32_t)((uint32_t)*sum + (uint32_t)(a * b));
}

RS_INLINE struct rs_dot rs_dot_2x2(const int16_t *x, const int16_t *w, int32_t steps, int32_t bias)
{
    struct rs_dot d = {bias, bias, bias, bias};
    int32_t i;
    for (; steps > 0; --steps, x += 8, w += 4) {
#pragma GCC unroll 4
        for (i = 0; i < 4; ++i) {
            const int32_t both = w[i], first = (int8_t)w[i];
            rs_dot_add(&d.both0, x[i], both);
            rs_dot_add(&d.both1, x[4 + i], both);
            rs_dot_add(&d.first0, x[i], first);
            rs_dot_add(&d.first1, x[4 + i], first);
        }
    }
    return d;
}

#endif

/* The second channel's sum, its bias added. */
RS_INLINE int32_t rs_dot_second(int32_t both, int32_t first, int32_t bias)
{
    return bias + ((int32_t)((uint32_t)both - (uint32_t)first) >> 8);
}

#endif
