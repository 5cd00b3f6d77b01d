"""MEAN, int8, over any axes: the sum of zero-based values times scale ratio / count, rounded as TFLite requantises.

Source: tensorflow/lite/kernels/internal/reference/reduce.h (QuantizedMeanOrSum): the division by the count is folded
into the multiplier. No numerics in use changes this arithmetic.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from refsim.errors import ModelError, UnsupportedError
from refsim.graph import Array, Call, KernelCall, Operator, Rows, Shape, Slot, Tensor
from refsim.int8ops.elementwise import extent
from refsim.int8ops.fixedpoint import multiply, quantize_multiplier
from refsim.int8ops.numerics import Numerics
from refsim.int8ops.operand import constant, per_tensor


@dataclass(frozen=True, slots=True)
class Reduction:
    """axes: sorted, from 0; keep_dims: reduced axes stay, with length 1."""

    axes: tuple[int, ...]
    keep_dims: bool = False


def multiplier(x: Tensor, y: Tensor, count: int) -> tuple[int, int]:
    """(multiplier, shift) of scale ratio / count, truncated as TFLite does."""
    ratio, shift = quantize_multiplier(x.scale / y.scale)
    up = min(count.bit_length() - 1, 32, 31 + shift)
    return (ratio << up) // count, shift - up


class Mean(Operator):
    name = "mean"
    tflite = "MEAN"
    options: ClassVar[Mapping[str, Slot]] = {"keep_dims": Slot(0, "bool", False)}

    def attributes(self, options: Mapping[str, Any], inputs: Sequence[Tensor | None], outputs: Sequence[Tensor]) -> Any:
        x = inputs[0]
        assert x is not None
        rank, given = len(x.shape), constant("MEAN", "axes", inputs, 1)
        if any(not -rank <= a < rank for a in given):
            raise ModelError(f"MEAN: axes {given} are outside the {rank} axes of '{x.name}'")
        return Reduction(tuple(sorted({a % rank for a in given})), bool(options["keep_dims"]))

    def operands(self, inputs: Sequence[int]) -> tuple[int, ...]:
        return (inputs[0],)

    def infer(self, inputs: Sequence[Tensor | None], attributes: Any) -> tuple[Shape, ...]:
        x = inputs[0]
        assert x is not None
        if attributes.keep_dims:
            return (tuple(1 if i in attributes.axes else n for i, n in enumerate(x.shape)),)
        return (tuple(n for i, n in enumerate(x.shape) if i not in attributes.axes),)

    def check(self, call: Call) -> None:
        for tensor in (call.x, call.y):
            per_tensor("MEAN", tensor, "int8")
        if len(call.x.shape) > 4:
            raise UnsupportedError(f"MEAN: '{call.x.name}' has {len(call.x.shape)} axes, expected at most 4")
        if _count(call) * 256 >= 1 << 31:
            raise UnsupportedError(
                f"MEAN: '{call.y.name}' averages over {_count(call)} values, which can overflow 32 bits"
            )

    def reference(self, call: Call, values: Sequence[Array | None], numerics: Numerics) -> tuple[Array, ...]:
        x = values[0]
        assert x is not None
        count = _count(call)
        total = np.asarray(x.sum(axis=call.attributes.axes, dtype=np.int64)) - count * call.x.zero_point
        mean = multiply(total, *multiplier(call.x, call.y, count)) + call.y.zero_point
        return (np.clip(mean, -128, 127).astype(np.int8).reshape(call.y.shape),)

    def input_rows(self, call: Call, index: int, rows: Rows) -> Rows:
        return rows if _rowwise(call) else (0, call.x.rows)

    def lower(self, call: Call, numerics: Numerics) -> KernelCall:
        count = _count(call)
        scale, shift = multiplier(call.x, call.y, count)
        literals = {
            **_axes(call),
            "zero_point_sum": count * call.x.zero_point,
            "multiplier": scale,
            "shift": shift,
            "zero_point": call.y.zero_point,
        }
        return KernelCall("mean", ("x",), literals=literals)


def _count(call: Call) -> int:
    return math.prod(call.x.shape[a] for a in call.attributes.axes)


def _rowwise(call: Call) -> bool:
    """True when each output row comes from the input row of the same number."""
    row_axes = 2 if len(call.x.shape) == 4 else len(call.x.shape) - 1
    return call.y.rows == call.x.rows and all(a >= row_axes or call.x.shape[a] == 1 for a in call.attributes.axes)


def _axes(call: Call) -> dict[str, int]:
    """For each axis of the input seen as outer x inner rows of pixels x channels: how many positions are kept and how
    many summed (one of them is 1), and how the output's row and byte move with a kept one."""
    names = ("outer", "inner", "pixel", "channel")
    whole = extent(call.x.shape)
    sizes = dict(zip(names, (whole.outer, whole.inner, whole.pixels, whole.channels), strict=True))
    present = names if len(call.x.shape) == 4 else tuple(n for n in names if n != "pixel")[3 - len(call.x.shape) :]
    summed = {present[a] for a in call.attributes.axes}
    rows, nbytes = _output_steps(call, [n for n in present if call.attributes.keep_dims or n not in summed])
    literals: dict[str, int] = {}
    for n in names:
        literals |= {
            f"{n}_kept": 1 if n in summed else sizes[n],
            f"{n}_summed": sizes[n] if n in summed else 1,
            f"{n}_y_rows": rows.get(n, 0),
            f"{n}_y_bytes": nbytes.get(n, 0),
        }
    del literals["channel_y_rows"]  # the last axis never moves the row
    return literals


def _output_steps(call: Call, kept: Sequence[str]) -> tuple[dict[str, int], dict[str, int]]:
    """Rows, and bytes within a row, between neighbours along each axis that the output has."""
    in_row = 2 if len(call.y.shape) == 4 else 1
    split = max(0, len(kept) - in_row)
    sizes = call.y.shape
    rows = {n: math.prod(sizes[i + 1 : split]) for i, n in enumerate(kept[:split])}
    nbytes = {n: math.prod(sizes[i + 1 :]) for i, n in enumerate(kept) if i >= split}
    return rows, nbytes


OPERATOR = Mean()
