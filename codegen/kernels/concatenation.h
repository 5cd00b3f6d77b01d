/* CONCATENATION of up to 16 inputs. Rows of y come in groups; input i gives, of each group, `rows<i>` rows from
 * `start<i>` on, and there, of each block of `pitch` bytes, `run<i>` bytes at `offset<i>`. */
#ifndef RS_CONCATENATION_H
#define RS_CONCATENATION_H

#include "rs_copy.h"

/* x<i>: a computed input, or w<i>: a constant one, its rows one after another. */
#define RS_PART(i)                                                                                                     \
    struct rs_view x##i;                                                                                               \
    const int8_t *w##i;                                                                                                \
    int32_t start##i, rows##i, offset##i, run##i;

struct rs_concatenation {
    struct rs_view y;
    int32_t groups; /* of rows of y */
    int32_t group;  /* rows of y each */
    int32_t blocks; /* in a row */
    int32_t pitch;  /* bytes of y a block */
    RS_PART(0) RS_PART(1) RS_PART(2) RS_PART(3) RS_PART(4) RS_PART(5) RS_PART(6) RS_PART(7)
    RS_PART(8) RS_PART(9) RS_PART(10) RS_PART(11) RS_PART(12) RS_PART(13) RS_PART(14) RS_PART(15)
};
#undef RS_PART

/* One row of an input into its places in a row of y. */
RS_INLINE void rs_concatenation_row(int8_t *y, const int8_t *x, int32_t blocks, int32_t pitch, int32_t run)
{
    int32_t block;
#pragma GCC unroll 1
    for (block = 0; block < blocks; block++) {
        rs_copy(y, x, run);
        y += pitch;
        x += run;
    }
}

#define RS_PART(i)                                                                                                     \
    if (p.rows##i > 0) {                                                                                               \
        const int32_t first = group * p.group + p.start##i;                                                            \
        const int32_t low = first > row_begin ? first : row_begin;                                                     \
        const int32_t high = first + p.rows##i < row_end ? first + p.rows##i : row_end;                                \
        int32_t row;                                                                                                   \
        _Pragma("GCC unroll 1")                                                                                        \
        for (row = low; row < high; row++) {                                                                           \
            const int32_t in_row = group * p.rows##i + row - first;                                                    \
            const int8_t *x = p.w##i ? p.w##i + in_row * p.blocks * p.run##i : rs_row(p.x##i, in_row);                 \
            rs_concatenation_row(rs_row(p.y, row) + p.offset##i, x, p.blocks, p.pitch, p.run##i);                      \
        }                                                                                                              \
    }

RS_INLINE void rs_concatenation(const struct rs_concatenation p, int32_t row_begin, int32_t row_end)
{
    int32_t group;
#pragma GCC unroll 1
    for (group = 0; group < p.groups; group++) {
        RS_PART(0) RS_PART(1) RS_PART(2) RS_PART(3) RS_PART(4) RS_PART(5) RS_PART(6) RS_PART(7)
        RS_PART(8) RS_PART(9) RS_PART(10) RS_PART(11) RS_PART(12) RS_PART(13) RS_PART(14) RS_PART(15)
    }
}
#undef RS_PART

#endif
