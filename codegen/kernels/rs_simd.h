/* The DSP extension's instructions by name, as C functions; RS_DSP is 1 where kernels may use them.
 *
 * With RS_EMULATE_DSP (hosts) they are plain C, so that the DSP paths of the kernels are tested without an Arm core.
 * Definitions: Arm v7-M Architecture Reference Manual, A7.7. A word holds two signed halves or four signed bytes. */
#ifndef RS_SIMD_H
#define RS_SIMD_H

#include "rs_view.h"

#if defined(__ARM_FEATURE_DSP) && !defined(RS_EMULATE_DSP)
#define RS_DSP 1
#define RS_DSP_NATIVE 1
#elif defined(RS_EMULATE_DSP)
#define RS_DSP 1
#define RS_DSP_NATIVE 0
#else
#define RS_DSP 0
#define RS_DSP_NATIVE 0
#endif

/* Armv6-M: eight registers for most instructions, no unaligned access. */
#if defined(__ARM_ARCH) && __ARM_ARCH < 7 && defined(__thumb__)
#define RS_FEW_REGISTERS 1
#else
#define RS_FEW_REGISTERS 0
#endif

#if defined(__ARM_ARCH_ISA_THUMB) && __ARM_ARCH_ISA_THUMB == 2 && !defined(RS_EMULATE_DSP)
#define RS_THUMB2 1
#else
#define RS_THUMB2 0
#endif

/* Loops written in assembly need nearly every register, which compilers keep free at -O1 to -O3 only; GCC not at -Os.
 * Elsewhere the same loops in C take their place. */
#if defined(__OPTIMIZE__) && (defined(__clang__) || !defined(__OPTIMIZE_SIZE__))
#define RS_ROOM_FOR_ASSEMBLY 1
#else
#define RS_ROOM_FOR_ASSEMBLY 0
#endif
#define RS_ASSEMBLY (RS_ROOM_FOR_ASSEMBLY && (RS_DSP_NATIVE || RS_FEW_REGISTERS))

typedef uint32_t __attribute__((may_alias)) rs_word; /* aligned; may hold two halves of an int16_t array */

/* One word from any address. */
RS_INLINE uint32_t rs_load32(const void *from)
{
    uint32_t word;
    __builtin_memcpy(&word, from, sizeof word);
    return word;
}

RS_INLINE void rs_store32(void *to, uint32_t word)
{
    __builtin_memcpy(to, &word, sizeof word);
}

#if RS_DSP

#if RS_DSP_NATIVE
/* `op d, a, b, c` on signed words */
#define RS_SIMD3(name, op)                                                                                             \
    RS_INLINE int32_t name(uint32_t a, uint32_t b, int32_t c)                                                          \
    {                                                                                                                  \
        int32_t d;                                                                                                     \
        __asm__(op " %0, %1, %2, %3" : "=r"(d) : "r"(a), "r"(b), "r"(c));                                              \
        return d;                                                                                                      \
    }
RS_SIMD3(rs_smlad, "smlad")
RS_SIMD3(rs_smlabb, "smlabb")
RS_SIMD3(rs_smlabt, "smlabt")
RS_SIMD3(rs_smlatb, "smlatb")
RS_SIMD3(rs_smlatt, "smlatt")
RS_SIMD3(rs_smmlar, "smmlar")
#undef RS_SIMD3

RS_INLINE uint32_t rs_sxtb16(uint32_t a)
{
    uint32_t d;
    __asm__("sxtb16 %0, %1" : "=r"(d) : "r"(a));
    return d;
}

RS_INLINE uint32_t rs_sxtb16_ror8(uint32_t a)
{
    uint32_t d;
    __asm__("sxtb16 %0, %1, ror #8" : "=r"(d) : "r"(a));
    return d;
}

