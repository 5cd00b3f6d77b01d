/* Dot products of x with two pairs of output channels at a time.
 *
 * Weights of channels 2p (first) and 2p + 1 (second) share halves: 256 * second + (first + 128). A product with such a
 * half sums v = 256 * second + low, a product with its low byte sums low = first + 128 * sum(x); so the second channel
 * needs no unpacking: it is (v - low) / 256, exact while it stays within 24 bits.
 * A word holds two halves: k = 0 and 2 of each four, then 1 and 3, the order in which SXTB16 unpacks x. */
#ifndef RS_PAIRS_H
#define RS_PAIRS_H

#include "rs_simd.h"

/* Four values of x, unpacked as halves (0, 2) and (1, 3). */
#if RS_DSP
struct rs_fc_x {
    uint32_t even, odd;
};
#else
struct rs_fc_x {
    int32_t x0, x1, x2, x3;
};
#endif

RS_INLINE struct rs_fc_x rs_fc_unpack(const int8_t *x)
{
#if RS_DSP
    const uint32_t word = rs_load32(x);
    const struct rs_fc_x unpacked = {rs_sxtb16(word), rs_sxtb16_ror8(word)};
#else
    const struct rs_fc_x unpacked = {x[0], x[1], x[2], x[3]};
#endif
    return unpacked;
}

/* The last one to three values; the rest is 0. */
RS_INLINE struct rs_fc_x rs_fc_unpack_rest(const int8_t *x, int32_t count)
{
    const int8_t four[4] = {x[0], count > 1 ? x[1] : (int8_t)0, count > 2 ? x[2] : (int8_t)0, 0};
    return rs_fc_unpack(four);
}

/* Sums of one pair of channels, modulo 2^32: with whole halves, and with their low bytes. */
struct rs_fc_pair {
    uint32_t both, low;
};

#if !RS_DSP
RS_INLINE uint32_t rs_fc_mla(int32_t a, int32_t b, uint32_t sum)
{
#if defined(__ARM_ARCH_ISA_THUMB) && __ARM_ARCH_ISA_THUMB == 2
    uint32_t d; /* as C, GCC adds products first and runs out of registers */
    __asm__("mla %0, %1, %2, %3" : "=r"(d) : "r"(a), "r"(b), "r"(sum));
    return d;
#else
    return sum + (uint32_t)(a * b);
#endif
}
#endif

RS_INLINE void rs_fc_add(struct rs_fc_pair *s, const struct rs_fc_x x, const uint32_t *w)
{
    const uint32_t even = w[0], odd = w[1];
#if RS_DSP
    s->both = (uint32_t)rs_smlad(x.even, even, (int32_t)s->both);
    s->low = (uint32_t)rs_smlad(x.even, even & 0x00ff00ffu, (int32_t)s->low);
    s->both = (uint32_t)rs_smlad(x.odd, odd, (int32_t)s->both);
    s->low = (uint32_t)rs_smlad(x.odd, odd & 0x00ff00ffu, (int32_t)s->low);
#else
    s->both = rs_fc_mla(x.x0, (int16_t)even, s->both);
    s->both = rs_fc_mla(x.x2, (int32_t)even >> 16, s->both);
    s->low = rs_fc_mla(x.x0, (int32_t)(even & 0xffu), s->low);
    s->low = rs_fc_mla(x.x2, (int32_t)((even >> 16) & 0xffu), s->low);
    s->both = rs_fc_mla(x.x1, (int16_t)odd, s->both);
    s->both = rs_fc_mla(x.x3, (int32_t)odd >> 16, s->both);
    s->low = rs_fc_mla(x.x1, (int32_t)(odd & 0xffu), s->low);
    s->low = rs_fc_mla(x.x3, (int32_t)((odd >> 16) & 0xffu), s->low);
#endif
}

/* Sums of `pairs` (1 or 2) pairs over one block, from w; both pairs' words of four k lie together. */
struct rs_fc_block {
    struct rs_fc_pair first, second;
};

#if RS_ASSEMBLY && RS_DSP_NATIVE

