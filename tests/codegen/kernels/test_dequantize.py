from __future__ import annotations

import numpy as np

from refsim.graph import DTYPES, Call, Quant, Tensor
from refsim.int8ops.dequantize import OPERATOR


def case(rng, shape, scale, dtype):
    zero_point = int(rng.integers(256)) - (128 if dtype == "int8" else 0)
    x = Tensor("x", shape, dtype, Quant((float(np.float32(scale)),), (zero_point,)))
    values = rng.permutation(np.arange(np.prod(shape)) % 256).astype(np.uint8).view(DTYPES[dtype]).reshape(shape)
    return OPERATOR, Call((x,), (Tensor("y", shape, "float32"),), None), [values]


def test_every_byte_and_scales_down_to_denormals(check_kernels):
    rng = np.random.default_rng(18)
    shapes, scales = [(1,), (3, 5), (1, 2, 8, 16)], [1e-45, 1e-44, 3e-40, 1e-38, 1e-5, 0.1, 1.0, 1.3e36, 1e38]
    check_kernels([case(rng, s, scale, dtype) for s in shapes for scale in scales for dtype in ("int8", "uint8")])
