"""Where a model's cycles go in its generated code: by layer, by function and by cause, of one seeded inference."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any

from codegen import build
from emulator import inference, profiler, validation
from emulator.call_tree import CallTree, Contexts
from emulator.image import Symbol
from emulator.inference import Run
from emulator.observed import Observed, stages_of
from emulator.profiler import Profile
from emulator.stacks import Moment
from emulator.timing import Timing
from emulator.validation import Built, Progress
from refsim import interpreter
from refsim.boards import Board
from refsim.graph import Graph
from refsim.int8ops.numerics import TFLM, Numerics
from refsim.memsim import occupancy
from refsim.memsim.planners import DEFAULT
from refsim.printable import printable
from refsim.report import Layer

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table


@dataclass(frozen=True, slots=True)
class ModelProfile:
    """One inference. `profile` is that of the whole; the layers' cycles and instructions sum to its own.

    `sources` are the generated files by path.
    """

    profile: Profile
    layers: tuple[Layer, ...]
    macs: int
    toolchain: str
    numerics: str
    sources: Mapping[str, bytes] = field(default_factory=dict, compare=False, repr=False)


def profile_model(
    graph: Graph,
    board: Board,
    *,
    numerics: Numerics = TFLM,
    toolchain: str | None = None,
    planner: str = DEFAULT,
    optimize: str = "latency",
    transforms: str | None = None,
    seed: int = 0,
    follow_calls: bool = False,
    progress: Progress = lambda what, done, total: None,
) -> ModelProfile:
    """Generate, compile, and run once on seeded random input; the first of those that `validate` tries.

    `follow_calls`: for traces and flame graphs of `profile.observed`.
    Raises as `validate`. A wrong answer is a note: cycles depend on it little.
    """
    progress("planning memory", 0, 1)
    program = build.make_program(graph, numerics, planner, optimize, transforms)
    built = validation.compiled(program, board, numerics, toolchain, progress)
    inputs = interpreter.random_inputs(graph, seed)
    progress("running on the emulated board", 0, 1)
    tree = CallTree(built.target.machine) if follow_calls else None
    noted: list[Contexts] = []
    expected = interpreter.run(graph, inputs, numerics)
    run = inference.execute(built.target, inputs, expected, 0, lambda: noted.append(tree.now()) if tree else None)
    built.target.machine.check_instructions()
    timing = built.target.timing
    spent = tuple(validation.spent_by_turn(timing, run.seen))
    layers = tuple(validation.layers_of(built.target, spent, run.differences))
    whole = _whole(graph, board, timing, built, run, noted)
    return ModelProfile(whole, layers, graph.macs, built.compiler, numerics.name, built.sources.files)


def _whole(graph: Graph, board: Board, timing: Timing, built: Built, run: Run, noted: Sequence[Contexts]) -> Profile:
    machine, entry = built.target.machine, built.target.entry
    costs = timing.cost(run.seen[-1])
    functions = profiler.known_functions(machine, costs.counts, entry)
    return Profile(
        graph.name,
        board,
        entry,
        costs.cycles,
        timing.error_pct,
        costs.instructions,
        profiler.by_function(costs, functions),
        costs.by_cause,
        tuple(_notes(run)),
        observed=_observed(graph.name, board, built, run, functions, noted),
    )


def _observed(
    name: str, board: Board, built: Built, run: Run, functions: tuple[Symbol, ...], noted: Sequence[Contexts]
) -> Observed:
    """The run for closer looks; with a stage for each kernel call where calls were followed."""
    target = built.target
    seen = Observed(name, board, target.machine, target.timing, run.seen[-1], functions)
    if not noted:
        return seen
    moments = [Moment(snapshot, contexts) for snapshot, contexts in zip(run.seen, noted, strict=True)]
    nodes = target.program.graph.nodes
    steps = (turn.step.node for turn in target.turns)
    names = (f"{n} {printable(nodes[n].name or nodes[n].operator.name)}" for n in steps)
    occupied = occupancy.of_program(target.program)
    groups = (n for n, column in enumerate(occupied.columns) for _ in range(column.first, column.end))
    stages = stages_of(list(zip(names, groups, strict=True)), moments, occupied.used.tolist())
    return replace(seen, whole=moments[-1], stages=stages)


def _notes(run: Run) -> Iterator[str]:
    if run.differences:
        wrong = len({d.tensor for d in run.differences})
        yield f"{wrong} tensors differ from the reference: 'refsim validate' says which"


def as_json(found: ModelProfile) -> dict[str, Any]:
    """The profile in the words of the command-line contract."""
    whole = profiler.as_json(found.profile)
    name = whole.pop("image")
    said = {"toolchain": found.toolchain, "numerics": found.numerics, "macs": found.macs}
    return {"model": name, **whole, **said, "layers": [asdict(layer) for layer in found.layers]}


def print_profile(found: ModelProfile, console: Console) -> None:
    """Layers, then functions, as tables for a terminal."""
    console.print(_table(found))
    profiler.print_profile(found.profile, console)
    console.print(f"built by {found.toolchain}, numerics {found.numerics}", markup=False)


def _table(found: ModelProfile) -> Table:
    from rich.markup import escape
    from rich.table import Table

    table = Table("layer", "output", "MACs", "cycles", "share", "instructions", "cycles/MAC", title="layers")
    cycles = found.profile.cycles
    for layer in found.layers:
        share, per_mac = f"{layer.cycles / cycles:.1%}", f"{layer.cycles / layer.macs:.2f}" if layer.macs else ""
        macs = f"{layer.macs:,}" if layer.macs else ""
        spent = (f"{layer.cycles:,}", share, f"{layer.instructions:,}", per_mac)
        table.add_row(escape(layer.name), layer.output, macs, *spent)
    return table
