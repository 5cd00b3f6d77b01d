from __future__ import annotations

import numpy as np

from refsim.graph import Call, Quant, Tensor
from refsim.int8ops.quantize import OPERATOR

SPECIAL = np.array([0.0, -0.0, np.inf, -np.inf, np.nan, 1e-45, -1e-40, 3e38, -3e38, 1e30], np.float32)


def case(rng, shape, scale):
    scale = np.float32(scale)
    y = Tensor("y", shape, "int8", Quant((float(scale),), (int(rng.integers(-128, 128)),)))
    count = int(np.prod(shape))
    with np.errstate(all="ignore"):
        ties = ((rng.integers(-300, 300, count) + 0.5) * float(scale)).astype(np.float32)
        normal = (rng.normal(0, 100, count) * scale).astype(np.float32)
        x = np.where(rng.integers(0, 2, count), np.nextafter(ties, np.float32(rng.choice([-np.inf, np.inf]))), normal)
    x[: min(count, 10)] = SPECIAL[:count]
    return OPERATOR, Call((Tensor("x", shape, "float32"),), (y,), None), [rng.permutation(x).reshape(shape)]


def test_floats_of_every_size(check_kernels):
    rng = np.random.default_rng(17)
    shapes = [(1,), (4, 9), (2, 3, 4, 5), (1, 2, 8, 64)]
    scales = [1e-44, 1e-39, 1e-20, 0.003, 0.0078125, 0.1, 1.0, 255.0, 1e30]
    check_kernels([case(rng, shape, scale) for shape in shapes for scale in scales])
