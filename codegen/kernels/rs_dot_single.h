/* Dot products of two pixels with one output channel, whose weights are plain bytes.
 *
 * x: int16 [k/4][2 pixels][4], each four values in the order 0 2 1 3, as in rs_dot.h. w: int8 [k], at a word's address.
 * SXTB16 of a word of w gives values 0 and 2, of the word turned by a byte 1 and 3: x's order. */
#ifndef RS_DOT_SINGLE_H
#define RS_DOT_SINGLE_H

#include "rs_simd.h"

/* The sums of pixel 0 and 1, modulo 2^32. */
struct rs_dot_single {
    int32_t y0, y1;
};

#if RS_ROOM_FOR_ASSEMBLY && (RS_DSP_NATIVE || RS_THUMB2)

/* Eight products. */
#if RS_DSP_NATIVE
#define RS_SINGLE_STEP                                                                                                 \
    "ldr r12, [%[w]], #4\n\t"                                                                                          \
    "ldmia %[x]!, {r0, r1, r2, r3}\n\t"                                                                                \
    "sxtb16 lr, r12\n\t"                                                                                               \
    "sxtb16 r12, r12, ror #8\n\t"                                                                                      \
    "smlad %[y0], r0, lr, %[y0]\n\t"                                                                                   \
    "smlad %[y1], r2, lr, %[y1]\n\t"                                                                                   \
    "smlad %[y0], r1, r12, %[y0]\n\t"                                                                                  \
    "smlad %[y1], r3, r12, %[y1]\n\t"
#else
/* Two values of both pixels; loads that follow each other overlap. */
#define RS_SINGLE_TWO(w0, w1, x00, x01, x10, x11)                                                                      \
    "ldrsb r0, [%[w], #" w0 "]\n\t"                                                                                    \
    "ldrsb r1, [%[w], #" w1 "]\n\t"                                                                                    \
    "ldrsh r2, [%[x], #" x00 "]\n\t"                                                                                   \
    "ldrsh r3, [%[x], #" x01 "]\n\t"                                                                                   \
    "ldrsh r12, [%[x], #" x10 "]\n\t"                                                                                  \
    "ldrsh lr, [%[x], #" x11 "]\n\t"                                                                                   \
    "mla %[y0], r2, r0, %[y0]\n\t"                                                                                     \
    "mla %[y1], r12, r0, %[y1]\n\t"                                                                                    \
    "mla %[y0], r3, r1, %[y0]\n\t"                                                                                     \
    "mla %[y1], lr, r1, %[y1]\n\t"
#define RS_SINGLE_STEP                                                                                                 \
    RS_SINGLE_TWO("0", "1", "0", "4", "8", "12")                                                                       \
    RS_SINGLE_TWO("2", "3", "2", "6", "10", "14")                                                                      \
    "add %[w], %[w], #4\n\t"                                                                                           \
    "add %[x], %[x], #16\n\t"
#endif
#define RS_SINGLE_FOUR RS_SINGLE_STEP RS_SINGLE_STEP RS_SINGLE_STEP RS_SINGLE_STEP
#define RS_SINGLE_REGISTERS [x] "+r"(x), [w] "+r"(w), [y0] "+r"(d.y0), [y1] "+r"(d.y1)
#define RS_SINGLE_CLOBBERS "r0", "r1", "r2", "r3", "r12", "lr", "cc", "memory"

/* `steps` literal, at least 1: four values of k each. The loop is aligned, so that it is fetched as fast in any layer. */
RS_INLINE struct rs_dot_single rs_dot_2x1(const int16_t *x, const int8_t *w, int32_t steps, int32_t bias)
{
    const int8_t *const end = w + 4 * steps;
    struct rs_dot_single d = {bias, bias};
    if (steps & 1) {
        __asm__ volatile(RS_SINGLE_STEP : RS_SINGLE_REGISTERS : : RS_SINGLE_CLOBBERS);
    }
    if (steps & 2) {
        __asm__ volatile(RS_SINGLE_STEP RS_SINGLE_STEP : RS_SINGLE_REGISTERS : : RS_SINGLE_CLOBBERS);
    }
    if (steps >= 4) {
        __asm__ volatile(".p2align 3\n\t"
                         "1:\n\t" RS_SINGLE_FOUR "cmp %[w], %[end]\n\tbne 1b"
                         : RS_SINGLE_REGISTERS
                         : [end] "r"(end)
                         : RS_SINGLE_CLOBBERS);
    }
    return d;
}

#undef RS_SINGLE_STEP
#undef RS_SINGLE_TWO
#undef RS_SINGLE_FOUR
#undef RS_SINGLE_REGISTERS
#undef RS_SINGLE_CLOBBERS

#elif RS_ROOM_FOR_ASSEMBLY && RS_FEW_REGISTERS

/* Two values of a pixel, in one word, times r0 and r1. */
#define RS_SINGLE_WORD(at, y)                                                                                          \
    "ldr r2, [%[x], #" at "]\n\t"                                                                                      \
    "sxth r3, r2\n\t"                                                                                                  \
    "muls r3, r0, r3\n\t"                                                                                              \
    "add %[" y "], r3\n\t"                                                                                             \
    "asrs r2, r2, #16\n\t"                                                                                             \
    "muls r2, r1, r2\n\t"                                                                                              \
    "add %[" y "], r2\n\t"

/* All in low registers; the word of w is loaded twice, because none is free to keep it. */
RS_INLINE struct rs_dot_single rs_dot_2x1(const int16_t *x, const int8_t *w, int32_t steps, int32_t bias)
{
    struct rs_dot_single d = {bias, bias};
    __asm__ volatile(".syntax unified\n\t"
                     ".p2align 3\n\t"
                     "1:\n\t"
                     "ldr r1, [%[w]]\n\t"
                     "sxtb r0, r1\n\t"
                     "lsls r1, r1, #8\n\t"
                     "asrs r1, r1, #24\n\t" RS_SINGLE_WORD("0", "y0") RS_SINGLE_WORD("8", "y1")
                     "ldr r1, [%[w]]\n\t"
                     "lsls r0, r1, #16\n\t"
                     "asrs r0, r0, #24\n\t"
                     "asrs r1, r1, #24\n\t" RS_SINGLE_WORD("4", "y0") RS_SINGLE_WORD("12", "y1")
                     "adds %[x], #16\n\t"
                     "adds %[w], #4\n\t"
                     "cmp %[w], %[end]\n\t"
                     "bne 1b"
                     : [x] "+l"(x), [w] "+l"(w), [y0] "+h"(d.y0), [y1] "+h"(d.y1)
                     : [end] "h"(w + 4 * steps)
                     : "r0", "r1", "r2", "r3", "cc", "memory");
    return d;
}

#undef RS_SINGLE_WORD

#else

RS_INLINE struct rs_dot_single rs_dot_2x1(const int16_t *x, const int8_t *w, int32_t steps, int32_t bias)
{
    uint32_t y0 = (uint32_t)bias, y1 = y0;
    for (; steps > 0; --steps, x += 8, w += 4) {
        y0 += (uint32_t)(x[0] * w[0]) + (uint32_t)(x[2] * w[1]) + (uint32_t)(x[1] * w[2]) + (uint32_t)(x[3] * w[3]);
        y1 += (uint32_t)(x[4] * w[0]) + (uint32_t)(x[6] * w[1]) + (uint32_t)(x[5] * w[2]) + (uint32_t)(x[7] * w[3]);
    }
    return (struct rs_dot_single){(int32_t)y0, (int32_t)y1};
}

#endif
#endif
