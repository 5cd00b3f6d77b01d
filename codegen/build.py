"""Graph + Board -> planned Program, C and ELF: the middle of the house, in one function each."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from codegen.emit import Sources, emit
from codegen.toolchain import FINDERS, Toolchain, linker_script
from refsim import passes
from refsim.boards import MIB, Board, Region
from refsim.errors import UsageError
from refsim.files import write_folder
from refsim.graph import Graph
from refsim.int8ops.numerics import TFLM, Numerics
from refsim.memsim.lifetime import lower
from refsim.memsim.planners import DEFAULT, PLANNERS
from refsim.memsim.planners.optimal import Certificate, solve
from refsim.memsim.program import Program
from refsim.memsim.search import least_sram
from refsim.memsim.transforms import effort

ROOM = 192 * MIB


@dataclass(frozen=True, slots=True)
class Generated:
    """A Program and the C that does what it says."""

    program: Program
    sources: Sources


def make_program(
    graph: Graph,
    numerics: Numerics = TFLM,
    planner: str = DEFAULT,
    optimize: str = "latency",
    transforms: str | None = None,
) -> Program:
    """Passes, then a Program with its memory plan.

    `optimize`: latency (nothing that adds instructions), balanced or sram (what saves bytes and adds no more than
    their shares of `memsim.transforms.OPTIMIZE`). `transforms` names what may be done instead.
    Raises UsageError for unknown names.
    """
    if planner not in PLANNERS:
        raise UsageError(f"planner '{planner}' is not known: expected one of {', '.join(PLANNERS)}")
    allowed = effort(optimize, transforms)
    return least_sram(passes.optimise(graph, numerics), numerics, allowed, PLANNERS[planner])


def certified(program: Program) -> tuple[Program, Certificate]:
    """The Program with the smallest arena for its live ranges, and what is proven about it.

    Raises UsageError as `planners.optimal.solve` does.
    """
    plan = program.placed
    found = solve(plan.ranges, slack=plan.slack, known=plan.offsets)
    best = replace(program, plan=replace(plan, offsets=found.offsets))
    best.verify()
    return best, found


def generate_sources(program: Program, numerics: Numerics, board: Board, toolchain: str = "gcc") -> Generated:
    """The C of a Program, with a Makefile for `toolchain`."""
    return Generated(program, emit(program, lower(program.graph, numerics), numerics, board, toolchain))


def roomy(board: Board) -> Board:
    """The board with at least ROOM bytes of each memory, so that what does not fit can still be linked and run."""

    def grown(region: Region) -> Region:
        return replace(region, size=max(region.size, ROOM))

    return replace(board, flash=grown(board.flash), sram=grown(board.sram))


def link(generated: Generated, board: Board, toolchain: Toolchain) -> Path:
    """The ELF of generated C at the board's addresses, from the cache when it is there."""
    sources = generated.sources
    return toolchain.build(sources.files, board.core.name, linker_script(board, sources.entry))


def generate(
    graph: Graph,
    board: Board,
    folder: str | Path,
    *,
    numerics: Numerics = TFLM,
    toolchain: str = "gcc",
    planner: str = DEFAULT,
    optimize: str = "latency",
    transforms: str | None = None,
) -> Generated:
    """Write C sources that build by themselves, and a picture of the memory plan. No compiler is needed.

    `toolchain` (gcc or zig) is what the Makefile uses. Raises UsageError and OutputError.
    """
    from refsim.memsim.picture import program_svg

    if toolchain not in FINDERS:
        raise UsageError(f"toolchain '{toolchain}' is not known: expected one of {', '.join(FINDERS)}")
    made = generate_sources(make_program(graph, numerics, planner, optimize, transforms), numerics, board, toolchain)
    picture = {"memory.svg": program_svg(made.program, graph.name).encode()}
    write_folder(folder, {**made.sources.files, **picture}, mark="model.h")
    return made
