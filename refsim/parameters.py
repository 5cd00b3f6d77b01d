"""Weights and biases of layers made in Python: seeded where none are given, checked, and of the type of their input."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from refsim.affine import bias_quant, quantize_bias, quantize_values, quantize_weights, symmetric
from refsim.errors import UsageError
from refsim.graph import Array, Quant, Shape, Tensor

# Which axis of the weights counts output channels; weights and bias are inputs 1 and 2 of these operators.
CHANNEL_AXIS: Mapping[str, int] = {"conv2d": 0, "depthwise_conv2d": 3, "fully_connected": 0}
# Which axes hold the products that one output sums.
_DEPTH_AXES = {"conv2d": slice(1, 4), "depthwise_conv2d": slice(1, 3), "fully_connected": slice(1, 2)}
_BIAS_FAN_IN = 150  # seeded biases reach 0.2

Held = tuple[Array, Quant | None]


@dataclass(frozen=True, slots=True, eq=False)
class Given:
    """What the caller of a layer says about its parameters.

    weights: real or int8; None: seeded. weight_scale: for int8 weights, one or one per channel.
    bias: real, or int32 at the scale of input times weights; True: seeded; False: none.
    """

    weights: Array | None = None
    weight_scale: ArrayLike | None = None
    bias: Array | bool = True


def seeded_values(shape: Shape, seed: int | Sequence[int]) -> NDArray[np.float32]:
    """Float32 values spread evenly over -1..1, multiples of 2**-23, the same on every host."""
    return (_seeded(shape, seed).astype(np.float32) / np.float32(1 << 23)).reshape(shape)


def seeded_weights(shape: Shape, seed: int | Sequence[int], fan_in: int | None = None) -> NDArray[np.float32]:
    """Float32 weights spread evenly over +-sqrt(6 / fan_in), multiples of 2**-16, the same on every host.

    That bound keeps the variance of activations through ReLU (He et al., 2015). fan_in is how many products one
    output sums, by default all axes but the first.
    """
    products = math.prod(shape[1:]) if fan_in is None else fan_in
    bound = math.isqrt((6 << 32) // max(products, 1))  # in 2**-16
    steps = _seeded(shape, seed)
    steps *= bound
    steps >>= 23
    return (steps.astype(np.float32) / np.float32(1 << 16)).reshape(shape)


def _seeded(shape: Shape, seed: int | Sequence[int]) -> NDArray[np.int64]:
    """Whole numbers in -2**23..2**23 - 1. Raw bits, because NumPy keeps those, and not its distributions, stable."""
    raw = np.asarray(np.random.PCG64(seed).random_raw(math.prod(shape)))
    raw >>= np.uint64(40)
    steps = raw.view(np.int64)
    steps -= 1 << 23
    return steps


def parameters(
    operator: str, label: str, x: Tensor, shape: Shape, given: Given, seed: tuple[int, ...]
) -> tuple[Held, Held | None]:
    """(weights, quantisation) of `shape` and (bias, quantisation) or None: float32 or int8 and int32, as x is.

    Raises UsageError for shapes and types that do not fit.
    """
    w = _weights(operator, label, x, shape, given.weights, seed)
    b = _bias(label, given.bias, shape[CHANNEL_AXIS[operator]], seed)
    if x.quant is None:
        return (_real(label, "weights", w), None), None if b is None else (_real(label, "bias", b), None)
    w, quant = _quantised(operator, label, x, w, given.weight_scale, b)
    return (w, quant), None if b is None else _quantised_bias(label, x, b, quant)


def _weights(operator: str, label: str, x: Tensor, shape: Shape, weights: Array | None, seed: tuple[int, ...]) -> Array:
    if min(shape) < 1:
        raise UsageError(f"'{label}': weights of shape {shape} hold nothing: give filters or units, or weights")
    if weights is None:
        return seeded_weights(shape, seed, math.prod(shape[_DEPTH_AXES[operator]]))
    w = np.asarray(weights)
    if w.shape != shape:
        raise UsageError(f"'{label}': weights have shape {w.shape}: expected {shape} for an input of shape {x.shape}")
    return w


def _bias(label: str, bias: Array | bool, channels: int, seed: tuple[int, ...]) -> Array | None:
    if isinstance(bias, bool):
        return seeded_weights((channels,), (*seed, 1), _BIAS_FAN_IN) if bias else None
    b = np.asarray(bias)
    if b.shape != (channels,):
        raise UsageError(f"'{label}': bias has shape {b.shape}: expected {(channels,)}, one for each output channel")
    return b


def _real(label: str, role: str, data: Array) -> Array:
    if data.dtype.kind != "f":
        raise UsageError(f"'{label}': {role} of type {data.dtype}: expected real numbers, as the input is float32")
    return data.astype(np.float32)


def _quantised(
    operator: str, label: str, x: Tensor, w: Array, scale: ArrayLike | None, b: Array | None
) -> tuple[Array, Quant]:
    axis = CHANNEL_AXIS[operator]
    if scale is None:
        if w.dtype.kind != "f":
            raise UsageError(f"'{label}': weights of type {w.dtype} need their weight_scale, none was given")
        real_bias = b if b is not None and b.dtype.kind == "f" else None
        return quantize_weights(w, None if operator == "fully_connected" else axis, x.scale, real_bias)
    quant = symmetric(scale, axis)
    if len(quant.scale) not in (1, w.shape[axis]) or not all(0 < one < math.inf for one in quant.scale):
        raise UsageError(f"'{label}': weight_scale must be positive, one or {w.shape[axis]} of them: got {scale}")
    if w.dtype.kind == "f":
        return np.maximum(quantize_values(w, quant), -127).astype(np.int8), quant
    if w.dtype != np.int8:
        raise UsageError(f"'{label}': weights of type {w.dtype}: expected int8 or real numbers")
    return w, quant


def _quantised_bias(label: str, x: Tensor, b: Array, weights: Quant) -> tuple[Array, Quant]:
    if b.dtype.kind == "f":
        return quantize_bias(b, x.scale, weights)
    if b.dtype != np.int32:
        raise UsageError(f"'{label}': bias of type {b.dtype}: expected int32 or real numbers")
    return b, bias_quant(x.scale, weights)
