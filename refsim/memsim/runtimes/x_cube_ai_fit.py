"""The three numbers of x_cube_ai.py from published figures, and what they are worth on figures not used."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from refsim.graph import Graph
from refsim.memsim.runtimes.x_cube_ai import pool_bytes

CANDIDATES = tuple(n / 4 for n in range(25))  # bytes of scratch for each depthwise weight


@dataclass(frozen=True, slots=True)
class Row:
    """A network's published SRAM and its pool for each of CANDIDATES, in bytes."""

    name: str
    sram: float
    pools: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Fit:
    base: float
    growth: float
    bytes_per_weight: float

    def error(self, row: Row) -> float:
        """(estimate - published) / published."""
        return (self.base + self.growth * row.pools[CANDIDATES.index(self.bytes_per_weight)]) / row.sram - 1


def row(name: str, graph: Graph, sram: float) -> Row:
    return Row(name, sram, tuple(pool_bytes(graph, c) for c in CANDIDATES))


def fit(rows: Sequence[Row]) -> Fit:
    """Least squares of the relative errors; the scratch by trying CANDIDATES."""
    fits = [_line(rows, k) for k in range(len(CANDIDATES))]
    return min(fits, key=lambda f: sum(f.error(r) ** 2 for r in rows))


def _line(rows: Sequence[Row], candidate: int) -> Fit:
    sram = np.array([r.sram for r in rows])
    pools = np.array([r.pools[candidate] for r in rows], float)
    base, growth = np.linalg.lstsq(np.stack([1 / sram, pools / sram], 1), np.ones(len(rows)), rcond=None)[0]
    return Fit(float(base), float(growth), CANDIDATES[candidate])


def leave_one_out(rows: Sequence[Row]) -> Mapping[str, float]:
    """For each row, its relative error under the fit to all the others."""
    return {r.name: fit([other for other in rows if other is not r]).error(r) for r in rows}


def lines(rows: Sequence[Row]) -> Iterator[str]:
    """A table for people: fitted and left-out errors, largest and mean."""
    all_rows, left_out = fit(rows), leave_one_out(rows)
    yield f"base {all_rows.base:.0f} bytes, growth {all_rows.growth:.4f}, {all_rows.bytes_per_weight:g} bytes a weight"
    for r in rows:
        errors = f"fitted {all_rows.error(r):+6.1%}, left out {left_out[r.name]:+6.1%}"
        yield f"{r.name:22} published {r.sram / 1024:5.0f} KiB, {errors}"
    sizes = [abs(e) for e in left_out.values()]
    yield f"left out: largest {max(sizes):.1%}, mean {sum(sizes) / len(sizes):.1%}"
