"""The MUL kernel against the reference: broadcasting, constants, scales, clamps, every layout of rows."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from refsim.graph import Array, Call, Quant, Tensor
from refsim.int8ops.elementwise import Elementwise
from refsim.int8ops.mul import OPERATOR

SHAPES = [
    ((1, 6, 5, 4), (1, 6, 5, 4)),
    ((2, 3, 4, 5), (2, 3, 4, 5)),
    ((2, 3, 4, 5), (5,)),
    ((2, 3, 4, 5), (1, 1, 1, 1)),
    ((2, 3, 1, 5), (1, 3, 4, 1)),
    ((1, 3, 1, 5), (2, 1, 4, 5)),
    ((3, 1, 5), (2, 3, 4, 5)),
    ((4, 5), (2, 3, 4, 5)),
    ((7, 9), (7, 9)),
    ((7, 1), (1, 9)),
    ((2, 3, 4), (3, 1)),
    ((13,), (13,)),
    ((2, 1, 2, 2, 3), (2, 1, 2, 2, 3)),
]
# (scale, zero point) of both inputs and the output
QUANTS = [
    ((0.05, 3), (0.031, -7), (0.009, 5)),
    ((0.05, -128), (0.05, 127), (0.05, -128)),
    ((0.5, 0), (0.5, 0), (0.25, 0)),
    ((3.0, -3), (2.0, 12), (0.4, -20)),
    ((3000.0, 1), (2000.0, 2), (0.4, -20)),
    ((1e-6, 1), (1e-6, 2), (4.0, -20)),
]


def tensor(name: str, shape: tuple[int, ...], quant: tuple[float, int], data: Array | None = None) -> Tensor:
    return Tensor(name, shape, "int8", Quant((float(np.float32(quant[0])),), (quant[1],)), data)


def case(seed: int, shapes: Any, quants: Any, activation: int = 0, constant: int | None = None) -> Any:
    random = np.random.default_rng(seed)
    values = [random.integers(-128, 128, shape).astype(np.int8) for shape in shapes]
    data = [value if index == constant else None for index, value in enumerate(values)]
    inputs = tuple(tensor(f"x{i}", shapes[i], quants[i], data[i]) for i in (0, 1))
    attributes = Elementwise(activation)
    y = tensor("y", OPERATOR.infer(inputs, attributes)[0], quants[2])
    call = Call(inputs, (y,), attributes)
    OPERATOR.check(call)
    return OPERATOR, call, values


@pytest.mark.parametrize("constant", [None, 0, 1])
def test_every_broadcast(check_kernels: Any, constant: int | None) -> None:
    check_kernels([case(i, shapes, QUANTS[0], i % 4, constant) for i, shapes in enumerate(SHAPES)])


def test_every_pair_of_values(check_kernels: Any) -> None:
    every = np.arange(-128, 128, dtype=np.int8)
    cases = []
    for quants in QUANTS:
        operator, call, _ = case(0, ((256, 256), (256, 256)), quants)
        cases.append((operator, call, [np.tile(every, (256, 1)), np.repeat(every, 256).reshape(256, 256)]))
    check_kernels(cases)


def test_scales_of_all_sizes(check_kernels: Any) -> None:
    random = np.random.default_rng(1)
    cases = []
    for seed in range(40):
        scales = 10 ** random.uniform(-4, 0, 3)
        quants = [(s, int(z)) for s, z in zip(scales, random.integers(-128, 128, 3), strict=True)]
        cases.append(case(seed, ((3, 67), (3, 67)), quants, seed % 4))
    check_kernels(cases)


def test_a_square(check_kernels: Any) -> None:
    operator, call, values = case(3, ((1, 4, 3, 5), (1, 4, 3, 5)), (QUANTS[0][0], QUANTS[0][0], QUANTS[0][2]))
    same = Call((call.x, call.x), call.outputs, call.attributes)
    check_kernels([(operator, same, [values[0], values[0]])])
