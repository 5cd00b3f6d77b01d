/* A number counted over the batch as an image and a position in it. */
#ifndef RS_PLACE_H
#define RS_PLACE_H

#include "rs_view.h"

struct rs_place {
    int32_t outer, inner;
};

/* Moves on until inner < size. The empty statement keeps compilers from turning the loop into a division, which a
 * Cortex-M0+ would have to call. */
RS_INLINE struct rs_place rs_place_at(struct rs_place at, int32_t size)
{
    for (; at.inner >= size; at.inner -= size) {
        at.outer++;
        __asm__("" : "+r"(at.outer));
    }
    return at;
}

RS_INLINE struct rs_place rs_place_of(int32_t position, int32_t size)
{
    const struct rs_place at = {0, position};
    return rs_place_at(at, size);
}

#endif
