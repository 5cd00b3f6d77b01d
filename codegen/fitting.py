"""What to say, and what would help, when a network does not fit: computed only then, since it plans again."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from codegen.build import make_program
from refsim import boards
from refsim.graph import Graph
from refsim.int8ops.numerics import Numerics
from refsim.memsim.budget import Budget, Help, Shortfall, largest_constants, peak_of, smaller_input
from refsim.memsim.program import Program

# In the order of what they cost: what the user would say, and how `make_program` is told.
OPTIONS: Mapping[str, Mapping[str, str]] = {
    "--optimize balanced": {"optimize": "balanced"},
    "--optimize sram": {"optimize": "sram"},
    "--transforms order,inplace,overlap,stream": {"transforms": "order,inplace,overlap,stream"},
}


def shortfall(
    budget: Budget | None,
    graph: Graph,
    program: Program,
    sram: int,
    flash: int,
    *,
    model: str = "",
    numerics: Numerics,
) -> Shortfall | None:
    """Why `sram` and `flash` bytes of a program exceed a budget, and what would help; None where they do not.

    `model` is what the user calls it, zoo:NAME for a network that can be built for another input. Takes seconds.
    """
    if budget is None or max(budget.over(sram, flash)) <= 0:
        return None
    rest = sram - program.arena_bytes
    helps = tuple(_helps(budget, graph, program, rest, model, numerics)) if budget.over(sram, flash)[0] > 0 else ()
    found = boards.fitting(flash, sram)
    ranked = tuple(sorted(helps, key=lambda each: (not each.fits, each.estimated, each.sram)))
    return Shortfall(budget, sram, flash, peak_of(program), largest_constants(program.graph), ranked, found)


def _helps(budget: Budget, graph: Graph, program: Program, rest: int, model: str, numerics: Numerics) -> Iterator[Help]:
    """The cheapest option that fits, or the one that saves most; and a smaller input."""
    assert budget.sram is not None
    limit = budget.sram.nbytes
    best: Help | None = None
    for option, arguments in OPTIONS.items():
        arena = make_program(graph, numerics, **arguments).arena_bytes
        if arena < (best.sram - rest if best else program.arena_bytes):
            best = Help(option, arena + rest, arena + rest <= limit)
            if best.fits:
                break
    if best:
        yield best
    if scaled := smaller_input(graph, model, program.arena_bytes, rest, limit):
        yield scaled
