"""RELU, int8 to int8 with a change of quantisation."""

from __future__ import annotations

import numpy as np

from refsim.graph import Array, Call, Tensor
from refsim.int8ops.fixedpoint import Int64, activation_bounds, requantize
from refsim.int8ops.lookup import Lookup
from refsim.int8ops.numerics import Numerics, Precision

RELU = 1  # TFLite's ActivationFunctionType


def scale_ratio(x: Tensor, y: Tensor, precision: Precision) -> float:
    """Input scale over output scale, divided in the given type."""
    return float(np.dtype(precision).type(x.scale) / np.dtype(precision).type(y.scale))


def rectify(call: Call, q: Int64, activation: int, numerics: Numerics) -> Array:
    """q requantised from x to y and clamped by a fused activation (QuantizedReluX in kernels/activations.cc)."""
    x, y = call.x, call.y
    bounds = activation_bounds(activation, y.scale, y.zero_point, y.dtype)
    ratio = scale_ratio(x, y, numerics.relu_precision)
    return requantize(q - x.zero_point, ratio, y.zero_point, bounds, numerics.requantize)


class Relu(Lookup):
    """y = max(x, 0)."""

    name = "relu"
    tflite = "RELU"

    def transfer(self, call: Call, q: Int64, numerics: Numerics) -> Array:
        return rectify(call, q, RELU, numerics)


OPERATOR = Relu()
