from __future__ import annotations

import numpy as np

from refsim.graph import Call, Quant, Tensor
from refsim.int8ops.reshape import OPERATOR, Attributes

PAIRS = [
    ((1, 4, 4, 8), (1, 128)),
    ((1, 128), (1, 4, 4, 8)),
    ((6, 4), (4, 6)),
    ((2, 3, 4, 5), (8, 15)),
    ((15, 8), (2, 3, 4, 5)),
    ((2, 3, 4, 5), (6, 20)),
    ((7,), (7, 1)),
    ((1, 1), (1,)),
]


def case(rng, shapes, dtype):
    x, y = (
        Tensor(n, s, dtype, Quant((0.5,), (3,)) if dtype == "int8" else None) for n, s in zip("xy", shapes, strict=True)
    )
    return OPERATOR, Call((x,), (y,), Attributes(shapes[1])), [rng.integers(-128, 128, shapes[0]).astype(dtype)]


def test_rows_are_cut_anew(check_kernels):
    rng = np.random.default_rng(19)
    check_kernels([case(rng, shapes, dtype) for shapes in PAIRS * 4 for dtype in ("int8", "float32")])
