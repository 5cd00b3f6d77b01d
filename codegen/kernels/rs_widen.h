/* Pixels into scratch: int8 to int16, in the layout that rs_dot.h reads, and bytes into a run. */
#ifndef RS_WIDEN_H
#define RS_WIDEN_H

#include "rs_simd.h"

/* Four int8 at `from` to int16 in the order 0 2 1 3; `to` advances by two pixels' worth. */
#if RS_DSP_NATIVE
#define RS_WIDEN_QUAD(to, from)                                                                                        \
    do {                                                                                                               \
        uint32_t even_, odd_;                                                                                          \
        __asm__ volatile("ldr %[odd], [%[from]], #4\n\t"                                                               \
                         "sxtb16 %[even], %[odd]\n\t"                                                                  \
                         "sxtb16 %[odd], %[odd], ror #8\n\t"                                                           \
                         "strd %[even], %[odd], [%[to]], #16"                                                          \
                         : [from] "+r"(from), [to] "+r"(to), [even] "=&r"(even_), [odd] "=&r"(odd_)                    \
                         :                                                                                             \
                         : "memory");                                                                                  \
    } while (0)
#else
#define RS_WIDEN_QUAD(to, from)                                                                                        \
    do {                                                                                                               \
        (to)[0] = (from)[0], (to)[1] = (from)[2], (to)[2] = (from)[1], (to)[3] = (from)[3];                            \
        (to) += 8, (from) += 4;                                                                                        \
    } while (0)
#endif

RS_INLINE int16_t *rs_widen(int16_t *to, const int8_t *from, int32_t quads)
{
    for (; quads >= 4; quads -= 4) {
        RS_WIDEN_QUAD(to, from);
        RS_WIDEN_QUAD(to, from);
        RS_WIDEN_QUAD(to, from);
        RS_WIDEN_QUAD(to, from);
    }
    if (quads & 2) {
        RS_WIDEN_QUAD(to, from);
        RS_WIDEN_QUAD(to, from);
    }
    if (quads & 1) {
        RS_WIDEN_QUAD(to, from);
    }
    return to;
}

RS_INLINE int16_t *rs_widen_fill(int16_t *to, int32_t value, int32_t quads)
{
    for (; quads > 0; --quads, to += 8) {
        to[0] = to[1] = to[2] = to[3] = (int16_t)value;
    }
    return to;
}

RS_INLINE int8_t *rs_append(int8_t *to, const int8_t *from, int32_t bytes)
{
#if RS_DSP
    if (__builtin_constant_p(bytes) && (uint32_t)bytes <= 16u) {
        __builtin_memcpy(to, from, (uint32_t)bytes);
        return to + bytes;
    }
    for (; bytes >= 4; bytes -= 4, to += 4, from += 4) {
        rs_store32(to, rs_load32(from));
    }
#endif
    for (; bytes > 0; --bytes) {
        *to++ = *from++;
    }
    return to;
}

RS_INLINE int8_t *rs_append_fill(int8_t *to, int32_t value, int32_t bytes)
{
    for (; bytes > 0; --bytes) {
        *to++ = (int8_t)value;
    }
    return to;
}

#endif
