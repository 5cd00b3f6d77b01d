"""FULLY_CONNECTED, int8 with int8 weights, one scale for all of them or one an output channel.

y[b, n] = sum over k of (x[b, k] - zero_point) * w[n, k] + bias[n], requantised. Source:
tensorflow/lite/kernels/internal/reference/integer_ops/fully_connected.h; the rounding is a rule of the numerics.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from refsim.errors import ModelError, UnsupportedError
from refsim.graph import Array, Call, KernelCall, Operator, Rows, Shape, Slot, Tensor
from refsim.int8ops import convolution
from refsim.int8ops.accumulate import requantize
from refsim.int8ops.fixedpoint import quantize_multipliers
from refsim.int8ops.numerics import Numerics
from refsim.int8ops.operand import fused_activation, output_bounds, per_tensor

# 4 * 127 * 128 * 128 < 2**23
ALWAYS_WITHIN_24_BITS = 508


@dataclass(frozen=True, slots=True)
class FullyConnected:
    """activation: TFLite's ActivationFunctionType; keep_num_dims: the output keeps the input's leading axes."""

    activation: int = 0
    keep_num_dims: bool = False


def effective_scales(call: Call) -> Array:
    """s_x * s_w / s_y in float64: one, or one an output channel."""
    w = call.inputs[1]
    assert w is not None and w.quant is not None
    scales: Array = np.array(w.quant.scale, np.float64) * call.x.scale / call.y.scale
    return scales


def folded_bias(call: Call, w: Array, b: Array | None) -> Array:
    """bias - zero_point * sum(w), so that products of raw inputs suffice. int64[N]."""
    folded: Array = -call.x.zero_point * w.sum(axis=1, dtype=np.int64)
    return folded if b is None else folded + b.reshape(-1)


class FullyConnectedOperator(Operator):
    name = "fully_connected"
    tflite = "FULLY_CONNECTED"
    most_operands = 3
    options: ClassVar[Mapping[str, Slot]] = {
        "activation": Slot(0, "int8"),
        "weights_format": Slot(1, "int8"),
        "keep_num_dims": Slot(2, "bool", False),
    }

    def attributes(self, options: Mapping[str, Any], inputs: Sequence[Tensor | None], outputs: Sequence[Tensor]) -> Any:
        if options["weights_format"] != 0:
            raise UnsupportedError(f"FULLY_CONNECTED: weights format {options['weights_format']}, expected 0 (DEFAULT)")
        return FullyConnected(
            fused_activation("FULLY_CONNECTED", options["activation"]), bool(options["keep_num_dims"])
        )

    def operands(self, inputs: Sequence[int]) -> tuple[int, ...]:
        return tuple(inputs) if len(inputs) > 2 else (*inputs, -1)

    def infer(self, inputs: Sequence[Tensor | None], attributes: Any) -> tuple[Shape, ...]:
        x, w = inputs[0], inputs[1]
        assert x is not None and w is not None
        if len(w.shape) != 2 or w.shape[1] == 0 or x.elements % w.shape[1]:
            raise ModelError(f"FULLY_CONNECTED: '{x.name}' {x.shape} does not fit weights '{w.name}' {w.shape}")
        n, k = w.shape
        if not attributes.keep_num_dims:
            return ((x.elements // k, n),)
        if x.shape[-1] != k:
            raise ModelError(f"FULLY_CONNECTED: keeping the axes of '{x.name}' {x.shape} needs a last axis of {k}")
        return ((*x.shape[:-1], n),)

    def check(self, call: Call) -> None:
        w, b = call.inputs[1], call.inputs[2]
        assert w is not None
        for tensor in (call.x, call.y):
            per_tensor("FULLY_CONNECTED", tensor, "int8")
        if w.data is None or w.dtype != "int8" or w.quant is None or any(w.quant.zero_point):
            raise UnsupportedError(f"FULLY_CONNECTED: weights '{w.name}' have to be constant int8 with zero point 0")
        if len(w.quant.scale) not in (1, w.shape[0]) or (w.quant.per_channel and w.quant.axis != 0):
            raise UnsupportedError(f"FULLY_CONNECTED: weights '{w.name}' need one scale, or one a row of the matrix")
        if b is not None and (b.data is None or b.dtype != "int32" or b.elements != w.shape[0]):
            raise UnsupportedError(f"FULLY_CONNECTED: bias '{b.name}' has to be {w.shape[0]} constant int32 values")
        if _largest(call) >= 1 << 31:
            raise UnsupportedError(f"FULLY_CONNECTED: sums of '{call.y.name}' can overflow 32 bits")

    def reference(self, call: Call, values: Sequence[Array | None], numerics: Numerics) -> tuple[Array, ...]:
        x, w, b = values
        assert x is not None and w is not None
        # One more row, all ones, gives the weights' sums. float32 is exact below 2**24.
        kind = np.float32 if w.shape[1] < 1024 else np.float64
        rows = np.ones((call.x.elements // w.shape[1] + 1, w.shape[1]), kind)
        rows[:-1] = x.reshape(-1, w.shape[1])
        products = np.matmul(rows, w.astype(kind).T).astype(np.int32)
        bias = -call.x.zero_point * products[-1]
        bias = bias if b is None else bias + b.reshape(-1)
        reals, rule = effective_scales(call), numerics.fc_requantize
        y = requantize(products[:-1], bias, reals, call.y.zero_point, output_bounds(call), rule)
        return (y.reshape(call.y.shape),)

    def macs(self, call: Call) -> int:
        w = call.inputs[1]
        assert w is not None
        return call.x.elements * w.shape[0]

    def input_rows(self, call: Call, index: int, rows: Rows) -> Rows:
        if index != 0:
            return super().input_rows(call, index, rows)
        begin, end = (row * call.y.row_bytes // call.y.shape[-1] * call.x.elements // _batch(call) for row in rows)
        return begin // call.x.row_bytes, -(-end // call.x.row_bytes)

    def lower(self, call: Call, numerics: Numerics) -> KernelCall:
        w, b = (None if t is None else t.data for t in call.inputs[1:])
        assert w is not None
        (n, k), exact = w.shape, numerics.fc_requantize == "exact"
        bias = folded_bias(call, w, b)
        table, fast = channel_table(call, bias, w)
        low, high = output_bounds(call)
        gather = call.x.row_bytes % k != 0
        literals = {
            "k": k,
            "n": n,
            "block": block(w),
            "x_row_bytes": call.x.row_bytes,
            "row_batches": call.y.row_bytes // n,
            "gather": int(gather),
            "exact": int(exact),
            "per_channel": int(len(effective_scales(call)) > 1),
            "fast": int(fast),
            "zero_point": call.y.zero_point,
            "low": low,
            "high": high,
        }
        constants: dict[str, Array] = {"w": packed(w), "channel": bias.astype(np.int32) if exact else table}
        if exact:
            constants["scale"] = np.stack([exact_scale(real) for real in effective_scales(call)])
        return KernelCall(
            "fully_connected", ("x", None, None), literals=literals, constants=constants, scratch=k if gather else 0
        )


def channel_table(call: Call, bias: Array, w: Array) -> tuple[NDArray[np.int32], bool]:
    """What kernels/rs_requantize.h reads, [n, 3], and whether its fast form holds for every channel."""
    multipliers, shifts = (
        np.broadcast_to(v, bias.shape).astype(np.int64) for v in quantize_multipliers(effective_scales(call))
    )
    largest = np.abs(bias) + 128 * np.abs(w.astype(np.int64)).sum(axis=1)
    fast = bool(convolution.suits_fast(largest, multipliers, shifts).all())
    return convolution.rows(bias, multipliers, shifts, fast), fast


def packed(w: Array) -> NDArray[np.uint32]:
    """Weights [n, k] as kernels/fully_connected.h wants them: pairs of channels in halves, four channels together."""
    n, k = w.shape
    groups, pairs = -(-k // 4), -(-n // 2)
    padded = np.zeros((2 * pairs, groups * 4), np.int32)
    padded[:n, :k] = w
    padded[::2, :k] += 128
    halves = (padded[::2] + 256 * padded[1::2]).astype(np.uint16).reshape(pairs, groups, 4)
    words = np.ascontiguousarray(halves[:, :, [0, 2, 1, 3]]).view(np.uint32)
    whole = pairs // 2 * 2
    fours = words[:whole].reshape(-1, 2, groups, 2).swapaxes(1, 2)
    return np.concatenate([fours.reshape(-1), words[whole:].reshape(-1)])


def block(w: Array) -> int:
    """Products that a second channel can sum within 24 bits: all k of them, or, with heavy weights, so many always."""
    heaviest = int(np.abs(w[1::2].astype(np.int64)).sum(axis=1).max(initial=0))
    return int(w.shape[1]) if heaviest < 1 << 16 else ALWAYS_WITHIN_24_BITS


def exact_scale(real: float) -> NDArray[np.uint32]:
    """A positive float64 as kernels/rs_exact.h wants it: {high, low, right | left << 8, limit}."""
    if real < 2.0**-32:
        return np.array([0, 0, 1, 2**31 - 1], np.uint32)  # never reaches 1/2
    fraction, exponent = math.frexp(min(real, 2048.0))
    mantissa = int(math.ldexp(fraction, 53)) << 11
    left = max(0, 1 + exponent)
    limit = 2**31 - 1 if left == 0 else int(512 / real) + 1
    return np.array([mantissa >> 32, mantissa & 0xFFFFFFFF, (left - exponent) | left << 8, limit], np.uint32)


def _batch(call: Call) -> int:
    return call.y.elements // call.y.shape[-1]


def _largest(call: Call) -> int:
    """No accumulator exceeds this, partial sums included."""
    w, b = call.inputs[1], call.inputs[2]
    assert w is not None and w.data is not None
    reach = 256 * np.abs(w.data.astype(np.int64)).sum(axis=1)
    return int((reach if b is None or b.data is None else reach + np.abs(b.data.astype(np.int64))).max())


OPERATOR = FullyConnectedOperator()
