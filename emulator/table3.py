"""Table 3 of arXiv:2403.19076 beside our figures: `python -m emulator.table3` prints memory, flash and latency.

The published figures are in golden/measured/table3.csv. Other runtimes are modelled (`refsim.memsim.runtimes`). Ours
are executed: every plan's generated code runs under emulation, tensor by tensor against the reference.
"""

from __future__ import annotations

import argparse
import csv
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from statistics import geometric_mean

import numpy as np

from codegen.build import make_program
from emulator.inputs import inputs_for
from emulator.validation import validate_program
from refsim import boards, files, interpreter, passes, zoo
from refsim.cli import BAD_INPUT, FAILED, HOLDS, INTERRUPTED, Parser
from refsim.errors import Fault, InputError, UsageError
from refsim.graph import Array, Graph
from refsim.int8ops.numerics import TFLM
from refsim.memsim import camera
from refsim.memsim.occupancy import Column, Occupancy, of_program
from refsim.memsim.program import Program
from refsim.memsim.runtimes import RUNTIMES
from refsim.memsim.transforms import effort
from refsim.report import KIB, Report

COMMAND = "python -m emulator.table3"
TABLE = Path(__file__).parents[1] / "golden" / "measured" / "table3.csv"
BOARD = "nucleo-h743zi"
INPUTS = 2  # one in an arena flush with the unmapped page before it, one flush with the page behind
NONE, WHOLE, LEAST, CAMERA = "none", "order,inplace,overlap", "sram", "camera"
PLANS: Mapping[str, Callable[[Graph], Program]] = {
    NONE: lambda graph: make_program(graph, TFLM, transforms=NONE),
    WHOLE: lambda graph: make_program(graph, TFLM, transforms=WHOLE),
    LEAST: lambda graph: make_program(graph, TFLM, optimize=LEAST),
    CAMERA: lambda graph: camera.by_rows(passes.optimise(graph, TFLM), TFLM, effort(LEAST)),
}
Progress = Callable[[str, str], None]  # the network, and the plan that is executed next


@dataclass(frozen=True, slots=True)
class Figures:
    """What a runtime takes: KiB and milliseconds. None where Table 3 says out of memory, or nobody models it."""

    sram: float | None
    flash: float | None
    latency: float | None = None


@dataclass(frozen=True, slots=True)
class Peak:
    """When most of an arena is in use: `holders` have `in_use` of its bytes, the most first. Outside is left out."""

    where: str
    in_use: int
    arena: int
    holders: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class Executed:
    """A plan whose code was run. `outside` bytes of its arena are an image that is not in our memory; of the image,
    `image` bytes are in it at most."""

    plan: str
    report: Report
    bit_exact: bool
    outside: int
    peak: Peak
    image: int

    @property
    def sram(self) -> int:
        """Bytes of arena, stack and data."""
        return self.report.sram.total - self.outside


@dataclass(frozen=True, slots=True)
class Row:
    """One network; figures by runtime, our plans by name. `image` is its input in bytes."""

    network: str
    published: Mapping[str, Figures]
    modelled: Mapping[str, Figures]
    executed: Mapping[str, Executed]
    image: int

    @property
    def best(self) -> float:
        """The least SRAM published for it, in bytes."""
        return KIB * min(found.sram for found in self.published.values() if found.sram is not None)

    def share(self, plan: str) -> float:
        """Of the best published."""
        return self.executed[plan].sram / self.best

    def instructions(self, plan: str) -> float:
        """Relative to the plan without transformations."""
        return self.executed[plan].report.instructions / self.executed[NONE].report.instructions


def mean_share(rows: Sequence[Row], plan: str) -> float:
    """The geometric mean."""
    return geometric_mean([row.share(plan) for row in rows])


def published(table: Path = TABLE) -> Mapping[str, Mapping[str, Figures]]:
    """Network -> runtime -> what is printed. Raises UsageError where the file is not there."""
    try:
        lines = list(csv.DictReader(table.read_text().splitlines()))
    except OSError:
        raise UsageError(f"'{table}' is not there: expected a checkout of refsim, whose data a wheel lacks") from None
    found: dict[str, dict[str, Figures]] = {}
    for line in lines:
        sram, flash, latency = (float(line[k]) if line[k] else None for k in ("sram_kib", "flash_kib", "latency_ms"))
        found.setdefault(line["model"], {})[line["runtime"]] = Figures(sram, flash, latency)
    return found


def modelled(graph: Graph) -> Mapping[str, Figures]:
    """Every runtime's SRAM with what the runtime itself has in it, as a board's memory shows, and flash."""
    found = {name: runtime(graph) for name, runtime in RUNTIMES.items()}
    return {name: Figures((f.sram + f.static) / KIB, f.flash / KIB) for name, f in found.items()}


