"""What a network needs before anything runs: work, parameters, and the memory that each of several runtimes takes.

refsim's own figures are those of the code that `generate` prints; the other runtimes are modelled, see
`refsim.memsim.runtimes`. SRAM is activations, scratch and state, without the stack, which only a run shows.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from codegen import toolchain as toolchains
from codegen.build import certified, generate_sources, link, make_program, roomy
from codegen.flash import measured
from codegen.toolchain import Toolchain
from refsim import boards, passes
from refsim.boards import Board
from refsim.errors import InputError, ToolchainError, UnsupportedError, UsageError
from refsim.graph import Graph, Node
from refsim.int8ops.numerics import TFLM, Numerics
from refsim.memsim.budget import Budget, budget_of
from refsim.memsim.figures import Figures, figures
from refsim.memsim.occupancy import of_program
from refsim.memsim.patch import suggestion
from refsim.memsim.plan import Plan
from refsim.memsim.planners import DEFAULT
from refsim.memsim.planners.optimal import Certificate
from refsim.memsim.program import Program
from refsim.memsim.runtimes import RUNTIMES

OWN = "refsim"
EXACT = "optimal"
NAMES = (OWN, *RUNTIMES)
ANY_BOARD = "nucleo-l4r5zi"  # whose core the code is built for when no board is given
Detail = Mapping[str, float | Mapping[str, int]]  # bytes; `gap` is a share


@dataclass(frozen=True, slots=True)
class Layer:
    """One layer; `sram` is bytes of refsim's arena in use while it runs, None where refsim cannot take the model."""

    name: str
    op: str
    macs: int
    parameters: int
    output: str
    sram: int | None


@dataclass(frozen=True, slots=True)
class Need:
    """Bytes that a runtime takes. `reason` says why it cannot take the model; sram and flash are then None.

    `static` is .data and .bss of the runtime itself, which `sram` leaves out. `flash` alone is None without a compiler,
    which `without_flash` then says; `constants` of it are known even so, its parts stand in `detail` under `flash`.
    `plan` and `computes` are those of a modelled runtime (`runtimes.Footprint`), for its picture.
    """

    runtime: str
    sram: int | None = None
    flash: int | None = None
    static: int = 0
    constants: int = 0
    detail: Detail | None = None
    notes: tuple[str, ...] = ()
    reason: str = ""
    without_flash: str = ""
    plan: Plan | None = None
    computes: tuple[int, ...] = ()

    @property
    def least(self) -> tuple[int, int]:
        """Bytes of SRAM and flash that are needed at least: of the flash, what is known."""
        return (self.sram or 0) + self.static, self.constants if self.flash is None else self.flash

    def over(self, limits: Board | Budget) -> tuple[int, int]:
        """Bytes of SRAM and of flash beyond the limits, negative where there is room."""
        budget = budget_of(limits) if isinstance(limits, Board) else limits
        return budget.over(*self.least) if budget else (0, 0)

    def fits(self, limits: Board | Budget) -> bool | None:
        """None where nothing known is too large, but the flash is not known."""
        if self.reason or max(self.over(limits)) > 0:
            return False
        limited = isinstance(limits, Board) or limits.flash is not None
        return None if self.flash is None and limited else True

    @property
    def boards_that_fit(self) -> tuple[str, ...]:
        if self.sram is None or self.flash is None:
            return ()
        return boards.fitting(self.flash, self.sram + self.static)


@dataclass(frozen=True, eq=False)
class Analysis:
    """Result of `analyze`. `program` is refsim's, for its picture; None where refsim cannot take the model.

    `budget` is what the board has, or what somebody allows; None without either.
    """

    model: str
    numerics: str
    optimize: str
    macs: int
    parameters: int
    board: Board | None
    needs: Mapping[str, Need]
    layers: tuple[Layer, ...]
    program: Program | None
    graph: Graph
    figures: Figures
    budget: Budget | None = None

    @property
    def holds(self) -> bool:
        """False when there is a budget, and refsim's code is known to exceed it.

        Where refsim was not asked about, when any of those that were does.
        """
        judged = [self.needs[OWN]] if OWN in self.needs else self.needs.values()
        budget = self.budget
        return budget is None or all(need.fits(budget) is not False for need in judged)


def analyze(
    graph: Graph,
    board: Board | None = None,
    runtimes: Sequence[str] | None = None,
    *,
    numerics: Numerics = TFLM,
    optimize: str = "latency",
    transforms: str | None = None,
    toolchain: str | None = None,
    sram: int | None = None,
    flash: int | None = None,
    program: Program | None = None,
    planner: str = DEFAULT,
    stage: tuple[int, int] | None = None,
) -> Analysis:
    """Work, parameters and layers of a network, and what `runtimes` (None: all of NAMES) need for it.

    `toolchain` (zig or gcc; None: the first there is) measures refsim's flash. Without a compiler that is None.
    `sram` and `flash` are budgets in bytes, besides the board's. `program`: one that was made of the graph already.
    `stage`: first layers of the graph as it was read, and patches a side, for `Analysis.figures`.
    `planner` is refsim's; optimal adds what is proven about its arena.
    Raises UsageError for unknown names, ToolchainError when a compiler is there and fails.
    """
    wanted = tuple(dict.fromkeys(runtimes or NAMES))
    if unknown := [name for name in wanted if name not in NAMES]:
        raise UsageError(f"runtime '{unknown[0]}' is not known: expected one of {', '.join(NAMES)}")
    if toolchain is not None and toolchain not in toolchains.FINDERS:
        raise UsageError(f"toolchain '{toolchain}' is not known: expected one of {', '.join(toolchains.FINDERS)}")
    known = figures(graph, stage)
    program, reason = (program, "") if program else _planned(graph, numerics, optimize, transforms, planner)
    program, proof = certified(program) if program and planner == EXACT else (program, None)
    needs = {name: _modelled(name, graph) for name in wanted if name != OWN}
    if OWN in wanted:
        where = board or boards.find(ANY_BOARD)
        mine = _own(program, numerics, where, toolchain, proof) if program else Need(OWN, reason=reason)
        needs[OWN] = replace(mine, notes=(*mine.notes, *_advice(graph, numerics, program)))
    return Analysis(
        model=graph.name,
        numerics=numerics.name,
        optimize=optimize,
        macs=graph.macs,
        parameters=graph.parameters,
        board=board,
        needs={name: needs[name] for name in wanted},
        layers=tuple(_layers(graph, program)),
        program=program,
        graph=graph,
        figures=known,
        budget=budget_of(board, sram, flash),
    )


