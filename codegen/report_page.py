"""An Analysis as a page: what it needs, its pictures, and the tables of layers, runtimes and boards."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from codegen.analysis import OWN, Analysis, Need
from codegen.analysis_table import room_text
from codegen.html import Cell, Fact, Figure, Page, Table, bars
from codegen.versus import Contender, of_runtime, own
from refsim.boards import BOARDS
from refsim.memsim.budget import Budget, Limit, Shortfall, sentences
from refsim.memsim.picture import Scene, scenes_at, scenes_svg
from refsim.memsim.svg import document
from refsim.memsim.usage_picture import Series, series, series_beside, usage_at, usage_svg
from refsim.printable import size

FOLD = 12  # rows of a table of minor interest
X_CUBE_AI = "x-cube-ai"
CLOSED_NOTE = " X-CUBE-AI is not among them: nobody outside knows its plan."
PLAN_NOTE = (
    "Time runs to the right, addresses upwards. Full colour: bytes that somebody still reads; pale: set aside for a "
    "buffer, holding nothing of use. Point at a shape for its tensor, bytes, offset and layers."
)
USAGE_NOTE = (
    "Lines: bytes in use while a layer runs, with what a runtime holds all the time (.data and .bss included, the "
    "stack left out). Thin dotted lines: bytes set aside."
)


def analysis_page(
    found: Analysis,
    model: str,
    options: str,
    rivals: Sequence[Contender] = (),
    shortfall: Shortfall | None = None,
) -> Page:
    """The report of `analyze`; `options` say what refsim was asked to do."""
    where = f" on {found.board.name} ({found.board.core.name})" if found.board else ""
    return Page(
        title=f"{model}{where}",
        subtitle=f"refsim analyze, {options}, numerics {found.numerics}",
        headline=_headline(found),
        holds=found.holds if found.budget else None,
        facts=tuple(_facts(found)),
        shortfall=tuple(sentences(shortfall)) if shortfall else (),
        sections=(
            *pictures(found, options, rivals),
            _layers(found),
            *common_tables(found),
        ),
    )


def _headline(found: Analysis) -> str:
    mine = found.needs.get(OWN)
    if mine is None or mine.reason:
        return "refsim cannot take this model" if mine else f"{found.macs:,} multiply-accumulates"
    if found.budget:
        names = dict.fromkeys(str(limit) for limit in (found.budget.sram, found.budget.flash) if limit)
        return f"{'Fits' if found.holds else 'Does not fit'} {' and '.join(names)}"
    if mine.flash is None:
        return f"Needs {size(mine.least[0])} of SRAM; flash not known without a compiler"
    real = [board for board in BOARDS.values() if not board.generic]
    return f"Fits {len(mine.boards_that_fit)} of {len(real)} boards"


def _facts(found: Analysis) -> Iterator[Fact]:
    yield Fact(
        "work", f"{found.macs:,} multiply-accumulates, {found.parameters:,} parameters, {len(found.layers)} layers"
    )
    mine = found.needs.get(OWN)
    if mine is None:
        return
    if mine.reason:
        yield Fact(OWN, mine.reason, False)
        return
    sram, flash = mine.least
    yield _room("SRAM", sram, found.budget.sram if found.budget else None, "without stack")
    if mine.flash is None:
        yield Fact("flash", f"constants {flash:,} bytes, code not known: {mine.without_flash}")
    else:
        yield _room("flash", flash, found.budget.flash if found.budget else None, f"constants {mine.constants:,}")


def _room(label: str, nbytes: int, limit: Limit | None, remark: str) -> Fact:
    text = f"{nbytes:,} bytes ({size(nbytes)}), {remark}"
    if limit is None:
        return Fact(label, text)
    left = limit.nbytes - nbytes
    verdict = f"{size(left)} free" if left >= 0 else f"{size(-left)} too much"
    return Fact(label, f"{text}; {verdict} of {limit.nbytes:,}", left >= 0)


def contenders(found: Analysis, options: str, rivals: Sequence[Contender]) -> list[Contender]:
    """refsim first, then those asked for, or else the runtimes whose plans are known."""
    mine = found.needs.get(OWN)
    first = [own(options, found.program, mine.static if mine else 0)] if found.program else []
    return [*first, *(rivals or _runtimes(found))]


def _runtimes(found: Analysis) -> Iterator[Contender]:
    for need in found.needs.values():
        if need.plan and need.computes:
            yield of_runtime(need.runtime, found.graph, need.plan, need.computes, need.least[0])


def lines(found: Analysis, drawn: Sequence[Contender]) -> list[Series]:
    """Everybody's bytes on the layers of the first."""
    axis = drawn[0].occupancy
    first = series(drawn[0].name, axis, drawn[0].base)
    return [first, *(series_beside(c.name, c.occupancy, c.base, found.graph, axis) for c in drawn[1:])]


