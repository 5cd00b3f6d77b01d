"""conv2d.h equals the reference for any shape, padding, requantisation and layout of rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from refsim.graph import Array, Call, Quant, Tensor
from refsim.int8ops.conv2d import OPERATOR
from refsim.int8ops.convolution import WindowAttributes
from refsim.int8ops.numerics import TFLM

CheckKernels = Callable[..., None]


@dataclass(frozen=True)
class Spec:
    """A convolution to make: x [N, H, W, I], kernel, output channels."""

    x: tuple[int, int, int, int]
    kernel: tuple[int, int]
    channels: int
    window: dict[str, int] = field(default_factory=dict)
    x_zero: int = -128
    y: tuple[float, int] = (0.05, -3)
    weights: int = 127
    weight_scale: float = 0.004
    per_channel: bool = True
    bias: int | None = 3000


def make(spec: Spec, seed: int) -> tuple[Any, Call, list[Array | None]]:
    pick = np.random.default_rng(seed)
    shape = (spec.channels, *spec.kernel, spec.x[3])
    low = -256 if spec.weights == 128 else -spec.weights  # many of -128, which do not pair
    w = pick.integers(low, spec.weights + 1, shape).clip(-128, 127).astype(np.int8)
    scales = spec.weight_scale * (pick.uniform(0.3, 1, spec.channels) if spec.per_channel else np.ones(1))
    bias = None if spec.bias is None else pick.integers(-spec.bias, spec.bias + 1, spec.channels).astype(np.int32)
    tensors: tuple[Tensor | None, ...] = (
        Tensor("x", spec.x, "int8", Quant((0.02,), (spec.x_zero,))),
        Tensor("w", shape, "int8", Quant(tuple(scales.astype(np.float32).tolist()), (0,) * len(scales)), w),
        None if bias is None else Tensor("b", bias.shape, "int32", None, bias),
    )
    attributes = WindowAttributes(**spec.window)
    y = Tensor("y", OPERATOR.infer(tensors, attributes)[0], "int8", Quant((spec.y[0],), (spec.y[1],)))
    call = Call(tensors, (y,), attributes)
    OPERATOR.check(call)
    return OPERATOR, call, [pick.integers(-128, 128, spec.x).astype(np.int8), w, bias]


def random_specs(seed: int, count: int) -> Iterator[Spec]:
    pick = np.random.default_rng(seed)

    def one(low: int, high: int) -> int:
        return int(pick.integers(low, high + 1))

    for _ in range(count):
        kernel = (one(1, 4), one(1, 4))
        window = {
            "stride_h": one(1, 3),
            "stride_w": one(1, 3),
            "dilation_h": 1 + one(0, 3) // 3,
            "dilation_w": 1 + one(0, 3) // 3,
        }
        reach = [(k - 1) * window[f"dilation_{axis}"] for k, axis in zip(kernel, "hw", strict=True)]
        window |= {"pad_top": one(0, reach[0]), "pad_bottom": one(0, reach[0])}
        window |= {"pad_left": one(0, reach[1]), "pad_right": one(0, reach[1]), "activation": one(0, 3)}
        height, width = (
            max(1, one(1, 7), 1 + r - window[p]) for r, p in zip(reach, ("pad_top", "pad_left"), strict=True)
        )
        yield Spec(
            (one(1, 2), height, width, one(1, 9)),
            kernel,
            one(1, 5),
            window,
            x_zero=one(-128, 127),
            y=(float(pick.uniform(0.01, 0.1)), one(-128, 127)),
            weights=(3, 127, 128)[one(0, 2)],
            weight_scale=float(10 ** pick.uniform(-3, 1.5)),
            per_channel=bool(one(0, 1)),
            bias=[None, 100, 10**5, 2**31 - 1][one(0, 3)],
        )


def test_the_random_cases_reach_every_path() -> None:
    kernels = [
        OPERATOR.lower(make(spec, i)[1], TFLM) for seed in range(2) for i, spec in enumerate(random_specs(seed, 20))
    ]
    literals = [kernel.literals for kernel in kernels]
    assert {(k["fast"], k["paired"]) for k in literals} == {(0, 0), (0, 1), (1, 0), (1, 1)}
    assert {(k["live"] < k["out_c"], k["live"] % 2) for k in literals} == {(False, 0), (False, 1), (True, 0), (True, 1)}
    assert 0 in {k["live"] for k in literals}
    assert {k["in_c"] % 4 == 0 for k in literals} == {False, True}


@pytest.mark.parametrize("seed", range(2))
def test_any_convolution_equals_the_reference(seed: int, check_kernels: CheckKernels) -> None:
    check_kernels([make(spec, i) for i, spec in enumerate(random_specs(seed, 20))], seed)


def test_the_shapes_of_real_networks_equal_the_reference(check_kernels: CheckKernels) -> None:
    same = {"pad_top": 1, "pad_bottom": 1, "pad_left": 1, "pad_right": 1}
    specs = [
        Spec((1, 9, 9, 3), (3, 3), 8, {"stride_h": 2, "stride_w": 2, "pad_bottom": 1, "pad_right": 1}),
        Spec((1, 5, 5, 8), (1, 1), 16),
        Spec((1, 3, 3, 60), (1, 1), 7),
        Spec((2, 4, 5, 16), (3, 3), 6, same),
        Spec((1, 6, 6, 16), (1, 1), 4, {"stride_h": 2, "stride_w": 2}),
        Spec((1, 12, 5, 1), (10, 4), 4, {"pad_top": 4, "pad_bottom": 5, "pad_left": 1, "pad_right": 1}),
    ]
    check_kernels([make(spec, i) for i, spec in enumerate(specs)])
