from __future__ import annotations

import numpy as np

from refsim.graph import DTYPES, Call, Quant, Tensor
from refsim.int8ops.split import LARGEST_COUNT, OPERATOR, Attributes


def case(rng, rank, axis, parts, dtype):
    shape = [int(n) for n in rng.integers(1, 5, rank)]
    shape[axis] = parts * int(rng.integers(1, 4))
    quant = Quant((0.5,), (3,)) if dtype in ("int8", "int16") else None
    x, attributes = Tensor("x", tuple(shape), dtype, quant), Attributes(axis, parts)
    shapes = OPERATOR.infer((x,), attributes)
    call = Call((x,), tuple(Tensor(f"y{i}", s, dtype, quant) for i, s in enumerate(shapes)), attributes)
    OPERATOR.check(call)
    return OPERATOR, call, [rng.integers(-128, 128, shape).astype(DTYPES[dtype])]


AXES = [(rank, axis) for rank in (1, 2, 3, 4) for axis in range(rank)]


def test_every_axis_and_count(check_kernels):
    rng = np.random.default_rng(43)
    check_kernels([case(rng, *at, parts, "int8") for at in AXES for parts in (1, 2, 3)])
    check_kernels([case(rng, rank, 0, LARGEST_COUNT, "int8") for rank in (1, 4)])


def test_wider_types(check_kernels):
    rng = np.random.default_rng(44)
    check_kernels([case(rng, *at, 2, dtype) for at in AXES for dtype in ("int16", "float32")])
