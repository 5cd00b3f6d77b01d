/* The window of a pooling operator: which taps of an output pixel lie inside the input. */
#ifndef RS_POOL_H
#define RS_POOL_H

#include "rs_place.h"

/* Half-open interval of input positions. */
struct rs_taps {
    int32_t begin, end;
};

RS_INLINE struct rs_taps rs_taps_of(int32_t output, int32_t size, int32_t stride, int32_t before, int32_t length)
{
    const int32_t first = output * stride - before;
    struct rs_taps taps = {first < 0 ? 0 : first, first + size};
    if (taps.end > length) {
        taps.end = length;
    }
    return taps;
}

#endif