/* Bottom half of a, bottom half of b above it. */
RS_INLINE uint32_t rs_pack_bottom(uint32_t a, uint32_t b)
{
    uint32_t d;
    __asm__("pkhbt %0, %1, %2, lsl #16" : "=r"(d) : "r"(a), "r"(b));
    return d;
}

/* Top half of a, top half of b above it. */
RS_INLINE uint32_t rs_pack_top(uint32_t a, uint32_t b)
{
    uint32_t d;
    __asm__("pkhtb %0, %1, %2, asr #16" : "=r"(d) : "r"(b), "r"(a));
    return d;
}

/* Bottom half of a, top half of b. */
RS_INLINE uint32_t rs_pack_mixed(uint32_t a, uint32_t b)
{
    uint32_t d;
    __asm__("pkhbt %0, %1, %2" : "=r"(d) : "r"(a), "r"(b));
    return d;
}

RS_INLINE int32_t rs_saturate8(int32_t a)
{
    int32_t d;
    __asm__("ssat %0, #8, %1" : "=r"(d) : "r"(a) : "cc");
    return d;
}

#else

RS_INLINE int32_t rs_half(uint32_t a, int top)
{
    return (int16_t)(uint16_t)(top ? a >> 16 : a);
}

RS_INLINE uint32_t rs_halves(int32_t bottom, int32_t top)
{
    return ((uint32_t)top << 16) | ((uint32_t)bottom & 0xffffu);
}

RS_INLINE int32_t rs_wrapping_mla(int32_t a, int32_t b, int32_t c)
{
    return (int32_t)((uint32_t)a * (uint32_t)b + (uint32_t)c);
}

RS_INLINE int32_t rs_smlabb(uint32_t a, uint32_t b, int32_t c)
{
    return rs_wrapping_mla(rs_half(a, 0), rs_half(b, 0), c);
}

RS_INLINE int32_t rs_smlabt(uint32_t a, uint32_t b, int32_t c)
{
    return rs_wrapping_mla(rs_half(a, 0), rs_half(b, 1), c);
}

RS_INLINE int32_t rs_smlatb(uint32_t a, uint32_t b, int32_t c)
{
    return rs_wrapping_mla(rs_half(a, 1), rs_half(b, 0), c);
}

RS_INLINE int32_t rs_smlatt(uint32_t a, uint32_t b, int32_t c)
{
    return rs_wrapping_mla(rs_half(a, 1), rs_half(b, 1), c);
}

RS_INLINE int32_t rs_smlad(uint32_t a, uint32_t b, int32_t c)
{
    return rs_smlatt(a, b, rs_smlabb(a, b, c));
}

/* High word of a * b, rounded, + c. */
RS_INLINE int32_t rs_smmlar(uint32_t a, uint32_t b, int32_t c)
{
    const int64_t product = (int64_t)(int32_t)a * (int32_t)b + 0x80000000ll;
    return (int32_t)((uint32_t)(product >> 32) + (uint32_t)c);
}

RS_INLINE uint32_t rs_sxtb16(uint32_t a)
{
    return rs_halves((int8_t)(uint8_t)a, (int8_t)(uint8_t)(a >> 16));
}

RS_INLINE uint32_t rs_sxtb16_ror8(uint32_t a)
{
    return rs_sxtb16((a >> 8) | (a << 24));
}

RS_INLINE uint32_t rs_pack_bottom(uint32_t a, uint32_t b)
{
    return (b << 16) | (a & 0xffffu);
}

RS_INLINE uint32_t rs_pack_top(uint32_t a, uint32_t b)
{
    return (b & 0xffff0000u) | (a >> 16);
}

RS_INLINE uint32_t rs_pack_mixed(uint32_t a, uint32_t b)
{
    return (b & 0xffff0000u) | (a & 0xffffu);
}

RS_INLINE int32_t rs_saturate8(int32_t a)
{
    return a < -128 ? -128 : (a > 127 ? 127 : a);
}

#endif
#endif
#endif
