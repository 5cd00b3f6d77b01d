"""What each chain of calls cost: the passages of a call tree at the prices of the timing.

What the pipeline costs is exact for each chain, as each passage is priced in the context that it ran in. What memory
adds is known by instruction: where several chains ran an instruction it is shared out by how often each ran it, and
whole units are given to the largest remainders. So the chains sum to the costs of their span, to the unit.
"""

from __future__ import annotations

import bisect
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from emulator.call_tree import Contexts
from emulator.counts import Counts, Int64s
from emulator.image import Symbol
from emulator.rounding import shared
from emulator.timing import Snapshot, Timing

UNKNOWN = Symbol("unknown", 0, 0)
Path = tuple[Symbol, ...]  # from the function that was called first to the one that ran


@dataclass(frozen=True, slots=True, eq=False)
class Moment:
    """All that was counted at one time, with its contexts. A later one minus an earlier one: what happened between."""

    snapshot: Snapshot
    contexts: Contexts

    def __sub__(self, earlier: Moment) -> Moment:
        return Moment(self.snapshot - earlier.snapshot, self.contexts - earlier.contexts)


@dataclass(frozen=True, slots=True, eq=False)
class Chains:
    """What a span cost, columns by chain of calls: units, how often its last function was called, instructions."""

    units: Int64s
    calls: Int64s
    instructions: Int64s


class Stacks:
    """The chains of one run: `paths` in the order in which they first ran, all behind the function that was called.

    `whole` is all that happened in the run, `functions` by rising address.
    """

    def __init__(self, clock: Timing, whole: Moment, functions: Sequence[Symbol]) -> None:
        self._counts = whole.snapshot.counts
        self._unseen = np.flatnonzero(_missing(whole, self._counts.times.size))
        passages = _with_unseen(whole.contexts, self._counts, self._unseen)
        naming = _Naming(passages, self._counts, functions)
        chains = [naming.chains(p) for p in range(passages.edge.size)]
        self._left, self._entered = np.array(chains, np.int64).reshape(-1, 2).T
        self.paths: tuple[Path, ...] = naming.paths
        self._begins = naming.begins()
        self._edge = passages.edge
        sides = clock.by_side(self._counts)
        self._leaving, self._entering = (side[self._edge] for side in sides)
        self._length = self._counts.length[self._counts.block[self._edge]]
        self._waits = _Waits(clock, whole.snapshot, self._counts.block[self._edge], self._entered)

    def spent(self, span: Moment) -> Chains:
        """What a span of the run cost each chain."""
        times = np.zeros(self._edge.size, np.int64)
        times[: span.contexts.times.size] = span.contexts.times
        if self._unseen.size:
            times[-self._unseen.size :] = _missing(span, self._counts.times.size)[self._unseen]
        units, calls, instructions = np.zeros((3, len(self.paths)), np.int64)
        np.add.at(units, self._left, times * self._leaving)
        np.add.at(units, self._entered, times * self._entering)
        np.add.at(calls, self._entered, times * self._begins)
        np.add.at(instructions, self._entered, times * self._length)
        self._waits.add(span.snapshot, times, units)
        return Chains(units, calls, instructions)


def _missing(span: Moment, edges: int) -> Int64s:
    """Passages by edge that the tree has not: out of last blocks, to exceptions too, and what found no room."""
    found = np.zeros(edges, np.int64)
    found[: span.snapshot.counts.times.size] = span.snapshot.counts.times
    np.subtract.at(found, span.contexts.edge, span.contexts.times)
    return found


def _with_unseen(contexts: Contexts, counts: Counts, edges: Int64s) -> Contexts:
    """With passages over these edges, in the contexts that the blocks that they leave ran in most."""
    where = np.full(edges.size, contexts.last)
    for n, before in enumerate(counts.before[edges].tolist()):
        into = np.flatnonzero(counts.block[contexts.edge] == before)
        if into.size:
            where[n] = contexts.entered[into[contexts.times[into].argmax()]]
    left, edge, entered, times = (
        np.concatenate([column, more])
        for column, more in zip(
            (contexts.left, contexts.edge, contexts.entered, contexts.times),
            (where, edges, where, np.zeros_like(edges)),
            strict=True,
        )
    )
    return replace(contexts, left=left, edge=edge, entered=entered, times=times)