def compared(found: Analysis, options: str, rivals: Sequence[Contender]) -> str:
    """One SVG: plans side by side, and below them everybody's SRAM over time."""
    drawn = contenders(found, options, rivals)
    limit = found.budget.sram if found.budget else None
    content, width, height = scenes_at([Scene(f"{found.model}: {c.name}", c.occupancy) for c in drawn], 0)
    below, wide, bottom = usage_at(lines(found, drawn), drawn[0].occupancy, height + 10, limit, width - 100)
    return document(max(width, wide), bottom, f"{found.model}: {', '.join(c.name for c in drawn)}", [*content, *below])


def pictures(found: Analysis, options: str, rivals: Sequence[Contender]) -> Iterator[Figure]:
    """The plan or plans, and the SRAM over time."""
    drawn = contenders(found, options, rivals)
    if not drawn:
        return
    shown = drawn if rivals else drawn[:1]
    plans = [Scene(c.name, c.occupancy) for c in shown]
    if len(plans) == 1:
        yield Figure("Memory plan", (scenes_svg(plans),), PLAN_NOTE)
    else:
        yield Figure("Memory plans, on one scale", (scenes_svg(plans),), PLAN_NOTE)
    note = USAGE_NOTE + (CLOSED_NOTE if X_CUBE_AI in found.needs else "")
    chart = usage_svg(lines(found, drawn), drawn[0].occupancy, found.budget.sram if found.budget else None)
    yield Figure("SRAM over time", (chart,), note)


def _layers(found: Analysis) -> Table:
    layers = found.layers
    macs, sram = bars([layer.macs for layer in layers]), bars([layer.sram for layer in layers])
    rows = tuple(
        (
            Cell(str(n)),
            Cell(layer.name),
            Cell(layer.op),
            Cell(layer.output),
            macs[n],
            Cell(f"{layer.parameters:,}" if layer.parameters else ""),
            sram[n],
        )
        for n, layer in enumerate(layers)
    )
    return Table("Layers", ("#", "layer", "operator", "output", "#MACs", "#parameters", "#SRAM in use"), rows)


def common_tables(found: Analysis) -> Iterator[Table]:
    """Runtimes, boards, and tensors that are not there."""
    yield _runtimes_table(found)
    yield _boards_table(found)
    if found.program is not None and (gone := eliminated(found)):
        rows = tuple((Cell(name), Cell(why)) for name, why in gone)
        yield Table(
            "Tensors that do not exist in the generated code", ("tensor", "because"), rows, folded=len(rows) > FOLD
        )


def eliminated(found: Analysis) -> list[tuple[str, str]]:
    """Tensors that the model computes and no step of the program does, and why."""
    assert found.program is not None
    program, graph = found.program, found.graph
    written = {view.tensor for step in program.steps() for view in step.writes}
    computed = [i for node in graph.nodes for i in node.outputs if i not in written]
    return [(graph.tensors[i].name, program.eliminated.get(i, "")) for i in computed]


def _runtimes_table(found: Analysis) -> Table:
    needs = list(found.needs.values())
    sram, flash = bars([need.sram for need in needs]), bars([need.flash for need in needs])
    rows = tuple(
        (Cell(need.runtime), sram[n], flash[n], _fits(need, found.budget), Cell("; ".join(_notes(need))))
        for n, need in enumerate(needs)
    )
    note = "SRAM without stack. Runtimes other than refsim are modelled, not run."
    return Table("Runtimes", ("runtime", "#SRAM", "#flash", "fits", "remarks"), rows, note)


def _notes(need: Need) -> Iterator[str]:
    yield from (text for text in (need.reason, *need.notes, need.without_flash) if text)


def _fits(need: Need, budget: Budget | None) -> Cell:
    if need.reason:
        return Cell("cannot take this model")
    if budget is None:
        return Cell(f"{len(need.boards_that_fit)} boards" if need.flash is not None else "flash not known")
    fits = need.fits(budget)
    return Cell({True: "yes", False: "no", None: "flash not known"}[fits], good=fits)


def _boards_table(found: Analysis) -> Table:
    names = tuple(found.needs)
    rows = []
    for board in (b for b in BOARDS.values() if not b.generic):
        cells = (
            Cell("-") if need.reason else Cell(room_text(need, board), good=need.fits(board))
            for need in found.needs.values()
        )
        sizes = f"{board.sram.size // 1024:,} / {board.flash.size // 1024:,}"
        rows.append((Cell(board.name), Cell(sizes), *cells))
    note = "KiB free of SRAM / of flash; negative: so many are missing. SRAM without stack."
    return Table("Which boards it fits", ("board", "#has", *(f"#{name}" for name in names)), tuple(rows), note)
