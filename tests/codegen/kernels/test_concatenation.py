from __future__ import annotations

from dataclasses import replace

import numpy as np

from refsim.graph import Call, Quant, Tensor
from refsim.int8ops.concatenation import LARGEST_COUNT, OPERATOR, Attributes


def case(rng, rank, axis, count, dtype):
    shape = [int(n) for n in rng.integers(1, 5, rank)]
    quant = Quant((0.5,), (3,)) if dtype == "int8" else None
    shapes = [(*shape[:axis], int(rng.integers(1, 5)), *shape[axis + 1 :]) for _ in range(count)]
    values = [rng.integers(-128, 128, s).astype(dtype) for s in shapes]
    inputs = [Tensor(f"x{i}", s, dtype, quant) for i, s in enumerate(shapes)]
    for i in np.flatnonzero(rng.integers(0, 4, count) == 0):
        inputs[i] = replace(inputs[i], data=values[i])
    y = Tensor("y", *OPERATOR.infer(inputs, Attributes(axis)), dtype, quant)
    return OPERATOR, Call(tuple(inputs), (y,), Attributes(axis)), values


def test_every_axis_with_constants_among_the_inputs(check_kernels):
    rng = np.random.default_rng(22)
    axes = [(rank, axis) for rank in (1, 2, 3, 4) for axis in range(rank)]
    counts = [1, 2, 3, LARGEST_COUNT]
    check_kernels([case(rng, *at, count, dtype) for at in axes for count in counts for dtype in ("int8", "float32")])
