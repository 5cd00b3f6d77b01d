"""What a network needs before anything runs: work, parameters, and the memory that each of several runtimes takes.

refsim's own figures are those of the code that `generate` prints; the other runtimes are modelled, see
`refsim.memsim.runtimes`. SRAM is activations, scratch and state, without the stack, which only a run shows.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

from codegen import toolchain as toolchains
from codegen.build import generate_sources, link, make_program
from codegen.toolchain import Toolchain
from refsim import boards
from refsim.boards import MIB, Board, Region
from refsim.errors import InputError, ToolchainError, UnsupportedError, UsageError
from refsim.graph import Graph, Node
from refsim.int8ops.numerics import TFLM, Numerics
from refsim.memsim.plan import Plan
from refsim.memsim.program import Program, walk
from refsim.memsim.runtimes import RUNTIMES

OWN = "refsim"
NAMES = (OWN, *RUNTIMES)
ANY_BOARD = "nucleo-l4r5zi"  # whose core the code is built for when no board is given
ROOM = 192 * MIB  # of flash for linking, so that what does not fit is measured all the same


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
    which `without_flash` then says; `constants` of it are known even so.
    """

    runtime: str
    sram: int | None = None
    flash: int | None = None
    static: int = 0
    constants: int = 0
    detail: Mapping[str, int] | None = None
    notes: tuple[str, ...] = ()
    reason: str = ""
    without_flash: str = ""

    def over(self, board: Board) -> tuple[int, int]:
        """Bytes of SRAM and of flash beyond the board's, negative where there is room."""
        flash = self.constants if self.flash is None else self.flash
        return (self.sram or 0) + self.static - board.sram.size, flash - board.flash.size

    def fits(self, board: Board) -> bool | None:
        """None where nothing known is too large, but the flash is not known."""
        if self.reason or max(self.over(board)) > 0:
            return False
        return None if self.flash is None else True

    @property
    def boards_that_fit(self) -> tuple[str, ...]:
        if self.sram is None or self.flash is None:
            return ()
        return boards.fitting(self.flash, self.sram + self.static)


@dataclass(frozen=True, eq=False)
class Analysis:
    """Result of `analyze`. `program` is refsim's, for its picture; None where refsim cannot take the model."""

    model: str
    numerics: str
    optimize: str
    macs: int
    parameters: int
    board: Board | None
    needs: Mapping[str, Need]
    layers: tuple[Layer, ...]
    program: Program | None

    @property
    def holds(self) -> bool:
        """False when there is a board, and refsim's code is known not to fit it."""
        own = self.needs.get(OWN)
        return self.board is None or own is None or own.fits(self.board) is not False


def analyze(
    graph: Graph,
    board: Board | None = None,
    runtimes: Sequence[str] | None = None,
    *,
    numerics: Numerics = TFLM,
    optimize: str = "latency",
    transforms: str | None = None,
    toolchain: str | None = None,
) -> Analysis:
    """Work, parameters and layers of a network, and what `runtimes` (None: all of NAMES) need for it.

    `toolchain` (zig or gcc; None: the first there is) measures refsim's flash. Without a compiler that is None.
    Raises UsageError for unknown names, ToolchainError when a compiler is there and fails.
    """
    wanted = tuple(dict.fromkeys(runtimes or NAMES))
    if unknown := [name for name in wanted if name not in NAMES]:
        raise UsageError(f"runtime '{unknown[0]}' is not known: expected one of {', '.join(NAMES)}")
    if toolchain is not None and toolchain not in toolchains.FINDERS:
        raise UsageError(f"toolchain '{toolchain}' is not known: expected one of {', '.join(toolchains.FINDERS)}")
    program, reason = _planned(graph, numerics, optimize, transforms)
    needs = {name: _modelled(name, graph) for name in wanted if name != OWN}
    if OWN in wanted:
        where = board or boards.find(ANY_BOARD)
        needs[OWN] = _own(program, numerics, where, toolchain) if program else Need(OWN, reason=reason)
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
    )


def _planned(graph: Graph, numerics: Numerics, optimize: str, transforms: str | None) -> tuple[Program | None, str]:
    """refsim's Program, or None and why there is none."""
    try:
        for node in graph.nodes:
            node.operator.check(graph.call(node))
        return make_program(graph, numerics, optimize=optimize, transforms=transforms), ""
    except UnsupportedError as error:
        return None, str(error)


