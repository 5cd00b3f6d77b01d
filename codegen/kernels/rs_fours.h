/* One row of an odd kernel for four neighbouring outputs, from a row of x as int16.
 *
 * Weights w0 ... w2m are kept as words of two halves: with stride 1 {w0, w1} {w1, w2} {w2, w3} ..., because every other
 * output begins in the middle of a word of x; with stride 2 {w0, w1} {w2, w3} ... {w[2m - 1], w[2m]}. */
#ifndef RS_FOURS_H
#define RS_FOURS_H

#include "rs_simd.h"

#if RS_DSP

/* Sums of four neighbouring outputs, and the weights that come next. */
struct rs_fours {
    const rs_word *w;
    int32_t y0, y1, y2, y3;
};

/* Words of a kernel row. */
RS_INLINE int32_t rs_fours_words(int32_t width, int32_t stride)
{
    return stride == 1 ? width - 1 : width / 2 + 1;
}

/* The words of one kernel row, `is_last` of a channel. Of three weights four bytes are loaded: there from one byte
 * earlier on, so that nothing beyond the weights is read. */
RS_INLINE rs_word *rs_fours_unpack(rs_word *to, const int8_t *w, int32_t width, int32_t stride, int32_t is_last)
{
    const int32_t pairs = width / 2;
    int32_t i;
#pragma GCC unroll 8
    for (i = 0; i < pairs; ++i) {
        const int32_t is_end = i + 1 == pairs, early = is_end && is_last;
        const uint32_t word = rs_load32(w + 2 * i - early), even = rs_sxtb16(word), odd = rs_sxtb16_ror8(word);
        *to++ = early ? rs_pack_mixed(odd, even) : rs_pack_bottom(even, odd);
        if (stride == 1 || is_end) {
            *to++ = early ? rs_pack_top(even, odd) : rs_pack_mixed(odd, even);
        }
    }
    return to;
}

#if RS_ASSEMBLY && RS_DSP_NATIVE

/* x in words a b c ..., weights in even (w0 w1, ...) and odd (w1 w2, ...) ones. */
#define RS_FOURS_LEAD(a, b, even)                                                                                      \
    "smlatb %[y1], " a ", " even ", %[y1]\n\t"                                                                         \
    "smlatb %[y3], " b ", " even ", %[y3]\n\t"
#define RS_FOURS_PAIR(a, b, c, even, odd)                                                                              \
    "smlad %[y0], " a ", " even ", %[y0]\n\t"                                                                          \
    "smlad %[y2], " b ", " even ", %[y2]\n\t"                                                                          \
    "smlad %[y1], " b ", " odd ", %[y1]\n\t"                                                                           \
    "smlad %[y3], " c ", " odd ", %[y3]\n\t"
#define RS_FOURS_TAIL(a, b, odd)                                                                                       \
    "smlabt %[y0], " a ", " odd ", %[y0]\n\t"                                                                          \
    "smlabt %[y2], " b ", " odd ", %[y2]\n\t"
/* Stride 2: the same operation for all four. */
#define RS_FOURS_ALL(operation, a, b, c, d, w)                                                                         \
    operation " %[y0], " a ", " w ", %[y0]\n\t" operation " %[y1], " b ", " w ", %[y1]\n\t"                            \
    operation " %[y2], " c ", " w ", %[y2]\n\t" operation " %[y3], " d ", " w ", %[y3]\n\t"
#define RS_FOURS_X4 "ldrd r0, r1, [%[x]]\n\tldrd r2, lr, [%[x], #8]\n\t"
#define RS_FOURS_W2 "ldrd r3, r12, [%[w]], #8\n\t"

#define RS_FOURS_3_1                                                                                                   \
    "ldrd r0, r1, [%[x]]\n\t" RS_FOURS_W2 "ldr r2, [%[x], #8]\n\t" RS_FOURS_LEAD("r0", "r1", "r3")                     \
        RS_FOURS_PAIR("r0", "r1", "r2", "r3", "r12") RS_FOURS_TAIL("r1", "r2", "r12")
#define RS_FOURS_5_1                                                                                                   \
    RS_FOURS_X4 RS_FOURS_W2 RS_FOURS_LEAD("r0", "r1", "r3") RS_FOURS_PAIR("r0", "r1", "r2", "r3", "r12")               \
        RS_FOURS_W2 RS_FOURS_PAIR("r1", "r2", "lr", "r3", "r12") RS_FOURS_TAIL("r2", "lr", "r12")
#define RS_FOURS_7_1                                                                                                   \
    RS_FOURS_X4 RS_FOURS_W2 RS_FOURS_LEAD("r0", "r1", "r3") RS_FOURS_PAIR("r0", "r1", "r2", "r3", "r12")               \
        RS_FOURS_W2 RS_FOURS_PAIR("r1", "r2", "lr", "r3", "r12") RS_FOURS_W2 "ldr r0, [%[x], #16]\n\t"                 \
            RS_FOURS_PAIR("r2", "lr", "r0", "r3", "r12") RS_FOURS_TAIL("lr", "r0", "r12")
#define RS_FOURS_3_2                                                                                                   \
    RS_FOURS_X4 RS_FOURS_W2 RS_FOURS_ALL("smlad", "r0", "r1", "r2", "lr", "r3")                                        \
    "ldr r0, [%[x], #16]\n\t" RS_FOURS_ALL("smlabt", "r1", "r2", "lr", "r0", "r12")
