"""Bytes of a tensor that is consumed row by row are free before its last row is: others may reach into them.

Where j is written while i is still being read, j may lie lower than i and grow into the rows of i that are dead. How
far follows from the steps alone: at each write of j, what it has written so far must end before the first byte of i
that this step or a later one still reads.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate

from refsim.memsim.plan import LiveRange, Slack, meetings
from refsim.memsim.program import Program, Step, View


@dataclass(slots=True)
class _Traffic:
    """Of one buffer, by the ordinal of the step as executed: bytes written so far, first byte still read."""

    written: dict[int, int]
    needed: dict[int, int]


def slack_of(program: Program, ranges: Sequence[LiveRange]) -> Slack:
    """(i, j) -> how much higher than j range i has to begin, for pairs that gain by it (`plan.Slack`)."""
    steps = list(program.steps())
    traffic = _traffic(program, steps)
    shrinking = {i: _Dead.of(traffic[i].needed) for i in range(len(ranges)) if len(traffic[i].needed) > 1}
    found: dict[tuple[int, int], int] = {}
    for i, others in enumerate(meetings(ranges)):
        if i in shrinking:
            for j in others:
                distance = _distance(program, traffic[i], traffic[j], shrinking[i], j)
                if distance is not None and distance < ranges[j].nbytes:
                    found[i, j] = distance
    return found


def _traffic(program: Program, steps: list[Step]) -> list[_Traffic]:
    traffic = [_Traffic({}, {}) for _ in program.buffers]
    graph = program.graph
    for at, step in enumerate(steps):
        call = graph.call(graph.nodes[step.node])
        for index, view in enumerate(step.reads):
            if view is not None:
                rows = graph.nodes[step.node].operator.input_rows(call, index, step.rows)
                if rows[0] == rows[1]:
                    continue
                needed = traffic[view.buffer].needed
                needed[at] = min(needed.get(at, program.buffers[view.buffer].nbytes), _start(view, rows[0]))
        for view in step.writes:
            written = traffic[view.buffer].written  # several outputs may lie in one buffer
            written[at] = max(written.get(at, 0), _end(program, view, step.rows[1]))
        if step.scratch is not None:
            traffic[step.scratch].written[at] = program.buffers[step.scratch].nbytes
    for view in program.outputs:
        traffic[view.buffer].needed[len(steps)] = 0
    return traffic


def _start(view: View, row: int) -> int:
    """First byte of the buffer that rows from `row` on lie in; a ring's lie anywhere."""
    return 0 if view.ring_rows else view.offset + (row - view.first_row) * view.row_stride


def _end(program: Program, view: View, rows: int) -> int:
    whole = program.buffers[view.buffer].nbytes
    if view.ring_rows and rows - view.first_row > view.ring_rows:
        return whole
    return min(whole, view.offset + (rows - view.first_row) * view.row_stride)


@dataclass(frozen=True, slots=True)
class _Dead:
    """Of one buffer, for the steps that read it: the first byte that this one or a later one reads."""

    steps: tuple[int, ...]
    first: tuple[int, ...]

    @classmethod
    def of(cls, needed: dict[int, int]) -> _Dead:
        steps = sorted(needed)
        return cls(tuple(steps), tuple(accumulate((needed[at] for at in reversed(steps)), min))[::-1])

    def below(self, step: int) -> int:
        """The first byte that this step or a later one reads; a number larger than any buffer when none does."""
        place = bisect_left(self.steps, step)
        return self.first[place] if place < len(self.first) else 1 << 40


def _distance(program: Program, i: _Traffic, j: _Traffic, dead: _Dead, number: int) -> int | None:
    """How much higher than j buffer i has to begin; None where j holds something before i is complete."""
    complete = max(i.written, default=-1)
    if any(view.buffer == number for view in program.inputs) or min(j.written, default=complete) <= complete:
        return None
    return max(_reaches(j, dead), default=None)


def _reaches(j: _Traffic, dead: _Dead) -> Iterator[int]:
    end = 0
    for at in sorted(j.written):
        end = max(end, j.written[at])
        yield end - dead.below(at)
