"""The MEAN kernel against the reference: every set of axes of every rank, scales, every layout of rows."""

from __future__ import annotations

from itertools import chain, combinations
from typing import Any

import numpy as np
import pytest

from refsim.graph import Call, Quant, Tensor
from refsim.int8ops.mean import OPERATOR, Reduction

QUANTS = [((0.1, -4), (0.1, -4)), ((0.1, 127), (0.03, 9)), ((0.01, -128), (0.4, -128)), ((0.9, 0), (0.001, 5))]


def case(seed: int, shape: tuple[int, ...], axes: tuple[int, ...], keep_dims: bool, quants: Any) -> Any:
    random = np.random.default_rng(seed)
    x = Tensor("x", shape, "int8", Quant((float(np.float32(quants[0][0])),), (quants[0][1],)))
    attributes = Reduction(axes, keep_dims)
    y_quant = Quant((float(np.float32(quants[1][0])),), (quants[1][1],))
    y = Tensor("y", OPERATOR.infer((x,), attributes)[0], "int8", y_quant)
    call = Call((x,), (y,), attributes)
    OPERATOR.check(call)
    return OPERATOR, call, [random.integers(-128, 128, shape).astype(np.int8)]


@pytest.mark.parametrize("keep_dims", [False, True])
def test_every_set_of_axes(check_kernels: Any, keep_dims: bool) -> None:
    cases = []
    for shape in ((2, 3, 4, 5), (1, 5, 3, 3), (3, 4, 7), (6, 5), (9,)):
        every = chain.from_iterable(combinations(range(len(shape)), n) for n in range(len(shape) + 1))
        cases += [case(i, shape, axes, keep_dims, QUANTS[i % 4]) for i, axes in enumerate(every)]
    check_kernels(cases)


def test_many_values(check_kernels: Any) -> None:
    check_kernels([case(i, (1, 33, 31, 3), (1, 2), False, quants) for i, quants in enumerate(QUANTS)])
