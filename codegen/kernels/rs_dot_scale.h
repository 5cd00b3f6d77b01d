/* What rs_dot.h sums, as outputs: two channels of two pixels at once. */
#ifndef RS_DOT_SCALE_H
#define RS_DOT_SCALE_H

#include "rs_dot.h"
#include "rs_requantize.h"

#if RS_ASSEMBLY && RS_DSP_NATIVE

/* rs_requantize's fast form, step by step for all four; `away` is empty where nothing below 0 needs it. */
#define RS_DOT_SCALE(away)                                                                                             \
    __asm__("ldrd %[m], %[s], [%[channel], #4]\n\t"                                                                    \
            "sub %[b0], %[b0], %[f0]\n\t"                                                                              \
            "sub %[b1], %[b1], %[f1]\n\t"                                                                              \
            "smmlar %[f0], %[f0], %[m], %[f0]\n\t"                                                                     \
            "smmlar %[f1], %[f1], %[m], %[f1]\n\t"                                                                     \
            "lsl %[half], %[zero], %[s]\n\t"                                                                           \
            "ldr %[m], [%[channel], #12]\n\t" away("%[f0]") away("%[f1]")                                              \
            "add %[f0], %[f0], %[half], asr #1\n\t"                                                                    \
            "add %[f1], %[f1], %[half], asr #1\n\t"                                                                    \
            "asr %[f0], %[f0], %[s]\n\t"                                                                               \
            "asr %[f1], %[f1], %[s]\n\t"                                                                               \
            "add %[b0], %[m], %[b0], asr #8\n\t"                                                                       \
            "add %[b1], %[m], %[b1], asr #8\n\t"                                                                       \
            "ldrd %[m], %[s], [%[channel], #16]\n\t"                                                                   \
            "ssat %[f0], #8, %[f0]\n\t"                                                                                \
            "ssat %[f1], #8, %[f1]\n\t"                                                                                \
            "smmlar %[b0], %[b0], %[m], %[b0]\n\t"                                                                     \
            "smmlar %[b1], %[b1], %[m], %[b1]\n\t"                                                                     \
            "lsl %[half], %[zero], %[s]\n\t" away("%[b0]") away("%[b1]")                                               \
            "add %[b0], %[b0], %[half], asr #1\n\t"                                                                    \
            "add %[b1], %[b1], %[half], asr #1\n\t"                                                                    \
            "asr %[b0], %[b0], %[s]\n\t"                                                                               \
            "asr %[b1], %[b1], %[s]\n\t"                                                                               \
            "ssat %[b0], #8, %[b0]\n\t"                                                                                \
            "ssat %[b1], #8, %[b1]"                                                                                    \
            : [f0] "+r"(d.first0), [f1] "+r"(d.first1), [b0] "+r"(d.both0), [b1] "+r"(d.both1), [m] "=&r"(m),          \
            [s] "=&r"(s), [half] "=&r"(half)                                                                           \
            : [channel] "r"(channel), [zero] "r"(2 * zero + 1)                                                         \
            : "cc", "memory")
#define RS_DOT_AWAY(sum) "add " sum ", " sum ", " sum ", asr #31\n\t"
#define RS_DOT_STAY(sum)

/* The outputs of channels with constants `channel` and `channel` + 3, in the fast form: of the first channel in first0
 * and first1, of the second in both0 and both1. */
RS_INLINE struct rs_dot rs_dot_scale(struct rs_dot d, const int32_t *channel, int32_t zero, int32_t low, int32_t high)
{
    int32_t m, s, half;
    if (low == zero) {
        RS_DOT_SCALE(RS_DOT_STAY);
    } else {
        RS_DOT_SCALE(RS_DOT_AWAY);
    }
    d.first0 = rs_clamp_within(d.first0, low, high);
    d.first1 = rs_clamp_within(d.first1, low, high);
    d.both0 = rs_clamp_within(d.both0, low, high);
    d.both1 = rs_clamp_within(d.both1, low, high);
    return d;
}

#undef RS_DOT_SCALE
#undef RS_DOT_AWAY
#undef RS_DOT_STAY

#else

RS_INLINE struct rs_dot rs_dot_scale(struct rs_dot d, const int32_t *channel, int32_t zero, int32_t low, int32_t high)
{
    d.both0 = rs_dot_second(d.both0, d.first0, channel[3]);
    d.both1 = rs_dot_second(d.both1, d.first1, channel[3]);
    d.first0 = rs_requantize(d.first0, channel[1], channel[2], 1, zero, low, high);
    d.first1 = rs_requantize(d.first1, channel[1], channel[2], 1, zero, low, high);
    d.both0 = rs_requantize(d.both0, channel[4], channel[5], 1, zero, low, high);
    d.both1 = rs_requantize(d.both1, channel[4], channel[5], 1, zero, low, high);
    return d;
}

#endif
#endif
