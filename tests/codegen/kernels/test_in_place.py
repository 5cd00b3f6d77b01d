"""Kernels whose operator says that the output may overwrite an input: run in the very bytes of that input."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from refsim.graph import Call, Quant, Tensor
from refsim.importers.tflite import read_tflite
from refsim.int8ops import add, mul, strided_slice
from refsim.int8ops.elementwise import Elementwise
from refsim.interpreter import random_inputs

REFERENCE = Path(__file__).resolve().parents[3] / "golden" / "reference"
OVERWRITING = {"add", "mul", "quantize", "relu", "relu6", "softmax"}


def cases(folder: Path) -> list[Any]:
    """Each application of an operator in its goldens that may overwrite an input, with random values."""
    found = []
    for number, path in enumerate(sorted(folder.glob("*.tflite"))):
        graph = read_tflite(path.read_bytes(), path.stem)
        given = dict(zip(graph.inputs, random_inputs(graph, number), strict=True))
        for node in graph.nodes[:12]:  # the others repeat them with other scales
            call = graph.call(node)
            values = [given.get(i, graph.tensors[i].data) for i in node.inputs]
            if node.operator.overwrites(call):
                found.append((node.operator, call, values))
    return found


@pytest.mark.parametrize("folder", sorted(REFERENCE.glob("*/")), ids=lambda folder: folder.name)
def test_goldens_in_the_bytes_of_their_input(folder: Path, check_kernels: Any) -> None:
    found = cases(folder)
    assert bool(found) == (folder.name in OVERWRITING)
    if found:
        for seed in range(2):
            check_kernels(found, seed, in_place=True)


@pytest.mark.parametrize("operator", [add.OPERATOR, mul.OPERATOR], ids=lambda operator: operator.name)
def test_a_tensor_with_itself_in_its_own_bytes(operator: Any, check_kernels: Any) -> None:
    random = np.random.default_rng(9)
    made = []
    for shape in ((1, 5, 4, 3), (2, 3, 4, 5), (7, 9), (13,), (2, 3)):
        x = Tensor("x", shape, "int8", Quant((0.05,), (3,)))
        y = Tensor("y", shape, "int8", Quant((0.09,), (-5,)))
        value = random.integers(-128, 128, shape).astype(np.int8)
        made.append((operator, Call((x, x), (y,), Elementwise(0)), [value, value]))
    check_kernels(made * 3, in_place=True)


def test_a_kernel_that_reads_what_it_overwrote_is_caught(run_kernel: Any) -> None:
    x = Tensor("x", (1, 6), "int8", Quant((0.05,), (3,)))
    cut = strided_slice.Cut((0, 5), (1, 6), (1, -1), (0, 1))
    call = Call((x,), (Tensor("y", x.shape, "int8", x.quant),), cut)
    value = np.arange(6, dtype=np.int8).reshape(1, 6)
    assert strided_slice.OPERATOR.overwrites(call) == ()
    (found,) = run_kernel(strided_slice.OPERATOR, call, [value])
    np.testing.assert_array_equal(found, value[:, ::-1])
    (found,) = run_kernel(strided_slice.OPERATOR, call, [value], in_place=0)
    np.testing.assert_array_equal(found, [[5, 4, 3, 3, 4, 5]])
