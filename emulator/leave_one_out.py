"""How well the fitted parameters carry over: each network is predicted from a fit to the others.

Cycles are linear in a wait and in a cost of so many cycles, so one more run of each row per parameter gives its slope,
and a refit needs no emulation. The fit is least squares of relative errors, each parameter within the values that a
datasheet could hold (`refsim.fitted.Fitted`), by coordinate descent, which for this convex problem with bounds on
single coordinates ends in the minimum (P. Tseng, Convergence of a block coordinate descent method, 2001). It begins in
the middle of the ranges, so that what the other networks do not decide stays there.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from refsim.fitted import Fitted

Floats = NDArray[np.float64]
ROUNDS = 10_000
SETTLED = 1e-12  # of a parameter's range


@dataclass(frozen=True, slots=True)
class Response:
    """A row that was measured: its estimate, and by how many cycles that rises with a unit of each parameter."""

    board: str
    network: str
    measured: int
    estimate: int
    slopes: Mapping[Hashable, float]

    @property
    def family(self) -> str:
        """A network's name without its build: `ad_max` is `ad` with its weights elsewhere."""
        return self.network.partition("_")[0]


def refit(rows: Sequence[Response], fitted: Mapping[Hashable, Fitted], now: Mapping[Hashable, float]) -> list[float]:
    """The parameters' values that meet these rows best, in the order of `fitted`; estimates were made with `now`."""
    slopes = np.array([[row.slopes.get(key, 0.0) / row.measured for key in fitted] for row in rows])
    slopes = slopes.reshape(len(rows), len(fitted))
    errors = np.array([row.estimate / row.measured - 1 for row in rows])
    low, high = (np.array([getattr(f, end) for f in fitted.values()], float) for end in ("low", "high"))
    start = np.array([now[key] for key in fitted])
    rest = errors - slopes @ start
    for n in sorted(range(len(fitted)), key=lambda n: -_coarseness(list(fitted.values())[n])):
        best = _descended(slopes, rest, low, high)[n]
        low[n] = high[n] = _nearest(list(fitted.values())[n], best)  # the finer ones then make up for its rounding
    return [float(v) for v in low]


def _coarseness(f: Fitted) -> float:
    return f.step / max(f.high - f.low, f.step)


def _nearest(f: Fitted, value: float) -> float:
    """The value of the parameter's steps that is nearest."""
    return min(max(f.low + round((value - f.low) / f.step) * f.step, f.low), f.high)


def _descended(slopes: Floats, rest: Floats, low: Floats, high: Floats) -> Floats:
    """The values within [low, high] for which slopes @ values + rest is smallest in squares."""
    values = (low + high) / 2
    weights = (slopes**2).sum(axis=0)
    for _ in range(ROUNDS):
        moved = 0.0
        for n in np.flatnonzero(weights):
            gradient = slopes[:, n] @ (slopes @ values + rest)
            better = min(max(values[n] - gradient / weights[n], low[n]), high[n])
            moved = max(moved, abs(better - values[n]) / max(high[n] - low[n], 1e-9))
            values[n] = better
        if moved < SETTLED:
            break
    return values


def predicted(
    row: Response, fitted: Mapping[Hashable, Fitted], now: Mapping[Hashable, float], values: Sequence[float]
) -> float:
    """The row's cycles with other values of the parameters."""
    change = sum(row.slopes.get(key, 0.0) * (v - now[key]) for key, v in zip(fitted, values, strict=True))
    return row.estimate + change


def errors_pct(
    rows: Sequence[Response], fitted: Mapping[Hashable, Fitted], now: Mapping[Hashable, float]
) -> list[float]:
    """The error of each row in percent, with parameters refitted to the rows of the other families."""
    found = []
    for row in rows:
        others = [other for other in rows if other.family != row.family]
        values = refit(others, fitted, now)
        found.append(100 * (predicted(row, fitted, now, values) / row.measured - 1))
    return found
