"""Affine quantisation of arrays: choosing scale and zero point, and going from real values to integers and back.

Source of the rules: TFLite's 8-bit quantization specification and tensorflow/lite/tools/optimize/quantization_utils.cc.
Scales are float32 values. Elementwise IEEE arithmetic throughout, so the results are the same on every host.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from refsim.graph import Array, Quant
from refsim.int8ops.fixedpoint import LIMITS, rounded_half_away


def asymmetric(low: float, high: float) -> Quant:
    """int8 scale and zero point for real values low..high, widened to hold 0, which becomes exact.

    Float32 arithmetic and the choice of the end with the smaller rounding error, as GetAsymmetricQuantizationParams.
    """
    bottom, top = np.float32(min(low, 0.0)), np.float32(max(high, 0.0))
    scale = (top - bottom) / np.float32(255)
    if not scale > 0:
        return Quant((1.0,), (0,))
    from_bottom, from_top = np.float32(-128) - bottom / scale, np.float32(127) - top / scale
    nearer = from_bottom if 128 + abs(bottom / scale) < 127 + abs(top / scale) else from_top
    return Quant((float(scale),), (int(np.clip(rounded_half_away(np.asarray(nearer)), -128, 127)),))


def quantize_values(x: Array, quant: Quant, dtype: str = "int8") -> Array:
    """Real values to integers: round(x / scale) + zero_point, half away from zero, saturated."""
    scale, zero_point = _along(quant, x.ndim)
    steps = rounded_half_away(np.asarray(x, np.float64) / scale) + zero_point
    saturated: Array = np.clip(steps, *LIMITS[dtype]).astype(dtype)
    return saturated


def dequantize_values(q: Array, quant: Quant) -> NDArray[np.float64]:
    """Integers to real values: scale * (q - zero_point)."""
    scale, zero_point = _along(quant, q.ndim)
    real: NDArray[np.float64] = scale * (q.astype(np.float64) - zero_point)
    return real


def quantize_weights(
    w: Array, axis: int | None, input_scale: float = 1.0, bias: Array | None = None
) -> tuple[Array, Quant]:
    """int8 weights in -127..127 with a scale for each index of `axis`, or one scale where `axis` is None.

    A scale is raised where the bias would not fit into int32 at input_scale * scale.
    """
    others = tuple(i for i in range(w.ndim) if i != axis)
    largest = np.atleast_1d(np.max(np.abs(w), axis=others if axis is not None else None)).astype(np.float32)
    scale = largest / np.float32(127)
    if bias is not None:
        least = np.abs(bias.astype(np.float64)) / (input_scale * 2.0**30)
        scale = np.maximum(scale, least if axis is not None else least.max(initial=0.0)).astype(np.float32)
    quant = symmetric(np.where(scale > 0, scale, np.float32(1)), axis or 0)
    return np.maximum(quantize_values(w, quant), -127).astype(np.int8), quant


def bias_quant(input_scale: float, weights: Quant) -> Quant:
    """The accumulator's scale, input_scale * weight scale rounded to float32, for each scale of the weights."""
    return symmetric(np.float32(input_scale) * np.array(weights.scale, np.float32))


def quantize_bias(b: Array, input_scale: float, weights: Quant) -> tuple[Array, Quant]:
    """int32 bias of shape (channels,) at the accumulator's scale."""
    quant = bias_quant(input_scale, weights)
    return quantize_values(b, quant, "int32"), quant


def symmetric(scale: ArrayLike, axis: int = 0) -> Quant:
    """Zero points 0, and the scales rounded to float32."""
    scales = np.atleast_1d(np.asarray(scale, np.float32))
    return Quant(tuple(map(float, scales)), (0,) * len(scales), axis)


def _along(quant: Quant, ndim: int) -> tuple[Array, Array]:
    """Scale and zero point shaped to broadcast along the quantised axis."""
    shape = [1] * ndim
    if quant.per_channel:
        shape[quant.axis] = len(quant.scale)
    return np.array(quant.scale).reshape(shape), np.array(quant.zero_point).reshape(shape)