def _modelled(name: str, graph: Graph) -> Need:
    try:
        found = RUNTIMES[name](graph)
    except InputError as error:
        return Need(name, reason=str(error))
    detail = {**found.detail, **({"static": found.static} if found.static else {})}
    return Need(name, found.sram, found.flash, found.static, 0, detail, found.notes)


def _own(program: Program, numerics: Numerics, board: Board, toolchain: str | None) -> Need:
    made = generate_sources(program, numerics, board)
    plan = program.placed
    # With overlaps the sum of what is live is no bound, since some of it shares bytes.
    detail = {"arena": plan.nbytes, **({} if plan.slack else {"lower_bound": plan.lower_bound})}
    need = Need(OWN, program.arena_bytes, constants=made.sources.constant_bytes, detail=detail)
    try:
        compiler: Toolchain = toolchains.find(toolchain)
    except ToolchainError as error:
        return replace(need, detail={**detail, "constants": need.constants}, without_flash=str(error))
    roomy = replace(board, flash=_grown(board.flash), sram=_grown(board.sram))
    linked = _measured(link(made, roomy, compiler), roomy, f"{made.sources.prefix}_constant_")
    more = {"code": linked.loaded - linked.constants, "constants": linked.constants}
    return replace(need, flash=linked.loaded, static=linked.static, detail={**detail, **more})


def _grown(region: Region) -> Region:
    return replace(region, size=max(region.size, ROOM))


class _Linked(NamedTuple):
    """Bytes of an ELF file: flashed, constants among them, .data and .bss."""

    loaded: int
    constants: int
    static: int


def _measured(path: Path, board: Board, prefix: str) -> _Linked:
    from elftools.elf.elffile import ELFFile
    from elftools.elf.sections import SymbolTableSection

    with path.open("rb") as file:
        elf = ELFFile(file)
        segments = [s.header for s in elf.iter_segments("PT_LOAD")]
        tables = [table for table in elf.iter_sections() if isinstance(table, SymbolTableSection)]
        symbols = (symbol for table in tables for symbol in table.iter_symbols())
        constants = sum(int(s["st_size"]) for s in symbols if s.name.startswith(prefix))
        loaded = sum(int(h["p_filesz"]) for h in segments)
        static = sum(int(h["p_memsz"]) for h in segments if h["p_vaddr"] in board.sram)
    return _Linked(loaded, constants, static)


def _layers(graph: Graph, program: Program | None) -> Iterator[Layer]:
    """The nodes that refsim runs, in order; those of the model as it was read where it cannot."""
    if program is None:
        yield from (_layer(graph, node, None) for node in graph.nodes)
        return
    most: dict[int, int] = {}
    for at, step in enumerate(walk(program.body)):
        most[step.node] = max(most.get(step.node, 0), occupied(program.placed, at))
    for n in sorted(most):
        yield _layer(program.graph, program.graph.nodes[n], most[n])


def _layer(graph: Graph, node: Node, sram: int | None) -> Layer:
    call, name = graph.call(node), node.operator.name
    parameters = sum(t.elements for t in call.inputs if t is not None and t.data is not None)
    return Layer(node.name or name, name, node.operator.macs(call), parameters, "x".join(map(str, call.y.shape)), sram)


def occupied(plan: Plan, step: int) -> int:
    """Bytes of the arena that some live range holds at a step; those that two of them share count once."""
    placed = zip(plan.ranges, plan.offsets, strict=True)
    spans = sorted((offset, offset + r.nbytes) for r, offset in placed if r.first <= step <= r.last)
    total = end = 0
    for low, high in spans:
        total += max(0, high - max(low, end))
        end = max(end, high)
    return total


def as_json(found: Analysis) -> dict[str, Any]:
    """The object that `--json` prints."""
    needs = found.needs.items()
    board = found.board
    judged = {"board": board.name, "fits": {name: need.fits(board) for name, need in needs}} if board else {}
    return {
        "model": found.model,
        "numerics": found.numerics,
        "optimize": found.optimize,
        "macs": found.macs,
        "parameters": found.parameters,
        **judged,
        "peak_sram": {name: need.sram for name, need in needs},
        "memory_detail": {name: _detail(need) for name, need in needs},
        "flash": {name: need.flash for name, need in needs},
        "notes": {name: list(need.notes) for name, need in needs},
        "boards_that_fit": {name: list(need.boards_that_fit) for name, need in needs},
        "layers": [asdict(layer) for layer in found.layers],
    }


def _detail(need: Need) -> dict[str, int | str]:
    if need.reason:
        return {"reason": need.reason}
    return {**(need.detail or {}), **({"flash_unknown": need.without_flash} if need.without_flash else {})}
