"""What AVERAGE_POOL_2D and MAX_POOL_2D share: window, shape rule, rules of acceptance, rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from refsim.errors import ModelError, UnsupportedError
from refsim.graph import Array, Call, Operator, Rows, Shape, Slot, Tensor
from refsim.int8ops import window
from refsim.int8ops.operand import fused_activation, output_bounds, per_tensor

# Source: pooling.cc and pooling_common.cc: scales of input and output may differ by rounding only.
SCALE_TOLERANCE = 1e-6


@dataclass(frozen=True, slots=True)
class Pool:
    """A window of `size_h` x `size_w`, and the padding that it sees on the four sides."""

    size_h: int
    size_w: int
    stride_h: int
    stride_w: int
    pad_top: int = 0
    pad_bottom: int = 0
    pad_left: int = 0
    pad_right: int = 0
    activation: int = 0

    @property
    def vertical(self) -> window.Axis:
        return window.Axis(self.size_h, self.stride_h, self.pad_top, self.pad_bottom)

    @property
    def horizontal(self) -> window.Axis:
        return window.Axis(self.size_w, self.stride_w, self.pad_left, self.pad_right)


class PoolOperator(Operator):
    """One int8 NHWC tensor to another of the same scale and zero point."""

    options: ClassVar[Mapping[str, Slot]] = {
        "padding": Slot(0, "int8"),
        "stride_w": Slot(1, "int32"),
        "stride_h": Slot(2, "int32"),
        "filter_w": Slot(3, "int32"),
        "filter_h": Slot(4, "int32"),
        "activation": Slot(5, "int8"),
    }

    def attributes(self, options: Mapping[str, Any], inputs: Sequence[Tensor | None], outputs: Sequence[Tensor]) -> Any:
        x = inputs[0]
        assert x is not None
        if len(x.shape) != 4:
            raise ModelError(f"{self.tflite}: '{x.name}' has shape {x.shape}, expected four axes (NHWC)")
        activation = fused_activation(self.tflite, options["activation"])
        down = window.resolve(options["padding"], x.shape[1], options["filter_h"], options["stride_h"])
        across = window.resolve(options["padding"], x.shape[2], options["filter_w"], options["stride_w"])
        return Pool(
            down.size, across.size, down.stride, across.stride,
            down.before, down.after, across.before, across.after, activation,
        )  # fmt: skip

    def infer(self, inputs: Sequence[Tensor | None], attributes: Any) -> tuple[Shape, ...]:
        x = inputs[0]
        assert x is not None
        n, h, w, c = x.shape
        return ((n, attributes.vertical.output(h), attributes.horizontal.output(w), c),)

    def check(self, call: Call) -> None:
        for tensor in (call.x, call.y):
            per_tensor(self.tflite, tensor, "int8")
        same = abs(call.x.scale - call.y.scale) <= SCALE_TOLERANCE and call.x.zero_point == call.y.zero_point
        if not same:
            raise UnsupportedError(
                f"{self.tflite}: '{call.x.name}' and '{call.y.name}' differ in scale or zero point, expected equal ones"
            )

    def input_rows(self, call: Call, index: int, rows: Rows) -> Rows:
        return window.rows_needed(call.attributes.vertical, rows, call.x.shape[1], call.y.shape[1])


def taps(call: Call, x: Array, fill: int) -> Array:
    """[N, out_h, out_w, C, size_h, size_w]: what each output sees, `fill` where that is padding."""
    p: Pool = call.attributes
    around = ((0, 0), (p.pad_top, p.pad_bottom), (p.pad_left, p.pad_right), (0, 0))
    padded = np.pad(x, around, constant_values=fill) if any(map(any, around)) else x
    every: Array = sliding_window_view(padded, (p.size_h, p.size_w), axis=(1, 2))
    return every[:, :: p.stride_h, :: p.stride_w]


def literals(call: Call) -> dict[str, int]:
    """Geometry and clamp as the kernels take them."""
    p: Pool = call.attributes
    _, in_h, in_w, channels = call.x.shape
    low, high = output_bounds(call)
    return {
        "in_h": in_h,
        "in_w": in_w,
        "channels": channels,
        "out_h": call.y.shape[1],
        "out_w": call.y.shape[2],
        "size_h": p.size_h,
        "size_w": p.size_w,
        "stride_h": p.stride_h,
        "stride_w": p.stride_w,
        "pad_top": p.pad_top,
        "pad_left": p.pad_left,
        "low": low,
        "high": high,
    }
