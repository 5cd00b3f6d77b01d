/* Any operator from byte to byte, element by element: y = table[x]. */
#ifndef RS_LOOKUP_H
#define RS_LOOKUP_H

#include "rs_view.h"

struct rs_lookup {
    struct rs_view x, y;
    const int8_t *table; /* 256 results, by the unsigned value of the input byte */
    int32_t row_bytes;   /* of x and of y */
};

RS_INLINE void rs_lookup(const struct rs_lookup p, int32_t row_begin, int32_t row_end)
{
    int32_t row;
#pragma GCC unroll 1
    for (row = row_begin; row < row_end; row++) {
        const uint8_t *x = (const uint8_t *)rs_row(p.x, row);
        int8_t *y = rs_row(p.y, row);
        int32_t left = p.row_bytes;
#pragma GCC unroll 1
        for (; left >= 4; left -= 4, x += 4, y += 4) {
            const int8_t a = p.table[x[0]], b = p.table[x[1]], c = p.table[x[2]], d = p.table[x[3]];
            y[0] = a;
            y[1] = b;
            y[2] = c;
            y[3] = d;
        }
#pragma GCC unroll 1
        for (; left > 0; left--) {
            *y++ = p.table[*x++];
        }
    }
}

#endif
