/* What compilers may call on their own. Weak: a firmware's libc takes precedence. */
#include <stddef.h>
#include <stdint.h>

#define RS_WEAK __attribute__((weak))
/* Keeps compilers from turning these loops into calls of the functions that they define. */
#define RS_OPAQUE __asm__ volatile("" ::: "memory")

typedef uint32_t __attribute__((may_alias)) rs_word;

void *memcpy(void *restrict to, const void *restrict from, size_t n);
void *memmove(void *to, const void *from, size_t n);
void *memset(void *to, int value, size_t n);

RS_WEAK void *memcpy(void *restrict to, const void *restrict from, size_t n)
{
    uint8_t *y = to;
    const uint8_t *x = from;
    if ((((uintptr_t)y | (uintptr_t)x) & 3u) == 0u) {
        for (; n >= 4u; n -= 4u, y += 4, x += 4) {
            *(rs_word *)(void *)y = *(const rs_word *)(const void *)x;
            RS_OPAQUE;
        }
    }
    for (; n != 0u; --n) {
        *y++ = *x++;
        RS_OPAQUE;
    }
    return to;
}

RS_WEAK void *memmove(void *to, const void *from, size_t n)
{
    uint8_t *y = to;
    const uint8_t *x = from;
    if ((uintptr_t)y <= (uintptr_t)x) {
        return memcpy(to, from, n);
    }
    while (n != 0u) {
        --n;
        y[n] = x[n];
        RS_OPAQUE;
    }
    return to;
}

static void *rs_set(void *to, size_t n, int value)
{
    uint8_t *y = to;
    const uint32_t word = (uint8_t)value * 0x01010101u;
    for (; n != 0u && ((uintptr_t)y & 3u) != 0u; --n) {
        *y++ = (uint8_t)value;
        RS_OPAQUE;
    }
    for (; n >= 4u; n -= 4u, y += 4) {
        *(rs_word *)(void *)y = word;
        RS_OPAQUE;
    }
    for (; n != 0u; --n) {
        *y++ = (uint8_t)value;
        RS_OPAQUE;
    }
    return to;
}

RS_WEAK void *memset(void *to, int value, size_t n)
{
    return rs_set(to, n, value);
}

#if defined(__ARM_EABI__)
/* The names by which clang calls them (Arm's Run-time ABI, 4.3.4). A call of memcpy in a body would be one of these. */
#define RS_SAME_AS(function) __attribute__((weak, alias(function)))
void *__aeabi_memcpy(void *restrict to, const void *restrict from, size_t n) RS_SAME_AS("memcpy");
void *__aeabi_memcpy4(void *restrict to, const void *restrict from, size_t n) RS_SAME_AS("memcpy");
void *__aeabi_memcpy8(void *restrict to, const void *restrict from, size_t n) RS_SAME_AS("memcpy");
void *__aeabi_memmove(void *to, const void *from, size_t n) RS_SAME_AS("memmove");
void *__aeabi_memmove4(void *to, const void *from, size_t n) RS_SAME_AS("memmove");
void *__aeabi_memmove8(void *to, const void *from, size_t n) RS_SAME_AS("memmove");
void *__aeabi_memset(void *to, size_t n, int value);
void *__aeabi_memset4(void *to, size_t n, int value) RS_SAME_AS("__aeabi_memset");
void *__aeabi_memset8(void *to, size_t n, int value) RS_SAME_AS("__aeabi_memset");
void *__aeabi_memclr(void *to, size_t n);
void *__aeabi_memclr4(void *to, size_t n) RS_SAME_AS("__aeabi_memclr");
void *__aeabi_memclr8(void *to, size_t n) RS_SAME_AS("__aeabi_memclr");

RS_WEAK void *__aeabi_memset(void *to, size_t n, int value)
{
    return rs_set(to, n, value);
}

RS_WEAK void *__aeabi_memclr(void *to, size_t n)
{
    return rs_set(to, n, 0);
}
#endif
