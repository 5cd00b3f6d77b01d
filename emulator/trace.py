"""A run over time for Perfetto (ui.perfetto.dev) and chrome://tracing: layers, functions, and the SRAM in use.

Written in the trace event format (Google, "Trace Event Format", 2016): slices "X", a counter "C", times in estimated
microseconds. Within a layer's call the functions stand in the order of their first calls, each once, with all its
calls together: a picture of where time goes, whose size the code decides and not the length of the run. Where a model
has very many kernel calls, those of one layer are told as one as well.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

import numpy as np

from emulator.counts import Int64s
from emulator.observed import Observed, Stage
from emulator.stacks import Chains, Path, Stacks
from emulator.timing import UNITS
from refsim.printable import printable

MOST_EVENTS = 40_000  # some 6 MB
PROCESS, LAYERS, FUNCTIONS = 1, 1, 2  # pid and tids
Event = dict[str, Any]


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """A stage with its price: `times` kernel calls of one layer."""

    name: str
    chains: Chains
    group: int
    live: int | None
    times: int = 1


@dataclass(frozen=True, slots=True)
class Slice:
    """A function from `begin` to `end`, in units since the run began; `own` are those in itself."""

    name: str
    begin: int
    end: int
    own: int
    calls: int


def as_bytes(observed: Observed) -> bytes:
    """The trace as a file."""
    found = trace(observed)
    lines = ",\n".join(json.dumps(event, separators=(",", ":")) for event in found.pop("traceEvents"))
    head = json.dumps(found, separators=(",", ":"))[:-1]
    return f'{head},"traceEvents":[\n{lines}\n]}}\n'.encode()


def trace(observed: Observed) -> dict[str, Any]:
    """The trace as the JSON object that viewers read. The cycles of the layers, and those that functions spend in
    themselves, each sum to the run's."""
    stacks = observed.stacks()
    parts = _parts(observed, stacks)
    clock = observed.board.clock_hz
    scale = 1e6 / UNITS / (clock or 1e6)
    said = "estimated" if clock else "the board has no clock: a cycle is shown as a microsecond"
    other = {
        "board": observed.board.name,
        "clock_hz": clock,
        "cycles": observed.costs.cycles,
        "cycles_error_pct": observed.clock.error_pct,
        "times": said,
    }
    return {"displayTimeUnit": "ms", "otherData": other, "traceEvents": list(_events(observed, stacks, parts, scale))}


def _parts(observed: Observed, stacks: Stacks) -> list[Part]:
    """The priced stages; all of it is one where there are none."""
    assert observed.whole is not None
    stages = observed.stages or (Stage("", observed.whole),)
    parts = [Part(s.name, stacks.spent(s.span), s.group, s.live) for s in stages]
    events = sum(int(np.count_nonzero(p.chains.units)) + 2 for p in parts)
    return parts if events <= MOST_EVENTS else list(_joined(parts))


def _joined(parts: Sequence[Part]) -> Iterator[Part]:
    """Parts of one layer as one, in the order in which the layers of a group begin."""
    together: dict[tuple[int, str], list[Part]] = {}
    for part in parts:
        together.setdefault((part.group, part.name), []).append(part)
    for (group, name), same in together.items():
        columns = [np.sum([getattr(p.chains, c) for p in same], axis=0) for c in ("units", "calls", "instructions")]
        live = [p.live for p in same if p.live is not None]
        yield Part(name, Chains(*columns), group, max(live, default=None), sum(p.times for p in same))


def _events(observed: Observed, stacks: Stacks, parts: Sequence[Part], scale: float) -> Iterator[Event]:
    staged = bool(observed.stages)
    yield _named("process_name", 0, f"{observed.name} on {observed.board.name}")
    if staged:
        yield _named("thread_name", LAYERS, "layers")
    yield _named("thread_name", FUNCTIONS, "functions")
    tree = _Tree(stacks.paths)
    at = 0
    for part, end in zip(parts, accumulate(int(p.chains.units.sum()) for p in parts), strict=True):
        if staged:
            yield _layer(part, at, end, scale)
        if part.live is not None:
            yield _counter("SRAM in use", at, scale, part.live)
        yield from (_function(s, scale) for s in tree.lay_out(part.chains, at))
        at = end
    yield from (_function(s, scale) for s in tree.root(parts, at))
    if staged:
        yield _counter("SRAM in use", at, scale, parts[-1].live or 0)


