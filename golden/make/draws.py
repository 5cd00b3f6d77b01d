"""Seeded values from raw PCG64 bits and integer arithmetic alone: NumPy promises those bits across versions."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


class Draws:
    """One stream of seeded values."""

    def __init__(self, seed: int) -> None:
        self._bits = np.random.PCG64(seed)

    def integers(self, low: int, high: int, shape: Sequence[int] = (), dtype: str = "int32") -> Array:
        """Integers low..high inclusive: the upper 32 bits of each draw, scaled by multiplication."""
        raw = np.atleast_1d(self._bits.random_raw(max(1, math.prod(shape))))
        scaled = ((raw >> np.uint64(32)) * np.uint64(high - low + 1)) >> np.uint64(32)
        return (scaled.astype(np.int64) + low).astype(dtype).reshape(tuple(shape))

    def int8(self, shape: Sequence[int], low: int = -128) -> Array:
        return self.integers(low, 127, shape, "int8")

    def scale(self, exponent: int) -> float:
        """A float32 in [2**exponent, 2**(exponent+1)) with a random 23-bit fraction."""
        return math.ldexp((1 << 23) + int(self.integers(0, (1 << 23) - 1)), exponent - 23)

    def scales(self, exponent: int, count: int, spread: int = 2) -> tuple[float, ...]:
        """Per-channel scales over `spread` binades from 2**exponent up."""
        return tuple(self.scale(exponent + int(self.integers(0, spread - 1))) for _ in range(count))

    def pick(self, choices: Sequence[Any]) -> Any:
        return choices[int(self.integers(0, len(choices) - 1))]


def input_sets(
    draws: Draws, shapes: Sequence[Sequence[int]], zero_points: Sequence[int], count: int
) -> list[list[Array]]:
    """`count` random sets of int8 inputs, then all -128, all 127 and all at their zero points."""
    sets = [[draws.int8(shape) for shape in shapes] for _ in range(count)]
    edges = [[-128] * len(shapes), [127] * len(shapes), list(zero_points)]
    return sets + [[np.full(s, v, np.int8) for s, v in zip(shapes, edge, strict=True)] for edge in edges]
