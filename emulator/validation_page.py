"""A validation as a page: the verdict, cycles layer by layer, and what `analyze` knows of the same program."""

from __future__ import annotations

from collections.abc import Sequence

from codegen.analysis import Analysis
from codegen.html import Cell, Fact, Page, Table, bars
from codegen.report_page import common_tables, pictures
from refsim.report import Layer, Report, verdicts


def validation_page(report: Report, found: Analysis, model: str, options: str, shortfall: Sequence[str] = ()) -> Page:
    """The report of `validate`; `found` is the analysis of the program that ran."""
    return Page(
        title=f"{model} on {report.board} ({report.core})",
        subtitle=f"refsim validate, {options}, numerics {report.numerics}, {report.toolchain}",
        headline=_headline(report),
        holds=report.holds,
        facts=tuple(Fact(label, text, good) for label, text, good in verdicts(report, bool(shortfall))),
        shortfall=tuple(shortfall),
        sections=(_layers(report, found), *pictures(found, options, ()), *common_tables(found)),
    )


def _headline(report: Report) -> str:
    exact = "Bit-exact" if report.bit_exact else f"{report.tensors.mismatched} tensors differ from the reference"
    took = f"{report.latency_ms:.3f} ms" if report.latency_ms is not None else f"{report.cycles:,} cycles"
    return f"{exact}, {took}, {'fits' if report.fits else 'does not fit'}"


def _layers(report: Report, found: Analysis) -> Table:
    layers = report.layers
    used = [layer.sram for layer in found.layers] if len(found.layers) == len(layers) else [None] * len(layers)
    macs, cycles = bars([layer.macs for layer in layers]), bars([layer.cycles for layer in layers])
    sram = bars(used)
    rows = tuple(
        (Cell(str(n)), *_named(layer), macs[n], cycles[n], Cell(_share(layer, report)), *_rest(layer), sram[n])
        for n, layer in enumerate(layers)
    )
    columns = ("#", "layer", "operator", "output", "#MACs", "#cycles", "#share", "#cycles/MAC", "exact", "#SRAM in use")
    return Table("Layers", columns, rows)


def _named(layer: Layer) -> tuple[Cell, ...]:
    return Cell(layer.name), Cell(layer.op), Cell(layer.output)


def _share(layer: Layer, report: Report) -> str:
    return f"{100 * layer.cycles / report.cycles:.1f} %" if report.cycles else ""


def _rest(layer: Layer) -> tuple[Cell, ...]:
    per_mac = f"{layer.cycles / layer.macs:.2f}" if layer.macs else ""
    wrong = f"{layer.mismatches:,} wrong" if layer.mismatches else ""
    return Cell(per_mac), Cell(wrong, good=not layer.mismatches)
