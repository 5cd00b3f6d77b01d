/* Views: how a kernel finds the rows of a tensor in the arena.
 *
 * A row is one line of H of an NHWC tensor (all of W and C), counted over the batch; for tensors of other ranks it is
 * one run of the last axis. Every kernel takes an interval of output rows. */
#ifndef RS_VIEW_H
#define RS_VIEW_H

#include <stdint.h>

#if defined(__GNUC__)
#define RS_INLINE static inline __attribute__((always_inline))
#if defined(__clang__)
#define RS_LAYER __attribute__((noinline))
/* Takes from clang where a pointer comes from: it would mix offsets in the arena into loops, which costs registers. */
#define RS_FORGET(pointer) __asm__("" : "+r"(pointer))
#else
#define RS_FORGET(pointer)
/* noipa, because GCC 12 can drop the call of a layer: where two views share the arena pointer with different strides, a
 * store may be rewritten as an offset from address 0, and the function then looks pure. Seen on DEQUANTIZE. */
#define RS_LAYER __attribute__((noipa))
#endif
#else
#error "refsim's kernels need GCC or clang"
#endif

/* Put into a loop that subtracts: compilers turn such loops into divisions, which Armv6-M does not have. */
#define RS_KEEP_LOOP(value) __asm__("" : "+r"(value))

struct rs_view {
    int8_t *data;       /* where row `first_row` lies (ring: where row 0, ring_rows, ... lie) */
    int32_t row_stride; /* bytes from a row to the next; at least a row's own bytes */
    int32_t ring_rows;  /* 0: all rows are there; else row r lies at slot (r - first_row) mod ring_rows */
    int32_t first_row;  /* the first row that the view holds */
};

/* The value itself, which the compiler knows nothing about: a loop that subtracts it stays a loop, not a division. */
RS_INLINE int32_t rs_opaque(int32_t value)
{
    __asm__("" : "+r"(value));
    return value;
}

/* Where a row lies, counted in rows. The remainder is exact while (row - first_row) * ring_rows < 65536, which the
 * Program's verifier checks; no target needs a division. */
RS_INLINE int32_t rs_slot(const struct rs_view v, int32_t row)
{
    uint32_t index = (uint32_t)(row - v.first_row);
    if (v.ring_rows != 0) {
        const uint32_t ring = (uint32_t)v.ring_rows;
        const uint32_t reciprocal = (65535u + ring) / ring; /* literal: folded by the compiler */
        index -= ((index * reciprocal) >> 16) * ring;
    }
    return (int32_t)index;
}

/* Address of a row. With a literal view this folds into base + row * stride. */
RS_INLINE int8_t *rs_row(const struct rs_view v, int32_t row)
{
    return v.data + rs_slot(v, row) * v.row_stride;
}

#endif