def _named(kind: str, tid: int, name: str) -> Event:
    return {"ph": "M", "pid": PROCESS, "tid": tid, "name": kind, "args": {"name": printable(name)}}


def _slice(name: str, tid: int, begin: int, end: int, scale: float, args: Mapping[str, Any]) -> Event:
    start, stop = round(begin * scale, 3), round(end * scale, 3)
    place = {"ph": "X", "pid": PROCESS, "tid": tid, "ts": start, "dur": round(stop - start, 3)}
    return {**place, "name": printable(name), "args": dict(args)}


def _layer(part: Part, begin: int, end: int, scale: float) -> Event:
    """Its cycles are whole, from where the run has come to, so that they are those of the layers' table."""
    more = {"kernel_calls": part.times, "instructions": int(part.chains.instructions.sum())}
    live = {} if part.live is None else {"sram_bytes": part.live}
    return _slice(part.name, LAYERS, begin, end, scale, {"cycles": end // UNITS - begin // UNITS, **more, **live})


def _function(s: Slice, scale: float) -> Event:
    """Its cycles are exact, a multiple of 1/256."""
    args = {"cycles": exact(s.end - s.begin), "own_cycles": exact(s.own), "calls": s.calls}
    return _slice(s.name, FUNCTIONS, s.begin, s.end, scale, args)


def _counter(name: str, at: int, scale: float, value: int) -> Event:
    return {"ph": "C", "pid": PROCESS, "name": name, "ts": round(at * scale, 3), "args": {"bytes": value}}


def exact(units: int) -> float:
    """Cycles, whole ones as an integer."""
    return units / UNITS if units % UNITS else units // UNITS


class _Tree:
    """The chains of a run as a tree: a node for each beginning of a chain, callers before what they call."""

    def __init__(self, paths: Sequence[Path]) -> None:
        self.nodes: dict[Path, int] = {}
        self.children: list[list[int]] = []
        self.chain: list[int] = []  # -1: nothing ran in the function itself
        for number, path in enumerate(paths):
            for length in range(1, len(path) + 1):
                self._add(path[:length], number if length == len(path) else -1)
        self.parts = list(self.nodes)

    def _add(self, path: Path, chain: int) -> None:
        known = self.nodes.setdefault(path, len(self.nodes))
        if known == len(self.chain):
            self.children.append([])
            self.chain.append(-1)
            if len(path) > 1:
                self.children[self.nodes[path[:-1]]].append(known)
        self.chain[known] = max(self.chain[known], chain)

    def column(self, values: Int64s) -> list[int]:
        """Values by chain, as values by node."""
        return [int(values[chain]) if chain >= 0 else 0 for chain in self.chain]

    def lay_out(self, chains: Chains, begin: int) -> Iterator[Slice]:
        """What the outermost function called in a part of the run that begins there; its own time comes last."""
        own, calls = self.column(chains.units), self.column(chains.calls)
        total = list(own)
        for node in range(len(total) - 1, -1, -1):
            total[node] += sum(total[child] for child in self.children[node])
        waiting = [(0, begin)] if self.chain else []
        while waiting:
            node, at = waiting.pop()
            if node:
                yield Slice(self.parts[node][-1].name, at, at + total[node], own[node], calls[node])
            below = []
            for child in self.children[node]:
                if total[child]:
                    below.append((child, at))
                    at += total[child]
            waiting += reversed(below)

    def root(self, parts: Sequence[Part], end: int) -> Iterator[Slice]:
        """The outermost function, over the whole run."""
        if self.chain:
            own = sum(self.column(p.chains.units)[0] for p in parts)
            calls = sum(self.column(p.chains.calls)[0] for p in parts)
            yield Slice(self.parts[0][-1].name, 0, end, own, calls)
