"""How often each block of code ran, and came after which."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

Int64s = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Counts:
    """Executions so far: columns by block id, and by edge id. A later snapshot minus an earlier one: what ran between.

    Every execution of a block is on one edge that enters it and on one that leaves it.
    """

    start: Int64s  # address
    size: Int64s  # bytes
    length: Int64s  # instructions
    count: Int64s  # times entered
    before: Int64s  # block id; 0: a call began
    block: Int64s  # block id; 0: a call ended
    times: Int64s  # that `block` came after `before`

    def __sub__(self, earlier: Counts) -> Counts:
        count, times = self.count.copy(), self.times.copy()
        count[: len(earlier.count)] -= earlier.count
        times[: len(earlier.times)] -= earlier.times
        return replace(self, count=count, times=times)

    @property
    def instructions(self) -> int:
        """Instructions of all executions, those that an IT block skips included."""
        return int((self.count * self.length).sum())

    @property
    def falls(self) -> NDArray[np.bool_]:
        """Whether an edge goes to where its first block ends in memory."""
        found: NDArray[np.bool_] = self.start[self.block] == (self.start + self.size)[self.before]
        return found & (self.before > 0) & (self.block > 0)
