"""docs/table3.md: the rows of `emulator.table3` as Markdown."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from emulator.table3 import (
    BOARD,
    CAMERA,
    COMMAND,
    INPUTS,
    LEAST,
    NONE,
    PLANS,
    WHOLE,
    Executed,
    Figures,
    Peak,
    Row,
    mean_share,
)
from refsim.memsim.runtimes import RUNTIMES
from refsim.printable import printable
from refsim.report import KIB, Report

SHOWN = 4  # tensors named at a peak
OOM = "OOM"  # as Table 3 prints it


class Line(NamedTuple):
    """Something asked of our plans: what it says of all rows, whether it holds, and the rows where it does not."""

    asked: str
    found: str
    misses: tuple[str, ...]
    holds: bool


class Limit(NamedTuple):
    """The most that a figure of each row may be."""

    asked: str
    plan: str
    most: float
    figure: Callable[[Row, str], float]


LIMITS = (
    Limit("at most the best published", WHOLE, 1.0, Row.share),
    Limit("no row above 0.55 of the best published", LEAST, 0.55, Row.share),
    Limit("instructions at most 3 % above none", LEAST, 1.03, Row.instructions),
)
MEAN = 0.40  # of LEAST's shares


def lines(rows: Sequence[Row]) -> Iterator[Line]:
    """What is asked, and whether it is so."""
    runs = [(row.network, each) for row in rows for each in row.executed.values()]
    wrong = tuple(f"{network}, {each.plan}" for network, each in runs if not each.bit_exact)
    yield Line("every plan bit-exact", f"{len(runs) - len(wrong)} of {len(runs)}", wrong, not wrong)
    for limit in LIMITS:
        figures = {row.network: limit.figure(row, limit.plan) for row in rows}
        over = tuple(f"{network} {each:.3f}" for network, each in figures.items() if each > limit.most)
        yield Line(f"{limit.plan}: {limit.asked}", f"at most {max(figures.values()):.3f}", over, not over)
    whole = tuple(row.network for row in rows if row.executed[CAMERA].image >= row.image)
    yield Line(f"{CAMERA}: the image is never whole", f"{len(rows) - len(whole)} of {len(rows)}", whole, not whole)
    mean = mean_share(rows, LEAST)
    yield Line(f"{LEAST}: geometric mean at most {MEAN:.2f}", f"{mean:.3f}", (), mean <= MEAN)


def _asked(line: Line) -> tuple[str, ...]:
    return line.asked, line.found, "yes" if line.holds else "no", "; ".join(line.misses)


ASKED = ("asked", "found", "holds", "rows that miss")
OWN = ("network", "best published", "image", *(word for plan in PLANS for word in (plan, "share")))


def own_cells(row: Row) -> tuple[str, ...]:
    """Under OWN: KiB of our plans and their shares of the best published."""
    ours = (cell for plan in PLANS for cell in (_kib(row.executed[plan].sram), f"{row.share(plan):.3f}"))
    return row.network, f"{row.best / KIB:.0f}", _kib(row.image), *ours


def _means(rows: Sequence[Row]) -> tuple[str, ...]:
    return "geometric mean", "", "", *(cell for plan in PLANS for cell in ("", f"{mean_share(rows, plan):.3f}"))


RUNS = (
    *(
        "network",
        "plan",
        "arena",
        "stack",
        "data",
        "SRAM",
        "bit-exact",
        "tensors compared",
        "instructions",
        "against none",
    ),
    *("of the image", "in use at the peak", "bounded by"),
)


def run_cells(row: Row, each: Executed) -> tuple[str, ...]:
    """Under RUNS: bytes, and what was compared and executed."""
    found = each.report
    sizes = (found.sram.arena - each.outside, found.sram.stack, found.sram.data, each.sram)
    tensors = f"{found.tensors.compared} of {found.tensors.total}"
    work = (f"{found.instructions:,}", f"{row.instructions(each.plan) - 1:+.2%}")
    who = (row.network, each.plan, *(f"{nbytes:,}" for nbytes in sizes), "yes" if each.bit_exact else "NO", tensors)
    return *who, *work, f"{each.image:,}", f"{each.peak.in_use:,}", bounded_by(each.peak)


def bounded_by(peak: Peak) -> str:
    """The peak in words; bytes of the arena that nobody uses then are the plan's, not the network's."""
    shown = [f"{printable(name, 40)} {nbytes:,}" for name, nbytes in peak.holders[:SHOWN]]
    left = peak.holders[SHOWN:]
    more = [f"{len(left)} more {sum(nbytes for _, nbytes in left):,}"] if left else []
    gaps = [f"gaps {peak.arena - peak.in_use:,}"] if peak.arena > peak.in_use else []
    return f"{printable(peak.where)}: {', '.join((*shown, *more, *gaps))}"


BESIDE = ("network", *(word for name in RUNTIMES for word in (name, "model", "error")))


def beside_cells(row: Row, figure: Callable[[Figures], float | None]) -> tuple[str, ...]:
    """Under BESIDE: published, modelled, and by how much the model is off."""
    pairs = ((figure(row.published[name]), figure(row.modelled[name])) for name in RUNTIMES)
    return row.network, *(cell for pair in pairs for cell in _beside(*pair))


def _beside(printed: float | None, model: float | None) -> tuple[str, str, str]:
    error = f"{model / printed - 1:+.1%}" if model and printed else ""
    return _figure(printed), "" if model is None else f"{model:.1f}", error


def _figure(printed: float | None) -> str:
    return OOM if printed is None else f"{printed:.0f}"


def _sram(figures: Figures) -> float | None:
    return figures.sram


def _flash(figures: Figures) -> float | None:
    return figures.flash


OURS = (NONE, LEAST)
FLASH = (*BESIDE, *(f"refsim, {plan}" for plan in OURS))
LATENCY = (
    *("network", *RUNTIMES),
    *(word for plan in OURS for word in (f"refsim, {plan}", "cycles", "cycles/MAC")),
)


def flash_cells(row: Row) -> tuple[str, ...]:
    """Under FLASH, in KiB."""
    return *beside_cells(row, _flash), *(_kib(row.executed[plan].report.flash.total) for plan in OURS)


def latency_cells(row: Row) -> tuple[str, ...]:
    """Under LATENCY, in milliseconds."""
    printed = (_figure(row.published[name].latency) for name in RUNTIMES)
    return row.network, *printed, *(cell for plan in OURS for cell in _estimate(row.executed[plan].report))


def _estimate(report: Report) -> tuple[str, ...]:
    milliseconds = "" if report.latency_ms is None else f"{report.latency_ms:.1f}"
    return milliseconds, f"{report.cycles:,}", f"{report.cycles / report.macs:.2f}"


def _kib(nbytes: float) -> str:
    return f"{nbytes / KIB:.1f}"


def _table(heads: Sequence[str], body: Iterable[Sequence[str]], words: Sequence[int] = (0,)) -> str:
    """Markdown; the columns in `words` are aligned to the left."""
    marks = ["---" if n in words else "--:" for n in range(len(heads))]
    return "\n".join(f"| {' | '.join(line)} |" for line in (heads, marks, *body))


def document(rows: Sequence[Row], words: Sequence[str]) -> str:
    """The whole page, made by COMMAND with these `words`."""
    runs = [run_cells(row, each) for row in rows for each in row.executed.values()]
    return TEXT.format(
        command=shlex.join((*COMMAND.split(), *words)),
        plans="\n".join(f"- {PLAN_TEXTS[plan]}" for plan in PLANS),
        inputs=INPUTS,
        compiler=rows[0].executed[NONE].report.toolchain,
        asked=_table(ASKED, map(_asked, lines(rows)), (0, 3)),
        own=_table(OWN, (*map(own_cells, rows), _means(rows))),
        runs=_table(RUNS, runs, (0, 1, 12)),
        beside=_table(BESIDE, (beside_cells(row, _sram) for row in rows)),
        flash=_table(FLASH, map(flash_cells, rows)),
        latency=_table(LATENCY, map(latency_cells, rows)),
        calibration=calibration(rows[0].executed[NONE].report),
    )


def calibration(report: Report) -> str:
    """How far the estimated cycles can be trusted."""
    error = report.cycles_error_pct
    state = (
        "**uncalibrated**: no measured board stands behind them"
        if error is None
        else f"within about {error:g} % (docs/accuracy.md)"
    )
    return f"refsim's cycles are estimated for {report.board} ({report.core}), {state}."


PLAN_TEXTS: Mapping[str, str] = {
    NONE: f"*{NONE}*: `--transforms {NONE}`, whole tensors, one layer after another",
    WHOLE: f"*{WHOLE}*: `--transforms {WHOLE}`, nothing is computed twice and no layer waits for another's rows",
    LEAST: f"*{LEAST}*: `--optimize {LEAST}`, layers may also run row by row together where that adds few instructions",
    CAMERA: f"*{CAMERA}*: the same for a camera that delivers rows; its image is not in our memory, and not counted",
}
TEXT = """# Table 3 of arXiv:2403.19076 beside refsim

Made by `{command}`; not edited by hand.
Published: Table 3 of arXiv:2403.19076, measured on an STM32H743 at 480 MHz; OOM is out of memory there.
The compiler is {compiler}; instructions, stack, flash and cycles are those of its code.

## Memory: refsim's plans, executed

Generated code of each plan ran under emulation ({board}) on {inputs} random inputs, and was compared with the reference
tensor by tensor as each layer returned. The arena has the claimed size, to the byte: once its first byte follows an
unmapped page, once its last is followed by one. SRAM is arena (activations, scratch, state, inputs and outputs), stack
and data.

{plans}

KiB; *share* is of the best published figure; *image* is the network's input alone:

{own}

{asked}

Each run, in bytes. *of the image*: the most of the image that is in our memory at once. *bounded by*: the layers that
run when most of the arena is in use, who holds those bytes, and *gaps*, which nobody uses then:

{runs}

## Memory: published and modelled

KiB of SRAM as Table 3 prints them, of refsim's models of the runtimes, and the models' errors:

{beside}

## Flash

KiB; refsim's are of the linked code and its constants:

{flash}

## Latency

Milliseconds at 480 MHz. {calibration}

{latency}
""".replace("{board}", BOARD)
