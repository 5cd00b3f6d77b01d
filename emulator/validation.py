"""The main job: generated code under emulation against the reference, tensor by tensor, with cycles and memory.

Every computed tensor is compared at the moment its layer has returned, before the arena reuses the bytes. The
reference runs on the model as it was read, before any pass. The arena lies between unmapped pages, once flush with
the page in front of it and once with the page behind, and starts as noise: a kernel that reads what nobody wrote, or
one byte too many, gives a wrong answer or faults.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from codegen import build, toolchain as toolchains
from codegen.emit import Sources
from codegen.flash import flash_parts
from emulator import image as images
from emulator.inputs import Inputs, inputs_for
from emulator.machine import Machine
from emulator.memory import PAGE
from emulator.rounding import whole
from emulator.timing import UNITS, Snapshot, Timing
from refsim import boards, interpreter
from refsim.boards import Board, Region
from refsim.errors import BoardError, Fault
from refsim.graph import DTYPES, Array, Graph, Rows, Tensor
from refsim.int8ops.numerics import TFLM, Numerics
from refsim.memsim.planners import DEFAULT
from refsim.memsim.program import Program, Step, View
from refsim.report import Flash, Layer, Limits, Report, Sram, Tensors

GUARD = 16 * PAGE  # unmapped bytes between regions
Progress = Callable[[str, int, int], None]


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


@dataclass(frozen=True, eq=False)
class Built:
    """A Program's code, linked by `compiler` and ready to run; `board` has all the room that it needs."""

    compiler: str
    sources: Sources
    image: images.Image
    board: Board
    target: Target


def validate(
    graph: Graph,
    board: Board,
    *,
    numerics: Numerics = TFLM,
    toolchain: str | None = None,
    planner: str = DEFAULT,
    optimize: str = "latency",
    transforms: str | None = None,
    count: int = 3,
    seed: int = 0,
    progress: Progress = lambda what, done, total: None,
) -> Report:
    """Generate, compile, run and compare; `count` random inputs besides the constant ones of `inputs_for`.

    Raises InputError for what cannot be built, Fault when the code misbehaves. Mismatches are in the report.
    """
    progress("planning memory", 0, 1)
    program = build.make_program(graph, numerics, planner, optimize, transforms)
    tried = inputs_for(graph, count, seed)
    return validate_program(graph, program, board, tried, numerics=numerics, toolchain=toolchain, progress=progress)


def validate_program(
    graph: Graph,
    program: Program,
    board: Board,
    inputs: Inputs | Sequence[Sequence[Array]],
    *,
    numerics: Numerics = TFLM,
    toolchain: str | None = None,
    progress: Progress = lambda what, done, total: None,
) -> Report:
    """The same for a Program that somebody made of `graph`, on given inputs; cycles are those of the first."""
    built = compiled(program, board, numerics, toolchain, progress)
    target, runs, spent = built.target, [], tuple[Spent, ...]()
    for n, values in enumerate(inputs):
        progress("running on the emulated board", n, len(inputs))
        run = execute(target, values, interpreter.run(graph, values, numerics), n)
        if n == 0:  # priced before others run: what is sampled of pointers is that of the first one
            progress("adding up cycles", n, len(inputs))
            spent = tuple(spent_by_turn(target.timing, run.seen))
        runs.append(replace(run, seen=()))  # a megabyte each
    target.machine.check_instructions()
    flash = flash_of(built.image, built.sources)
    sram = Sram(program.arena_bytes, max(run.stack for run in runs), _data_bytes(built.image, built.board))
    return _report(graph, board, numerics, built.compiler, target, runs, spent, sram, flash)


def compiled(program: Program, board: Board, numerics: Numerics, toolchain: str | None, progress: Progress) -> Built:
    """Generate and link a Program's code, and load it. Raises InputError and ToolchainError."""
    compiler = toolchains.find(toolchain)
    made = build.generate_sources(program, numerics, board)
    roomy = build.roomy(board)
    progress(f"compiling {len(made.sources.symbols)} layers", 0, 1)
    image = images.load(build.link(made, roomy, compiler))
    target = prepare(program, made.sources.entry, made.sources.symbol, image, roomy)
    return Built(compiler.version, made.sources, image, roomy, target)


def _data_bytes(image: images.Image, board: Board) -> int:
    return sum(s.size for s in image.segments if s.address in board.sram)