def row(network: str, plans: Sequence[str] = tuple(PLANS), progress: Progress = lambda network, plan: None) -> Row:
    """Plan and execute one network of Table 3. Raises UsageError where it has no such network."""
    known = published()
    if network not in known:
        raise UsageError(f"--network '{network}' is not in Table 3: expected one of {', '.join(known)}")
    graph = zoo.find(network)
    executed = {}
    for plan in plans:
        progress(network, plan)
        executed[plan] = execute(graph, plan, PLANS[plan](graph))
    image = sum(graph.tensors[i].nbytes for i in graph.inputs)
    return Row(network, known[network], modelled(graph), executed, image)


def execute(graph: Graph, plan: str, program: Program) -> Executed:
    """Run the code of a Program that somebody made of `graph`, a random input in each of the two arenas.

    A Program may have layers that the graph lacks, as those that receive rows: each tensor is then compared with the
    reference on the Program's graph, and that one's answers with those of the model as it was read.
    """
    model = program.graph if program.outside else graph
    inputs = tuple(islice(inputs_for(graph, INPUTS, 0), INPUTS))
    report = validate_program(model, program, boards.find(BOARD), inputs, numerics=TFLM)
    exact = report.bit_exact and (model is graph or all(_same_answers(graph, model, values) for values in inputs))
    occupancy = own(program)
    held = _image_bytes(program, occupancy)
    return Executed(plan, report, exact, program.arena_bytes - program.own_bytes, peak(program, occupancy), held)


def _same_answers(graph: Graph, other: Graph, inputs: Sequence[Array]) -> bool:
    ours, theirs = (interpreter.run(each, inputs, TFLM) for each in (graph, other))
    pairs = zip(graph.outputs, other.outputs, strict=True)
    return all(np.array_equal(ours[i], theirs[j]) for i, j in pairs)


def own(program: Program) -> Occupancy:
    """What lies in our bytes of the arena."""
    images = [program.graph.tensors[v.tensor].name for v in program.inputs if v.buffer in program.outside]
    return _without(of_program(program), images)


def _without(occupancy: Occupancy, names: Sequence[str]) -> Occupancy:
    """What is left where those tenants are not ours."""
    gone = [who for who, tenant in enumerate(occupancy.tenants) if tenant.name in names]
    return replace(occupancy, runs=occupancy.runs[~np.isin(occupancy.runs[:, 2], gone)])


def peak(program: Program, occupancy: Occupancy) -> Peak:
    """Who is alive when most of the arena is in use."""
    _, column = occupancy.column_at(occupancy.peak)
    held = tuple((tenant.name, nbytes) for tenant, nbytes in occupancy.alive(occupancy.peak))
    return Peak(_where(column), occupancy.most, program.own_bytes, held)


def _where(column: Column) -> str:
    first, last = column.layers[0].name, column.layers[-1].name
    return first if first == last else f"{first} to {last}, row by row"


def _image_bytes(program: Program, occupancy: Occupancy) -> int:
    """The most bytes of the image that are in our memory at once: the inputs, or what their rows are copied to."""
    graph = program.graph
    behind = [graph.nodes[n].outputs[0] for i in graph.inputs if program.outside for n in graph.consumers[i]]
    names = {graph.tensors[i].name for i in behind or graph.inputs}
    others = [tenant.name for tenant in occupancy.tenants if tenant.name not in names]
    return _without(occupancy, others).most


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = Parser(prog=COMMAND, description="Table 3 of arXiv:2403.19076 beside refsim's models and executed plans.")
    parser.add_argument("-o", "--output", metavar="F.md", help="write the page there instead of printing it")
    text = "of Table 3, such as mcunet-vww0@64; may be repeated (default: all)"
    parser.add_argument("--network", action="append", metavar="N", help=text)
    return parser.parse_args(argv)


def _rows(networks: Sequence[str]) -> Iterator[Row]:
    from emulator.commands import progress

    order = [(network, plan) for network in networks for plan in PLANS]
    with progress() as show:

        def begun(network: str, plan: str) -> None:
            show(f"{network}, {plan}", order.index((network, plan)), len(order))

        for network in networks:
            yield row(network, progress=begun)


def main(argv: Sequence[str] | None = None) -> int:
    """The exit status."""
    from emulator.table3_page import document

    try:
        arguments = _arguments(argv)
        networks = list(dict.fromkeys(arguments.network or published()))
        text = document(list(_rows(networks)), sys.argv[1:] if argv is None else argv)
        if arguments.output:
            files.write(arguments.output, text.encode())
        else:
            print(text, end="")
    except (InputError, Fault) as error:
        print(f"error: {error}", file=sys.stderr)
        return FAILED if isinstance(error, Fault) else BAD_INPUT
    except KeyboardInterrupt:
        return INTERRUPTED
    return HOLDS


if __name__ == "__main__":
    sys.exit(main())
