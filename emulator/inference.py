"""One inference of generated code in an arena of exactly the planned size, compared tensor by tensor on the way.

Every computed tensor is compared at the moment its layer has returned, before the arena reuses the bytes. The arena
lies between unmapped pages, once flush with the page in front of it and once with the page behind, and starts as
noise: a kernel that reads what nobody wrote, or one byte too many, gives a wrong answer or faults.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from emulator import image as images
from emulator.machine import Machine
from emulator.memory import PAGE
from emulator.timing import Snapshot, Timing
from refsim.boards import Board, Region
from refsim.errors import BoardError, Fault
from refsim.graph import DTYPES, Array, Graph, Rows, Tensor
from refsim.memsim.program import Program, Step, View

GUARD = 16 * PAGE  # unmapped bytes between regions


@dataclass(frozen=True, slots=True)
class Turn:
    """One kernel call of the Program as executed: a step's row interval, and the function that computes it."""

    step: Step
    rows: Rows
    symbol: str


@dataclass(frozen=True, slots=True)
class Difference:
    """A tensor that came out wrong: `count` elements of it, the first at flat index `first`."""

    tensor: int
    count: int
    first: int
    got: float
    expected: float


@dataclass(frozen=True, slots=True)
class Run:
    """One inference: what differed, and all counts at the start of each turn and at the end."""

    differences: tuple[Difference, ...]
    seen: tuple[Snapshot, ...]
    stack: int


@dataclass(frozen=True)
class Target:
    """Generated code in a machine, ready to run."""

    program: Program
    machine: Machine
    turns: tuple[Turn, ...]
    entry: int
    arenas: tuple[int, ...]
    addresses: Mapping[str, int] = field(repr=False)
    timing: Timing = field(repr=False)


def data_bytes(image: images.Image, board: Board) -> int:
    """Of SRAM that an image takes where it is linked."""
    return sum(s.size for s in image.segments if s.address in board.sram)


