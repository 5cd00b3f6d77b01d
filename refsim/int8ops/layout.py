"""Any shape of up to four axes as [N, H, W, C], so that rows are N * H and a row is W * C (see Tensor.rows), and where
the elements of one tensor lie in the rows of another."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from refsim.errors import UnsupportedError
from refsim.graph import Rows, Shape, Tensor, Window

Four = tuple[int, int, int, int]
# Where the axes of a shape go; W stays 1 unless there are four, because only then a row has two axes.
PLACES: tuple[tuple[int, ...], ...] = ((), (3,), (1, 3), (0, 1, 3), (0, 1, 2, 3))


def places(rank: int) -> tuple[int, ...]:
    """Axis of the shape -> axis of [N, H, W, C]."""
    if rank >= len(PLACES):
        raise UnsupportedError(f"a tensor of {rank} axes: expected {len(PLACES) - 1} at most")
    return PLACES[rank]


def four(shape: Shape) -> Four:
    """The shape with axes of one element put in."""
    return spread(shape, len(shape), 1)


def spread(values: tuple[int, ...], rank: int, absent: int) -> Four:
    """One value an axis, moved to the axes of [N, H, W, C]; `absent` for those that the shape lacks."""
    placed = dict(zip(places(rank), values, strict=True))
    n, h, w, c = (placed.get(axis, absent) for axis in range(4))
    return n, h, w, c


@dataclass(frozen=True, slots=True)
class Walk:
    """Where the elements of y lie in x: what one step along each axis [N, H, W, C] of y moves there."""

    lengths: Four  # of y
    rows: Four  # rows of x
    columns: Four  # elements within a row of x
    first_row: int  # of x, where y begins
    first_column: int  # and the element in that row

    def rows_of(self, rows: Rows) -> Rows:
        """From the first to the last row of x that rows `rows` of y touch; those between need not all be."""
        if rows[0] >= rows[1]:
            return (0, 0)
        n, h = np.divmod(np.arange(*rows), self.lengths[1])
        first = self.first_row + n * self.rows[0] + h * self.rows[1]
        within = [(self.lengths[axis] - 1) * self.rows[axis] for axis in (2, 3)]
        return int(first.min()) + sum(min(0, d) for d in within), int(first.max()) + sum(max(0, d) for d in within) + 1

    def literals(self, itemsize: int) -> Mapping[str, int]:
        """Fields of `struct rs_transpose`: elements that are neighbours in both tensors move as one run."""
        (_, h, w, c), size = self.lengths, itemsize
        lengths, run = [w, c], size
        for axis, length in ((3, c), (2, w)):
            together = length == 1 or (self.rows[axis] == 0 and self.columns[axis] * size == run)
            if not together:
                break
            run, lengths[axis - 2] = run * length, 1
        return {
            **{"out_h": h, "out_w": lengths[0], "out_c": lengths[1], "run": run},
            **{f"rows_{axis}": step for axis, step in zip("nhwc", self.rows, strict=True)},
            **{f"bytes_{axis}": step * size for axis, step in zip("nhwc", self.columns, strict=True)},
        }


def walk(x: Shape, y: Shape, axes: Sequence[int], begin: Shape | None = None, strides: Shape | None = None) -> Walk:
    """Axis k of y runs along axis axes[k] of x; `begin` and `strides` are given for each axis of x (else 0 and 1)."""
    at, rank = places(len(x)), len(x)
    _, in_h, _, in_c = four(x)
    rows, columns = (in_h, 1, 0, 0), (0, 0, in_c, 1)
    origin, step = begin or (0,) * rank, strides or (1,) * rank
    moved = [(rows[at[axis]] * step[axis], columns[at[axis]] * step[axis]) for axis in axes]
    return Walk(
        four(y),
        spread(tuple(row for row, _ in moved), len(y), 0),
        spread(tuple(column for _, column in moved), len(y), 0),
        sum(rows[at[axis]] * origin[axis] for axis in range(rank)),
        sum(columns[at[axis]] * origin[axis] for axis in range(rank)),
    )


def window(part: Tensor, whole: Tensor, begin: Shape, sizes: Shape) -> Window | None:
    """Where `part` lies inside `whole`, of which it is `sizes` elements from `begin` on, in order.

    None unless each row of the part is one run of bytes inside one row of the whole, row after row.
    """
    rank = len(whole.shape)
    outer = 2 if rank == 4 else max(rank - 1, 0)  # axes that count rows
    row = _start(whole.shape[:outer], begin[:outer], sizes[:outer])
    column = _start(whole.shape[outer:], begin[outer:], sizes[outer:])
    if row is None or column is None or part.rows != math.prod(sizes[:outer]):
        return None
    return Window(row, column * whole.itemsize)


def _start(shape: Shape, begin: Shape, sizes: Shape) -> int | None:
    """Place of the first of these elements in row-major order; None when others lie between them."""
    widest = next((axis for axis, size in enumerate(sizes) if size > 1), len(sizes))
    if sizes[widest + 1 :] != shape[widest + 1 :]:
        return None
    start = 0
    for length, first in zip(shape, begin, strict=True):
        start = start * length + first
    return start
