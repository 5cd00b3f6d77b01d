from __future__ import annotations

import numpy as np

from refsim.graph import DTYPES, Call, Quant, Tensor
from refsim.int8ops import quantize, relu, relu6
from refsim.int8ops.numerics import NUMERICS

SHAPES = [(1,), (3, 5), (1, 4, 4, 4), (2, 3, 1, 7), (1, 2, 8, 16)]


def cases(rng, operator, shape, types=("int8", "int8")):
    low = {"int8": -128, "uint8": 0}
    quants = [Quant((float(np.float32(10 ** rng.uniform(-2, 0))),), (low[t] + int(rng.integers(256)),)) for t in types]
    x, y = (Tensor(name, shape, t, q) for name, t, q in zip("xy", types, quants, strict=True))
    values = rng.permutation(np.arange(np.prod(shape)) % 256).astype(np.uint8).view(DTYPES[types[0]]).reshape(shape)
    return [(operator, Call((x,), (y,), None), [values], rules) for rules in NUMERICS.values()]


def test_relu_and_relu6(check_kernels):
    rng = np.random.default_rng(15)
    operators = (relu.OPERATOR, relu6.OPERATOR)
    check_kernels([c for operator in operators for shape in SHAPES for c in cases(rng, operator, shape)])


def test_quantize_between_8_bit_types(check_kernels):
    rng = np.random.default_rng(16)
    pairs = [("int8", "int8"), ("uint8", "int8"), ("int8", "uint8")]
    check_kernels([c for types in pairs for shape in SHAPES for c in cases(rng, quantize.OPERATOR, shape, types)])
