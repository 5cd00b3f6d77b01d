"""What was found out about a model on a board: one record, printed as a table, JSON or CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import compress
from typing import TYPE_CHECKING, Any, Literal

from refsim.printable import printable

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

KIB = 1024
FITS_ON = "fits on"
LONGEST = 2000  # characters of a sentence


@dataclass(frozen=True, slots=True)
class Layer:
    """One layer of the generated code; `mismatches` counts wrong elements over all inputs tried."""

    name: str
    op: str
    macs: int
    cycles: int
    instructions: int
    output: str = ""
    mismatches: int = 0


@dataclass(frozen=True, slots=True)
class Tensors:
    """Computed tensors of the model: compared + eliminated = total; `eliminated_because` says why for each."""

    compared: int
    total: int
    mismatched: int
    eliminated_because: Mapping[str, str] = field(default_factory=dict)

    @property
    def eliminated(self) -> int:
        return len(self.eliminated_because)


@dataclass(frozen=True, slots=True)
class Sram:
    """Bytes: the arena (activations, scratch, inputs and outputs), stack high-water mark, .data and .bss."""

    arena: int
    stack: int
    data: int

    @property
    def total(self) -> int:
        return self.arena + self.stack + self.data


@dataclass(frozen=True, slots=True)
class Flash:
    """Bytes of the linked code, and of constants; `detail` has parts that sum to both."""

    code: int
    weights: int
    detail: Mapping[str, int] = field(default_factory=dict)

    @property
    def total(self) -> int:
        return self.code + self.weights


@dataclass(frozen=True, slots=True)
class Limits:
    """What the board has, in bytes, and which others would do."""

    sram: int
    flash: int
    boards_that_fit: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Report:
    """Result of `validate`. Times carry their unit; None where nobody knows."""

    model: str
    board: str
    core: str
    clock_hz: int | None
    toolchain: str
    numerics: str
    inputs_tried: int
    tensors: Tensors
    cycles: int
    cycles_error_pct: float | None
    instructions: int
    macs: int
    nj_per_cycle: float | None
    sram: Sram
    flash: Flash
    limits: Limits
    layers: tuple[Layer, ...]
    first_mismatch: str | None = None

    @property
    def bit_exact(self) -> bool:
        return self.tensors.mismatched == 0

    @property
    def fits(self) -> bool:
        return self.sram.total <= self.limits.sram and self.flash.total <= self.limits.flash

    @property
    def holds(self) -> bool:
        return self.bit_exact and self.fits

    @property
    def latency_ms(self) -> float | None:
        return None if self.clock_hz is None else 1e3 * self.cycles / self.clock_hz

    @property
    def energy_mj(self) -> float | None:
        return None if self.nj_per_cycle is None else 1e-6 * self.cycles * self.nj_per_cycle


def as_json(report: Report) -> dict[str, Any]:
    """The object that `--json` prints."""
    return {
        "model": report.model,
        "board": report.board,
        "core": report.core,
        "clock_hz": report.clock_hz,
        "toolchain": report.toolchain,
        "numerics": report.numerics,
        "bit_exact": report.bit_exact,
        "inputs_tried": report.inputs_tried,
        "tensors": {
            "compared": report.tensors.compared,
            "eliminated": report.tensors.eliminated,
            "total": report.tensors.total,
            "mismatched": report.tensors.mismatched,
            "eliminated_because": dict(report.tensors.eliminated_because),
        },
        "first_mismatch": report.first_mismatch,
        "cycles": report.cycles,
        "cycles_error_pct": report.cycles_error_pct,
        "latency_ms": report.latency_ms,
        "energy_mj": report.energy_mj,
        "instructions": report.instructions,
        "macs": report.macs,
        "sram": {**asdict(report.sram), "total": report.sram.total, "available": report.limits.sram},
        "flash": {**asdict(report.flash), "total": report.flash.total, "available": report.limits.flash},
        "fits": report.fits,
        "boards_that_fit": list(report.limits.boards_that_fit),
        "layers": [asdict(layer) for layer in report.layers],
    }


def as_csv(report: Report) -> str:
    """One line per layer."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["layer", "name", "op", "output", "macs", "cycles", "instructions", "mismatches"])
    for n, layer in enumerate(report.layers):
        row = [layer.name, layer.op, layer.output, layer.macs, layer.cycles, layer.instructions, layer.mismatches]
        writer.writerow([n, *row])
    return text.getvalue()


def print_report(report: Report, console: Console, shortfall: Sequence[str] = ()) -> None:
    """The table that people read; `shortfall` are sentences on what does not fit (`memsim.budget`)."""
    from rich.markup import escape

    console.print(_layers(report, console.width))
    for label, text, good in verdicts(report, bool(shortfall)):
        mark = {True: "[green]✓[/]", False: "[red]✗[/]", None: " "}[good]
        console.print(f"{mark} [bold]{label:<9}[/] {escape(text)}", highlight=False, soft_wrap=True)
    for sentence in shortfall:
        console.print(escape(printable(sentence, LONGEST)), highlight=False, soft_wrap=True)


