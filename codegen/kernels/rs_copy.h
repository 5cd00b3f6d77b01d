/* Moving bytes, and finding a row's place in a shape without a division. */
#ifndef RS_COPY_H
#define RS_COPY_H

#include "rs_view.h"

RS_INLINE void rs_copy(int8_t *to, const int8_t *from, int32_t bytes)
{
    __builtin_memcpy(to, from, (uint32_t)bytes);
}

RS_INLINE void rs_fill(int8_t *to, int32_t value, int32_t bytes)
{
    __builtin_memset(to, value, (uint32_t)bytes);
}

/* n / d and, in `*remainder`, n % d; one bit at a time, for the few divisions at a kernel's start. 0 < d < 2^31. */
RS_INLINE int32_t rs_divide(int32_t n, int32_t d, int32_t *remainder)
{
    uint32_t quotient = 0, rest = 0;
    int32_t bit;
#pragma GCC unroll 1
    for (bit = n == 0 ? -1 : 31; bit >= 0; bit--) {
        rest = (rest << 1) | (((uint32_t)n >> bit) & 1u);
        quotient <<= 1;
        if (rest >= (uint32_t)d) {
            rest -= (uint32_t)d;
            quotient |= 1u;
        }
    }
    *remainder = (int32_t)rest;
    return (int32_t)quotient;
}

#endif
