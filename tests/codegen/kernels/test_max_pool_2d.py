"""The MAX_POOL_2D kernel against the reference: windows, strides, padding, clamps, every layout of rows."""

from __future__ import annotations

from typing import Any

import numpy as np

from refsim.graph import Call, Quant, Tensor
from refsim.int8ops.max_pool_2d import OPERATOR

QUANT = Quant((0.05,), (-7,))


def case(seed: int, shape: tuple[int, ...], size: tuple[int, int], stride: tuple[int, int], same: bool) -> Any:
    random = np.random.default_rng(seed)
    x = Tensor("x", shape, "int8", QUANT)
    options = {"padding": int(not same), "stride_h": stride[0], "stride_w": stride[1], "activation": seed % 4}
    attributes = OPERATOR.attributes({**options, "filter_h": size[0], "filter_w": size[1]}, (x,), ())
    y = Tensor("y", OPERATOR.infer((x,), attributes)[0], "int8", QUANT)
    call = Call((x,), (y,), attributes)
    OPERATOR.check(call)
    return OPERATOR, call, [random.integers(-128, 128, shape).astype(np.int8)]


def test_any_window(check_kernels: Any) -> None:
    random = np.random.default_rng(5)
    cases = []
    for seed in range(40):
        n, h, w, c = (int(random.integers(low, high)) for low, high in ((1, 3), (4, 11), (4, 11), (1, 10)))
        size = (int(random.integers(1, h + 1)), int(random.integers(1, w + 1)))
        stride = (int(random.integers(1, 4)), int(random.integers(1, 4)))
        cases.append(case(seed, (n, h, w, c), size, stride, bool(seed & 4)))
    check_kernels(cases)


def test_one_window_over_all(check_kernels: Any) -> None:
    check_kernels([case(i, (1, 8, 8, 12), (8, 8), (8, 8), same) for i, same in enumerate((True, False))])