def prepare(program: Program, entry: str, symbol: Callable[[Step], str], image: images.Image, board: Board) -> Target:
    """Load an image into a machine with two arenas, one flush with each of its ends."""
    flash = replace(board.flash, size=max(s.end for s in image.segments if s.address in board.flash) - board.flash.base)
    pages = -(-max(program.arena_bytes, 1) // PAGE) * PAGE
    base = board.sram.base
    data = -(-_data_bytes(image, board) // PAGE) * PAGE
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


def flash_of(image: images.Image, sources: Sources) -> Flash:
    """Flash bytes by what they hold: the model's constants, and everything else that is loaded."""
    parts = flash_parts(image.symbols, [(s.address, len(s.data)) for s in image.segments], sources)
    return Flash(parts.total - parts.constant_bytes, parts.constant_bytes, parts.by_name)


def _report(
    graph: Graph,
    board: Board,
    numerics: Numerics,
    compiler: str,
    target: Target,
    runs: Sequence[Run],
    spent: Sequence[Spent],
    sram: Sram,
    flash: Flash,
) -> Report:
    wrong = [d for run in runs for d in run.differences]
    layers = tuple(layers_of(target, spent, wrong))
    return Report(
        model=graph.name,
        board=board.name,
        core=board.core.name,
        clock_hz=board.clock_hz,
        toolchain=compiler,
        numerics=numerics.name,
        inputs_tried=len(runs),
        tensors=tensors_of(graph, target.program, {d.tensor for d in wrong}),
        cycles=sum(each.cycles for each in spent),
        cycles_error_pct=target.timing.error_pct,
        instructions=sum(each.instructions for each in spent),
        macs=graph.macs,
        nj_per_cycle=board.nj_per_cycle,
        sram=sram,
        flash=flash,
        limits=Limits(board.sram.size, board.flash.size, _fitting(board, sram.total, flash.total)),
        layers=layers,
        first_mismatch=_described(target.program.graph, wrong[0]) if wrong else None,
    )


def _fitting(board: Board, sram: int, flash: int) -> tuple[str, ...]:
    """The board itself, if it is one of them, and the others of the catalogue."""
    own = (board.name,) if sram <= board.sram.size and flash <= board.flash.size else ()
    return tuple(dict.fromkeys((*own, *boards.fitting(flash, sram))))


def tensors_of(graph: Graph, program: Program, wrong: set[int]) -> Tensors:
    """Every tensor that the model computes, as compared or eliminated."""
    computed = {i for node in graph.nodes for i in node.outputs}
    written = {view.tensor for step in program.steps() for view in step.writes}
    compared, wrong = (computed & set(map(program.graph.whole_of, tensors)) for tensors in (written, wrong))
    gone = {graph.tensors[i].name: program.eliminated[i] for i in sorted(computed - compared)}
    return Tensors(len(compared), len(computed), len(wrong), gone)


@dataclass(frozen=True, slots=True)
class Spent:
    """What one turn took."""

    cycles: int
    instructions: int


def spent_by_turn(timing: Timing, seen: Sequence[Snapshot]) -> Iterator[Spent]:
    """Per turn, from its entry to the next one's; the first has the way there too, so that all sum to the total."""
    spans = [after - seen[n] if n else after for n, after in enumerate(seen[1:])]
    cycles = whole((int(timing.cost(span).units.sum()) for span in spans), UNITS)
    return map(Spent, cycles, (span.instructions for span in spans))


def layers_of(target: Target, spent: Sequence[Spent], wrong: Sequence[Difference]) -> Iterator[Layer]:
    """One row per node, its turns added up."""
    graph = target.program.graph
    for node in dict.fromkeys(turn.step.node for turn in target.turns):
        mine = [each for turn, each in zip(target.turns, spent, strict=True) if turn.step.node == node]
        n = graph.nodes[node]
        call = graph.call(n)
        yield Layer(
            name=n.name or n.operator.name,
            op=n.operator.name,
            macs=n.operator.macs(call),
            cycles=sum(each.cycles for each in mine),
            instructions=sum(each.instructions for each in mine),
            output="x".join(map(str, call.y.shape)),
            mismatches=sum(d.count for d in wrong if d.tensor in n.outputs),
        )


def _described(graph: Graph, d: Difference) -> str:
    tensor = graph.tensors[d.tensor]
    at = ", ".join(str(int(i)) for i in np.unravel_index(d.first, tensor.shape)) if tensor.shape else ""
    return f"'{tensor.name}' at [{at}]: got {d.got}, expected {d.expected} ({d.count} of {tensor.elements} wrong)"
