/* Operands of an elementwise operator with broadcasting: where the bytes for an output row lie. */
#ifndef RS_ELEMENTWISE_H
#define RS_ELEMENTWISE_H

#include "rs_place.h"

/* How an operand moves with the output position: its row is outer * row_outer + inner * row_inner + pixel * row_pixel,
 * the byte in that row pixel * pixel_bytes + channel * step. */
struct rs_moves {
    int32_t row_outer, row_inner, row_pixel, pixel_bytes;
};

/* First byte of an operand for one pixel of an output row. A constant operand has no view: its rows are dense. */
RS_INLINE const int8_t *rs_operand(const struct rs_view x, const int8_t *constant, int32_t constant_row_bytes,
                                   const struct rs_moves m, const struct rs_place at, int32_t pixel)
{
    const int32_t row = at.outer * m.row_outer + at.inner * m.row_inner + pixel * m.row_pixel;
    const int8_t *line = constant ? constant + row * constant_row_bytes : rs_row(x, row);
    return line + pixel * m.pixel_bytes;
}

#endif