class _Naming:
    """Names the chains of a tree's passages by functions."""

    def __init__(self, passages: Contexts, counts: Counts, functions: Sequence[Symbol]) -> None:
        self.passages, self.counts, self.functions = passages, counts, functions
        starts = [f.address for f in functions]
        self.function = [bisect.bisect_right(starts, a) - 1 for a in counts.start.tolist()]  # of a block; -1 unknown
        self.numbers: dict[tuple[int, ...], int] = {}
        self.known: dict[tuple[int, int], tuple[int, ...]] = {}
        self.root = self.function[int(counts.block[passages.edge[0]])] if passages.edge.size else -1

    def chains(self, passage: int) -> tuple[int, int]:
        """Numbers of the chains that a passage leaves and enters; where a call begins or ends they are one."""
        p, edge = self.passages, self.passages.edge[passage]
        before, block = int(self.counts.before[edge]), int(self.counts.block[edge])
        left = self.path(int(p.left[passage]), self.function[before or block])
        entered = self.path(int(p.entered[passage]), self.function[block or before])
        first, second = (self.numbers.setdefault(path, len(self.numbers)) for path in (left, entered))
        return first, second

    def path(self, node: int, function: int) -> tuple[int, ...]:
        """The chain of `function` in a node. What runs there is what was called, or what that jumped to."""
        if node == 0:
            return (self.root,) if function == self.root else (self.root, function)
        if (node, function) not in self.known:
            edge = self.passages.call[node]
            caller, called = (self.function[int(s[edge])] for s in (self.counts.before, self.counts.block))
            above = self.path(int(self.passages.parent[node]), caller)
            back = function == caller != called  # it went back to its caller, but not by the address behind the call
            self.known[node, function] = above if back else (*above, function)
        return self.known[node, function]

    @property
    def paths(self) -> tuple[Path, ...]:
        return tuple(tuple(self.functions[f] if f >= 0 else UNKNOWN for f in path) for path in self.numbers)

    def begins(self) -> Int64s:
        """1 for passages that begin a function: by a call, or by a jump out of another one."""
        p, counts = self.passages, self.counts
        before, block = counts.before[p.edge], counts.block[p.edge]
        function = np.array(self.function, np.int64)
        firsts = np.array([f.address for f in self.functions] + [-1], np.int64)
        at_first = counts.start[block] == firsts[function[block]]
        other = (p.left != p.entered) | (function[before] != function[block]) | (before == 0)
        return np.asarray(at_first & other & (block > 0), np.int64)


class _Waits:
    """Shares what is known by instruction only among the chains that ran the instruction."""

    def __init__(self, clock: Timing, whole: Snapshot, block: Int64s, chain: Int64s) -> None:
        """`block` and `chain`: what each passage enters."""
        self.clock, self.chain = clock, chain
        self.addresses = np.unique(clock.waits(whole)[0])
        self.passages = [self._running(a, whole.counts, block) for a in self.addresses.tolist()]
        single = [np.unique(chain[p]) for p in self.passages]
        self.owner = np.array([int(c[0]) if c.size == 1 else 0 if c.size == 0 else -1 for c in single], np.int64)

    def _running(self, address: int, counts: Counts, block: Int64s) -> Int64s:
        """Passages into blocks that hold the instruction at `address`."""
        holding = (counts.start <= address) & (address < counts.start + counts.size)
        return np.flatnonzero(holding[block])

    def add(self, span: Snapshot, times: Int64s, units: Int64s) -> None:
        """Add the span's waits to `units` by chain; `times` by passage."""
        addresses, more = self.clock.waits(span)
        waits = np.zeros(self.addresses.size, np.int64)
        np.add.at(waits, np.searchsorted(self.addresses, addresses), more)
        alone = self.owner >= 0
        np.add.at(units, self.owner[alone], waits[alone])
        for place in np.flatnonzero(~alone & (waits != 0)):
            for chain, part in self._parts(int(place), int(waits[place]), times):
                units[chain] += part

    def _parts(self, place: int, waits: int, times: Int64s) -> Iterator[tuple[int, int]]:
        passages = self.passages[place]
        ran = times[passages]
        if not ran.any():  # its block was entered before this span
            ran = np.ones_like(ran)
        return zip(self.chain[passages].tolist(), shared(waits, ran.tolist()), strict=True)