# Heading, alignment, and the terminal width from which on the column is shown.
_COLUMNS: tuple[tuple[str, Literal["left", "right"], int], ...] = (
    ("#", "right", 100),
    ("layer", "left", 0),
    ("output", "left", 70),
    ("MACs", "right", 60),
    ("cycles", "right", 0),
    ("share", "right", 0),
    ("", "left", 110),
    ("cycles/MAC", "right", 100),
    ("exact", "left", 0),
)


def _layers(report: Report, width: int) -> Table:
    from rich import box
    from rich.markup import escape
    from rich.table import Table

    title = f"{escape(printable(report.model))} on {escape(printable(report.board))} ({report.core})"
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    shown = [width >= least for _, _, least in _COLUMNS]
    for heading, justify, least in _COLUMNS:
        if width >= least:
            table.add_column(heading, justify=justify, no_wrap=True)
    for n, layer in enumerate(report.layers):
        table.add_row(*compress(_cells(n, layer, report.cycles), shown))
    per_mac = f"{report.cycles / report.macs:.2f}" if report.macs else ""
    total = ("", "total", "", f"{report.macs:,}", f"{report.cycles:,}", "100 %", "", per_mac, "")
    table.add_section()
    table.add_row(*compress(total, shown))
    return table


def _cells(number: int, layer: Layer, cycles: int) -> tuple[str, ...]:
    share = layer.cycles / cycles if cycles else 0.0
    return (
        str(number),
        layer.op,
        layer.output,
        f"{layer.macs:,}" if layer.macs else "",
        f"{layer.cycles:,}",
        f"{100 * share:.1f} %",
        "█" * round(20 * share) or "▏",
        f"{layer.cycles / layer.macs:.2f}" if layer.macs else "",
        f"[red]{layer.mismatches} wrong[/]" if layer.mismatches else "[green]✓[/]",
    )


def verdicts(report: Report, explained: bool = False) -> list[tuple[str, str, bool | None]]:
    """(label, text, whether it is good; None where nothing is judged), the texts printable.

    Where a shortfall is `explained` in sentences these name the boards that fit.
    """
    told = (row for row in _verdicts(report) if not (explained and row[0] == FITS_ON))
    return [(label, printable(text, LONGEST), good) for label, text, good in told]


def _verdicts(report: Report) -> list[tuple[str, str, bool | None]]:
    return [
        ("bit-exact", _exactness(report), report.bit_exact),
        ("latency", _latency(report), None),
        ("SRAM", _sram(report), report.sram.total <= report.limits.sram),
        ("flash", _flash(report), report.flash.total <= report.limits.flash),
        *([] if report.fits else [(FITS_ON, ", ".join(report.limits.boards_that_fit) or "no known board", None)]),
        ("built by", report.toolchain, None),
    ]


def _exactness(report: Report) -> str:
    t = report.tensors
    wrong = f"; {t.mismatched} tensors differ, first {report.first_mismatch}" if t.mismatched else ""
    counted = f"{t.compared} of {t.total} tensors compared, {t.eliminated} eliminated"
    return f"{counted}, {report.inputs_tried} inputs, numerics {report.numerics}{wrong}"


def _latency(report: Report) -> str:
    known = report.cycles_error_pct is not None
    band = f"± {report.cycles_error_pct:.0f} %" if known else "uncalibrated estimate"
    counted = f"{report.cycles:,} cycles ({band}), {report.instructions:,} instructions"
    if report.latency_ms is None or report.clock_hz is None:
        return f"{counted}; the board has no clock"
    energy = f", {report.energy_mj:.3f} mJ" if report.energy_mj is not None else ""
    return f"{report.latency_ms:.3f} ms at {report.clock_hz / 1e6:g} MHz{energy}: {counted}"


def _room(used: int, available: int) -> str:
    left = available - used
    return (
        f"of {_size(available)}, {_size(left)} free" if left >= 0 else f"of {_size(available)}: {_size(-left)} too much"
    )


def _size(nbytes: int) -> str:
    return f"{nbytes:,} B ({nbytes / KIB:.1f} KiB)"


def _sram(report: Report) -> str:
    s = report.sram
    return (
        f"{_size(s.total)} {_room(s.total, report.limits.sram)}: arena {s.arena:,}, stack {s.stack:,}, data {s.data:,}"
    )


def _flash(report: Report) -> str:
    f = report.flash
    return f"{_size(f.total)} {_room(f.total, report.limits.flash)}: code {f.code:,}, weights {f.weights:,}"
