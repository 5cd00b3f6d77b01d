"""Synthetic chains of operators with skips, of any length, for measuring how planning scales."""

from __future__ import annotations

from refsim.builder import Builder
from refsim.graph import Graph
from refsim.memsim.plan import LiveRange

SHORT, LONG = (7, 4), (10, 50)  # every n-th tensor is read again so many operators later
WIDTHS = (8, 24, 16, 8, 32)  # channels, in turn


def live_ranges(count: int, every: int = LONG[0], later: int = LONG[1]) -> tuple[LiveRange, ...]:
    """Each tensor is read by the next operator, some of them again later. 10,000 to 60,000 bytes each."""

    def last(n: int) -> int:
        reads = (n + 1, n + SHORT[1] if n % SHORT[0] == 0 else 0, n + later if n % every == 0 else 0)
        return min(max(reads), count)

    return tuple(LiveRange(f"t{n}", 10_000 + 50_000 * (n * 7919 % 997) // 997, n, last(n)) for n in range(count))


def network(count: int) -> Graph:
    """1x1 convolutions, and ADD where a tensor is read again."""
    b, quant = Builder(f"chain-{count}"), (0.05, 0)
    tensors = [b.input((1, 8, 8, WIDTHS[0]), quant)]
    while len(tensors) <= count:
        n, x = len(tensors), tensors[-1]
        source = next((n - later for every, later in (LONG, SHORT) if n >= later and (n - later) % every == 0), None)
        if source is not None and tensors[source].shape == x.shape:
            tensors.append(b.add(x, tensors[source], quant=quant))
        else:
            tensors.append(b.conv2d(x, WIDTHS[n % len(WIDTHS)], quant=quant))
    return b.build(tensors[-1])
