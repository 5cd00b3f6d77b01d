from __future__ import annotations

import numpy as np

from refsim.graph import Call, Quant, Tensor
from refsim.int8ops.pad import OPERATOR, Attributes


def case(rng, rank, dtype):
    shape = tuple(int(n) for n in rng.integers(1, 5, rank))
    attributes = Attributes(tuple((int(a), int(b)) for a, b in rng.integers(0, 3, (rank, 2))))
    quant = Quant((0.5,), (int(rng.integers(-128, 128)),)) if dtype == "int8" else None
    x = Tensor("x", shape, dtype, quant)
    y = Tensor("y", *OPERATOR.infer((x,), attributes), dtype, quant)
    return OPERATOR, Call((x,), (y,), attributes), [rng.integers(-128, 128, shape).astype(dtype)]


def test_every_rank(check_kernels):
    rng = np.random.default_rng(20)
    ranks = [1, 2, 3, *[4] * 12]
    check_kernels([case(rng, rank, dtype) for rank in ranks * 3 for dtype in ("int8", "float32")])