def prepare(program: Program, entry: str, symbol: Callable[[Step], str], image: images.Image, board: Board) -> Target:
    """Load an image into a machine with two arenas, one flush with each of its ends."""
    flash = replace(board.flash, size=max(s.end for s in image.segments if s.address in board.flash) - board.flash.base)
    pages = -(-max(program.arena_bytes, 1) // PAGE) * PAGE
    base = board.sram.base
    data = -(-data_bytes(image, board) // PAGE) * PAGE
    if data + 2 * (pages + GUARD) > board.sram.size:
        raise BoardError(f"'{program.graph.name}' needs {program.arena_bytes} bytes of SRAM: no Cortex-M has that much")
    first = base + data + GUARD
    second = first + pages + GUARD
    memory = [replace(flash, size=-(-flash.size // PAGE) * PAGE)]
    memory += [Region("data", base, data, True, "linker script")] if data else []
    memory += [Region("arena", at, pages, True, "memory plan") for at in (first, second)]
    machine = Machine(board, image, memory=memory)
    turns = tuple(Turn(step, rows, symbol(step)) for step in program.steps() for rows in step.intervals())
    addresses = {turn.symbol: image.address(turn.symbol) for turn in turns}
    arenas = (first, second + pages - program.arena_bytes)
    return Target(program, machine, turns, image.address(entry), arenas, addresses, Timing(machine))


def execute(
    target: Target,
    inputs: Sequence[Array],
    expected: Mapping[int, Array],
    number: int,
    note: Callable[[], None] = lambda: None,
) -> Run:
    """One inference in one of the two arenas, filled with noise before; `note` is called at each of `Run.seen`.

    Raises Fault.
    """
    arena = target.arenas[number % len(target.arenas)]
    noise = np.random.PCG64(number).random_raw(target.program.arena_bytes // 8 + 1).tobytes()
    target.machine.write(arena, noise[: target.program.arena_bytes])
    for view, value in zip(target.program.inputs, inputs, strict=True):
        _write_rows(target, arena, view, value)
    watch = _Watch(target, arena, with_parts(target.program.graph, expected), note)
    target.machine.call(target.entry, (arena,), stops=set(target.addresses.values()), on_stop=watch.entered)
    watch.finished()
    if target.machine.spoiled:
        raise Fault(
            f"generated code returned with {', '.join(target.machine.spoiled)} changed, which it has to preserve"
        )
    return Run(tuple(watch.differences), tuple(watch.seen), target.machine.stack_used)


def with_parts(graph: Graph, values: Mapping[int, Array]) -> Mapping[int, Array]:
    """The values of a model's tensors, and those of the parts of them that a Program's graph computes."""
    found = dict(values)
    for t, part in graph.parts.items():
        _, height, width, _ = graph.tensors[t].shape
        found[t] = values[part.whole][:, part.top : part.top + height, part.left : part.left + width]
    return found


class _Watch:
    """Follows the calls of one inference: the next layer's entry is where the last one's output is compared."""

    def __init__(self, target: Target, arena: int, expected: Mapping[int, Array], note: Callable[[], None]) -> None:
        self.target, self.arena, self.expected, self.note = target, arena, expected, note
        self.turn = 0
        self.seen: list[Snapshot] = []
        self.differences: list[Difference] = []

    def entered(self, address: int) -> None:
        turns = self.target.turns
        if self.turn >= len(turns) or self.target.addresses[turns[self.turn].symbol] != address:
            raise Fault(f"generated code called a layer out of turn, at {address:#010x} as call {self.turn}")
        self._compare()
        self._look()
        self.turn += 1

    def finished(self) -> None:
        if self.turn != len(self.target.turns):
            raise Fault(f"generated code returned after {self.turn} of {len(self.target.turns)} layers")
        self._compare()
        self._look()
        known = {d.tensor for d in self.differences}
        for view in self.target.program.outputs:  # again: a later layer may have written over them
            if view.tensor not in known:
                self._compare_rows(view, (0, self.target.program.graph.tensors[view.tensor].rows))

    def _look(self) -> None:
        self.seen.append(self.target.timing.now())
        self.note()

    def _compare(self) -> None:
        if self.turn:
            turn = self.target.turns[self.turn - 1]
            for view in turn.step.writes:
                self._compare_rows(view, turn.rows)

    def _compare_rows(self, view: View, rows: Rows) -> None:
        tensor = self.target.program.graph.tensors[view.tensor]
        kind = DTYPES[tensor.dtype]
        got = np.frombuffer(b"".join(_read_rows(self.target, self.arena, view, rows)), kind)
        start = rows[0] * tensor.elements // max(tensor.rows, 1)
        want = np.ascontiguousarray(self.expected[view.tensor]).reshape(-1)[start : start + got.size]
        width = np.dtype(kind).itemsize
        wrong = (got.view(np.uint8) != want.view(np.uint8)).reshape(-1, width).any(axis=1)
        if wrong.any():
            first = int(np.flatnonzero(wrong)[0])
            found = Difference(view.tensor, int(wrong.sum()), start + first, got[first].item(), want[first].item())
            self.differences.append(found)


def _contiguous(view: View, tensor: Tensor) -> bool:
    return view.row_stride == tensor.row_bytes and not view.ring_rows


def _read_rows(target: Target, arena: int, view: View, rows: Rows) -> Iterator[bytes]:
    tensor, program = target.program.graph.tensors[view.tensor], target.program
    if _contiguous(view, tensor):
        first = arena + program.row_address(view, rows[0])
        yield target.machine.read(first, (rows[1] - rows[0]) * tensor.row_bytes)
        return
    for row in range(*rows):
        yield target.machine.read(arena + program.row_address(view, row), tensor.row_bytes)


def _write_rows(target: Target, arena: int, view: View, value: Array) -> None:
    tensor, program = target.program.graph.tensors[view.tensor], target.program
    data, size = np.ascontiguousarray(value).tobytes(), tensor.row_bytes
    if _contiguous(view, tensor):
        target.machine.write(arena + program.row_address(view, 0), data)
        return
    for row in range(tensor.rows):
        target.machine.write(arena + program.row_address(view, row), data[row * size : (row + 1) * size])
