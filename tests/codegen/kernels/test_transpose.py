from __future__ import annotations

from itertools import permutations

import numpy as np

from refsim.graph import Call, Quant, Tensor
from refsim.int8ops.transpose import OPERATOR, Attributes


def case(rng, perm, dtype):
    shape = tuple(int(n) for n in rng.integers(1, 6, len(perm)))
    quant = Quant((0.5,), (3,)) if dtype == "int8" else None
    x = Tensor("x", shape, dtype, quant)
    y = Tensor("y", *OPERATOR.infer((x,), Attributes(perm)), dtype, quant)
    return OPERATOR, Call((x,), (y,), Attributes(perm)), [rng.integers(-128, 128, shape).astype(dtype)]


def test_every_permutation(check_kernels):
    rng = np.random.default_rng(21)
    perms = [perm for rank in (1, 2, 3, 4) for perm in permutations(range(rank))]
    check_kernels([case(rng, perm, dtype) for perm in perms * 2 for dtype in ("int8", "float32")])
