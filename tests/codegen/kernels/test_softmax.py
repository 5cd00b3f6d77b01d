from __future__ import annotations

import numpy as np

from refsim.graph import Call, Quant, Tensor
from refsim.int8ops.softmax import OPERATOR, Attributes


def case(rng, shape, scale, spread):
    x = np.clip(rng.normal(rng.integers(-80, 80), spread, shape), -128, 127).astype(np.int8)
    source = Tensor("x", shape, "int8", Quant((float(np.float32(scale)),), (3,)))
    call = Call((source,), (Tensor("y", shape, "int8", Quant((1 / 256,), (-128,))),), Attributes(1.0))
    return OPERATOR, call, [x]


def test_every_rank_and_scale(check_kernels):
    rng = np.random.default_rng(13)
    shapes = [(7,), (3, 10), (1, 12), (2, 3, 5), (2, 3, 4, 2), (1, 2, 2, 100), (2, 1)]
    scales = [2.0**-20, 0.001, 0.02, 0.1, 0.5, 3.0, 1e5]
    check_kernels([case(rng, shape, scale, spread) for shape in shapes for scale in scales for spread in (2, 60)])


def test_rows_of_many_equal_values(check_kernels):
    rng = np.random.default_rng(14)
    check_kernels([case(rng, (1, depth), 0.1, 0) for depth in (511, 512, 1000, 4095)])