#define RS_FOURS_5_2                                                                                                   \
    RS_FOURS_X4 RS_FOURS_W2 RS_FOURS_ALL("smlad", "r0", "r1", "r2", "lr", "r3")                                        \
    "ldrd r0, r3, [%[x], #16]\n\t" RS_FOURS_ALL("smlad", "r1", "r2", "lr", "r0", "r12")                                \
    "ldr r1, [%[w]], #4\n\t" RS_FOURS_ALL("smlabt", "r2", "lr", "r0", "r3", "r1")
#define RS_FOURS_7_2                                                                                                   \
    RS_FOURS_X4 RS_FOURS_W2 RS_FOURS_ALL("smlad", "r0", "r1", "r2", "lr", "r3")                                        \
    "ldrd r0, r3, [%[x], #16]\n\t" RS_FOURS_ALL("smlad", "r1", "r2", "lr", "r0", "r12")                                \
    "ldrd r1, r12, [%[w]], #8\n\t" RS_FOURS_ALL("smlad", "r2", "lr", "r0", "r3", "r1")                                 \
    "ldr r2, [%[x], #24]\n\t" RS_FOURS_ALL("smlabt", "lr", "r0", "r3", "r2", "r12")

#define RS_FOURS_RUN(row)                                                                                              \
    __asm__ volatile(row                                                                                               \
                     : [w] "+r"(w), [y0] "+r"(y0), [y1] "+r"(y1), [y2] "+r"(y2), [y3] "+r"(y3)                         \
                     : [x] "r"(from)                                                                                   \
                     : "r0", "r1", "r2", "r3", "r12", "lr", "cc", "memory")

/* Registers by name, because GCC gives up looking for so many. */
RS_INLINE struct rs_fours rs_fours_row(const struct rs_fours s, const int16_t *x, int32_t width, int32_t stride)
{
    register const int16_t *from __asm__("r4") = x;
    register const rs_word *w __asm__("r5") = s.w;
    register int32_t y0 __asm__("r6") = s.y0, y1 __asm__("r8") = s.y1;
    register int32_t y2 __asm__("r9") = s.y2, y3 __asm__("r10") = s.y3;
    if (stride == 1 && width == 3) {
        RS_FOURS_RUN(RS_FOURS_3_1);
    } else if (stride == 1 && width == 5) {
        RS_FOURS_RUN(RS_FOURS_5_1);
    } else if (stride == 1) {
        RS_FOURS_RUN(RS_FOURS_7_1);
    } else if (width == 3) {
        RS_FOURS_RUN(RS_FOURS_3_2);
    } else if (width == 5) {
        RS_FOURS_RUN(RS_FOURS_5_2);
    } else {
        RS_FOURS_RUN(RS_FOURS_7_2);
    }
    return (struct rs_fours){w, y0, y1, y2, y3};
}

#undef RS_FOURS_LEAD
#undef RS_FOURS_PAIR
#undef RS_FOURS_TAIL
#undef RS_FOURS_ALL
#undef RS_FOURS_X4
#undef RS_FOURS_W2
#undef RS_FOURS_3_1
#undef RS_FOURS_5_1
#undef RS_FOURS_7_1
#undef RS_FOURS_3_2
#undef RS_FOURS_5_2
#undef RS_FOURS_7_2
#undef RS_FOURS_RUN

#else

RS_INLINE struct rs_fours rs_fours_row(struct rs_fours s, const int16_t *from, int32_t width, int32_t stride)
{
    const rs_word *x = (const rs_word *)(const void *)from, *const end = x + width / 2;
    if (stride == 1) {
        s.y1 = rs_smlatb(x[0], *s.w, s.y1);
        s.y3 = rs_smlatb(x[1], *s.w, s.y3);
        for (; x != end; ++x, s.w += 2) {
            s.y0 = rs_smlad(x[0], s.w[0], s.y0);
            s.y1 = rs_smlad(x[1], s.w[1], s.y1);
            s.y2 = rs_smlad(x[1], s.w[0], s.y2);
            s.y3 = rs_smlad(x[2], s.w[1], s.y3);
        }
        s.y0 = rs_smlabt(x[0], s.w[-1], s.y0);
        s.y2 = rs_smlabt(x[1], s.w[-1], s.y2);
        return s;
    }
    for (; x != end; ++x, ++s.w) {
        s.y0 = rs_smlad(x[0], *s.w, s.y0);
        s.y1 = rs_smlad(x[1], *s.w, s.y1);
        s.y2 = rs_smlad(x[2], *s.w, s.y2);
        s.y3 = rs_smlad(x[3], *s.w, s.y3);
    }
    s.y0 = rs_smlabt(x[0], *s.w, s.y0);
    s.y1 = rs_smlabt(x[1], *s.w, s.y1);
    s.y2 = rs_smlabt(x[2], *s.w, s.y2);
    s.y3 = rs_smlabt(x[3], *s.w, s.y3);
    ++s.w;
    return s;
}

#endif

/* One kernel row of a single output, whose window may begin at any place. */
RS_INLINE int32_t rs_fours_single(int32_t sum, const int16_t *x, const rs_word *w, int32_t width, int32_t stride)
{
    const int32_t step = stride == 1 ? 2 : 1;
    int32_t i;
#pragma GCC unroll 8
    for (i = 0; i < width / 2; ++i) {
        sum = rs_smlad(rs_load32(x + 2 * i), w[i * step], sum);
    }
    return sum + x[width - 1] * ((int32_t)w[rs_fours_words(width, stride) - 1] >> 16);
}

#endif
#endif
