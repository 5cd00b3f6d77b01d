"""Any shape of up to four axes as [N, H, W, C], so that rows are N * H and a row is W * C (see Tensor.rows)."""

from __future__ import annotations

from refsim.errors import UnsupportedError
from refsim.graph import Shape

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
