"""The main job: generated code under emulation against the reference, tensor by tensor, with cycles and memory.

The reference runs on the model as it was read, before any pass. How an inference is run: `emulator.inference`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from codegen import build, toolchain as toolchains
from codegen.emit import Sources
from codegen.flash import flash_parts
from emulator import image as images
from emulator.inference import Difference, Run, Target, data_bytes, execute, prepare
from emulator.inputs import Inputs, inputs_for
from emulator.rounding import whole
from emulator.timing import UNITS, Snapshot, Timing
from refsim import boards, interpreter
from refsim.boards import Board
from refsim.graph import Array, Graph
from refsim.int8ops.numerics import TFLM, Numerics
from refsim.memsim.planners import DEFAULT
from refsim.memsim.program import Program
from refsim.report import Flash, Layer, Limits, Report, Sram, Tensors

Progress = Callable[[str, int, int], None]


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
    sram = Sram(program.arena_bytes, max(run.stack for run in runs), data_bytes(built.image, built.board))
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