def _planned(
    graph: Graph, numerics: Numerics, optimize: str, transforms: str | None, planner: str
) -> tuple[Program | None, str]:
    """refsim's Program, or None and why there is none; not planned exactly yet, which comes once, at the end."""
    quick = DEFAULT if planner == EXACT else planner
    try:
        for node in graph.nodes:
            node.operator.check(graph.call(node))
        return make_program(graph, numerics, quick, optimize, transforms), ""
    except UnsupportedError as error:
        return None, str(error)


def _advice(graph: Graph, numerics: Numerics, program: Program | None) -> Iterator[str]:
    """What is known about a Program's patches."""
    if program and program.graph.parts and (text := suggestion(passes.optimise(graph, numerics), program.graph)):
        yield text


def _modelled(name: str, graph: Graph) -> Need:
    try:
        found = RUNTIMES[name](graph)
    except InputError as error:
        return Need(name, reason=str(error))
    static = {"static": found.static} if found.static else {}
    detail: Detail = {**found.detail, **static, "flash": found.flash_parts}
    need = Need(name, found.sram, found.flash, found.static, 0, detail, found.notes)
    return replace(need, plan=found.plan, computes=found.computes)


def _own(
    program: Program, numerics: Numerics, board: Board, toolchain: str | None, proof: Certificate | None = None
) -> Need:
    made = generate_sources(program, numerics, board)
    plan = program.placed
    shared = made.sources.shared_bytes  # bytes that equal constants of several layers do not take
    proven: Detail = {"lower_bound": proof.lower_bound, "gap": proof.gap, "proven": proof.proven} if proof else {}
    detail: Detail = {"arena": plan.nbytes, "lower_bound": plan.lower_bound, **proven, "constants_shared": shared}
    notes = (f"planner {EXACT}: {proof}",) if proof else ()
    need = Need(OWN, program.arena_bytes, constants=made.sources.constant_bytes, detail=detail, notes=notes)
    try:
        compiler: Toolchain = toolchains.find(toolchain)
    except ToolchainError as error:
        return replace(need, detail={**detail, "constants": need.constants}, without_flash=str(error))
    where = roomy(board)
    linked = measured(link(made, where, compiler), made.sources, where.sram)
    flash, constants = linked.flash, linked.flash.constant_bytes
    more: Detail = {"code": flash.total - constants, "constants": constants, "flash": flash.by_name}
    return replace(need, flash=flash.total, static=linked.static, detail={**detail, **more})


def _layers(graph: Graph, program: Program | None) -> Iterator[Layer]:
    """The nodes that refsim runs, in order; those of the model as it was read where it cannot."""
    if program is None:
        yield from (_layer(graph, node, None) for node in graph.nodes)
        return
    used, most = of_program(program).used, dict[int, int]()
    calls = (step.node for step in program.steps() for _ in step.intervals())
    for node, nbytes in zip(calls, used.tolist(), strict=True):
        most[node] = max(most.get(node, 0), nbytes)
    for n in most:  # in the order in which they run
        yield _layer(program.graph, program.graph.nodes[n], most[n])


def _layer(graph: Graph, node: Node, sram: int | None) -> Layer:
    call, name = graph.call(node), node.operator.name
    parameters = sum(t.elements for t in call.inputs if t is not None and t.data is not None)
    return Layer(node.name or name, name, node.operator.macs(call), parameters, "x".join(map(str, call.y.shape)), sram)


def as_json(found: Analysis) -> dict[str, Any]:
    """The object that `--json` prints."""
    needs = found.needs.items()
    board = found.board
    fits = {"fits": {name: need.fits(found.budget) for name, need in needs}} if found.budget else {}
    judged = {**({"board": board.name} if board else {}), **fits}
    return {
        "model": found.model,
        "numerics": found.numerics,
        "optimize": found.optimize,
        "macs": found.macs,
        "parameters": found.parameters,
        "figures": asdict(found.figures),
        **judged,
        "peak_sram": {name: need.sram for name, need in needs},
        "memory_detail": {name: _detail(need) for name, need in needs},
        "flash": {name: need.flash for name, need in needs},
        "notes": {name: list(need.notes) for name, need in needs},
        "boards_that_fit": {name: list(need.boards_that_fit) for name, need in needs},
        "layers": [asdict(layer) for layer in found.layers],
    }


def _detail(need: Need) -> dict[str, float | str | Mapping[str, int]]:
    if need.reason:
        return {"reason": need.reason}
    return {**(need.detail or {}), **({"flash_unknown": need.without_flash} if need.without_flash else {})}
