"""What streaming adds, as estimated (`memsim.work`), against what a Cortex-M4 executes."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from codegen import toolchain
from emulator.inputs import inputs_for
from emulator.validation import validate_program
from refsim import boards, passes, zoo
from refsim.graph import Graph, KernelCall
from refsim.int8ops.numerics import TFLM
from refsim.memsim.assemble import Segment, Streams, assemble
from refsim.memsim.lifetime import lower, planned
from refsim.memsim.stream import schedule
from refsim.memsim.work import Work

TOO_LOW, TOO_HIGH = 0.4, 0.8  # by how many percentage points of a network's instructions the estimate may miss
CUTS = [  # (network, first and last node of each streamed segment, rows at once)
    ("mcunet-vww0@64", ((0, 12),), 4),
    ("mcunet-vww0@64", ((0, 9), (10, 20)), 2),
    ("mbv2-w0.3@64", ((1, 8),), 1),
    ("mbv2-w0.3@64", ((0, 20),), 4),
    ("proxyless-w0.3@64", ((0, 10),), 2),
]


def executed(graph: Graph, calls: Sequence[KernelCall], segments: Sequence[Segment], streams: Streams) -> int:
    program = planned(assemble(graph, calls, segments, streams))
    report = validate_program(graph, program, boards.find("generic-m4"), list(inputs_for(graph, 1, 0))[:1])
    assert report.bit_exact, report.first_mismatch
    return report.instructions


@pytest.mark.toolchain
@pytest.mark.slow
@pytest.mark.parametrize(("name", "chains", "rows"), CUTS)
def test_the_estimate_is_what_is_executed(name: str, chains: tuple[tuple[int, int], ...], rows: int) -> None:
    if toolchain.FINDERS["zig"]() is None:
        pytest.skip("zig is not installed")
    graph = passes.optimise(zoo.find(f"zoo:{name}"), TFLM)
    calls = lower(graph, TFLM)
    streams = {tuple(range(first, last + 1)): rows for first, last in chains}
    inside = {n for segment in streams for n in segment}
    segments = sorted([*streams, *((n,) for n in range(len(graph.nodes)) if n not in inside)])
    estimate = Work(graph, calls)
    expected = sum(estimate.extra(schedule(graph, segment, rows)) for segment in streams) / estimate.whole()
    whole = executed(graph, calls, [(n,) for n in range(len(graph.nodes))], {})
    found = executed(graph, calls, segments, streams) / whole - 1
    assert -TOO_LOW < 100 * (expected - found) < TOO_HIGH
    assert estimate.whole() == pytest.approx(whole, rel=0.06)
