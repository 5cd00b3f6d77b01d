"""Whole numbers out of parts, so that the parts still sum to the total."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence


def whole(parts: Iterable[int], unit: int) -> Iterator[int]:
    """Parts in `unit`s: each is where the running sum has come to since the last one, rounded down."""
    running = 0
    for part in parts:
        before, running = running, running + part
        yield running // unit - before // unit


def shared(total: int, weights: Sequence[int]) -> list[int]:
    """`total` in proportion to weights, none negative and one above 0; what rounding leaves goes to the largest
    remainders, the first of equal ones."""
    every = sum(weights)
    parts = [total * weight // every for weight in weights]
    order = sorted(range(len(weights)), key=lambda n: -(total * weights[n] % every))
    for n in order[: total - sum(parts)]:
        parts[n] += 1
    return parts
