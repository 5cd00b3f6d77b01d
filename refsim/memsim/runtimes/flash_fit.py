"""The bytes of each runtime's code from published flash, and what the number is worth on figures not used.

One constant a runtime: the mean, over networks, of the published flash less the network's data as the runtime's model
counts it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from refsim.memsim.runtimes.footprint import KIB, Footprint


@dataclass(frozen=True, slots=True)
class Row:
    """A network's published flash, and its data in a runtime's form, in bytes."""

    name: str
    flash: float
    data: int

    def error(self, code: float) -> float:
        """(estimate - published) / published."""
        return (self.data + code) / self.flash - 1


def row(name: str, found: Footprint, flash_kib: float) -> Row:
    return Row(name, flash_kib * KIB, found.flash - found.flash_parts["code"])


def fit(rows: Sequence[Row]) -> float:
    """Bytes of code."""
    return sum(r.flash - r.data for r in rows) / len(rows)


def leave_one_out(rows: Sequence[Row]) -> Mapping[str, float]:
    """For each row, its relative error under the fit to all the others."""
    return {r.name: r.error(fit([other for other in rows if other is not r])) for r in rows}


def lines(rows: Sequence[Row]) -> Iterator[str]:
    """A table for people: fitted and left-out errors."""
    code, left_out = fit(rows), leave_one_out(rows)
    yield f"code {code:,.0f} bytes"
    for r in rows:
        errors = f"fitted {r.error(code):+6.2%}, left out {left_out[r.name]:+6.2%}"
        yield f"{r.name:22} published {r.flash / KIB:5.0f} KiB, data {r.data / KIB:6.1f} KiB, {errors}"