/* Sixteen products of four values of x with two pairs, in sixteen instructions. */
#define RS_FC_STEP                                                                                                     \
    "ldr r12, [%[x]], #4\n\t"                                                                                          \
    "ldmia %[w]!, {r0, r1, r2, r3}\n\t"                                                                                \
    "sxtb16 lr, r12, ror #8\n\t"                                                                                       \
    "sxtb16 r12, r12\n\t"                                                                                              \
    "smlad %[b0], r12, r0, %[b0]\n\t"                                                                                  \
    "smlad %[b1], r12, r2, %[b1]\n\t"                                                                                  \
    "uxtb16 r0, r0\n\t"                                                                                                \
    "smlad %[b0], lr, r1, %[b0]\n\t"                                                                                   \
    "uxtb16 r2, r2\n\t"                                                                                                \
    "smlad %[b1], lr, r3, %[b1]\n\t"                                                                                   \
    "uxtb16 r1, r1\n\t"                                                                                                \
    "smlad %[l0], r12, r0, %[l0]\n\t"                                                                                  \
    "uxtb16 r3, r3\n\t"                                                                                                \
    "smlad %[l1], r12, r2, %[l1]\n\t"                                                                                  \
    "smlad %[l0], lr, r1, %[l0]\n\t"                                                                                   \
    "smlad %[l1], lr, r3, %[l1]\n\t"
#define RS_FC_REGISTERS [x] "+r"(at), [w] "+r"(weight), [b0] "+r"(b0), [l0] "+r"(l0), [b1] "+r"(b1), [l1] "+r"(l1)
#define RS_FC_CLOBBERS "r0", "r1", "r2", "r3", "r12", "lr", "cc", "memory"

/* `steps` times four k of two pairs. Registers by name, because GCC gives up looking for so many. */
RS_INLINE struct rs_fc_block rs_fc_steps(const int8_t *x, const uint32_t *w, int32_t steps)
{
    register const int8_t *at __asm__("r4") = x;
    register const uint32_t *weight __asm__("r5") = w;
    register uint32_t b0 __asm__("r6") = 0, l0 __asm__("r8") = 0, b1 __asm__("r9") = 0, l1 __asm__("r10") = 0;
    if (steps & 1) {
        __asm__ volatile(RS_FC_STEP : RS_FC_REGISTERS : : RS_FC_CLOBBERS);
    }
    if (steps & 2) {
        __asm__ volatile(RS_FC_STEP RS_FC_STEP : RS_FC_REGISTERS : : RS_FC_CLOBBERS);
    }
    if (steps >= 4) {
        register const int8_t *end __asm__("r11") = at + 4 * (steps & ~3);
        __asm__ volatile("1:\n\t" RS_FC_STEP RS_FC_STEP RS_FC_STEP RS_FC_STEP "cmp %[x], %[end]\n\tbne 1b"
                         : RS_FC_REGISTERS
                         : [end] "r"(end)
                         : RS_FC_CLOBBERS);
    }
    return (struct rs_fc_block){{b0, l0}, {b1, l1}};
}

#undef RS_FC_STEP
#undef RS_FC_REGISTERS
#undef RS_FC_CLOBBERS

#else

RS_INLINE struct rs_fc_block rs_fc_steps(const int8_t *x, const uint32_t *w, int32_t steps)
{
    struct rs_fc_block s = {{0, 0}, {0, 0}};
    for (; steps > 0; steps--, x += 4, w += 4) {
        const struct rs_fc_x four = rs_fc_unpack(x);
        rs_fc_add(&s.first, four, w);
        rs_fc_add(&s.second, four, w + 2);
    }
    return s;
}

#endif

RS_INLINE struct rs_fc_block rs_fc_dot(const int8_t *x, const uint32_t *w, int32_t count, int32_t pairs)
{
    const int32_t steps = count >> 2;
    struct rs_fc_block s = {{0, 0}, {0, 0}};
    if (pairs == 2) {
        s = rs_fc_steps(x, w, steps);
    } else {
        for (int32_t i = 0; i < steps; i++) {
            rs_fc_add(&s.first, rs_fc_unpack(x + 4 * i), w + 2 * i);
        }
    }
    if (count & 3) {
        const struct rs_fc_x rest = rs_fc_unpack_rest(x + 4 * steps, count & 3);
        w += 2 * pairs * steps;
        rs_fc_add(&s.first, rest, w);
        if (pairs == 2) {
            rs_fc_add(&s.second, rest, w + 2);
        }
    }
    return s;
}

/* The second channel's sum of a block. */
RS_INLINE uint32_t rs_fc_second(const struct rs_fc_pair s)
{
    return (uint32_t)((int32_t)(s.both - s.low) >> 8);
}

#endif
