"""Depthwise convolutions of the usual kernels on a core: four outputs at a time in assembly, with any number of them
left over, whole and by rows out of a ring."""

from __future__ import annotations

import pytest

from codegen import toolchain
from emulator.inputs import inputs_for
from emulator.validation import validate_program
from refsim import boards
from refsim.builder import Builder
from refsim.graph import Graph
from refsim.int8ops.numerics import TFLM
from refsim.memsim.assemble import assemble
from refsim.memsim.lifetime import lower, planned

WIDTHS = (9, 10, 11, 14, 16)  # 1, 2, 3 or no outputs left over with stride 1; 1, 2, 3 or none with stride 2


def pairs(kernel: int) -> Graph:
    """For each width and stride a pointwise convolution and a depthwise one."""
    b = Builder(f"depthwise {kernel}", seed=kernel)
    outputs = []
    for width in WIDTHS:
        x = b.input((1, 11, width, 4), quant=(0.05, 3))
        for stride, activation in ((1, "none"), (2, "relu6")):
            t = b.conv2d(x, 5, 1, quant=(0.05, -5))
            quant = (0.025 if activation == "relu6" else 0.04, -11)
            outputs.append(b.depthwise_conv2d(t, kernel, stride=stride, activation=activation, quant=quant))
    return b.build(outputs)


@pytest.mark.toolchain
@pytest.mark.parametrize("rows", [0, 2])
@pytest.mark.parametrize("kernel", [3, 5, 7])
@pytest.mark.parametrize("name", ["zig", "gcc"])
def test_outputs_equal_the_reference(name: str, kernel: int, rows: int) -> None:
    if toolchain.FINDERS[name]() is None:
        pytest.skip(f"{name} is not installed")
    graph = pairs(kernel)
    segments = [(n, n + 1) for n in range(0, len(graph.nodes), 2)]
    program = planned(assemble(graph, lower(graph, TFLM), segments, dict.fromkeys(segments, rows) if rows else {}))
    board = boards.find("generic-m4")
    report = validate_program(graph, program, board, list(inputs_for(graph, 1, kernel)), toolchain=name)
    assert report.bit_exact, report.first_mismatch
