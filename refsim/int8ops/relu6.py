"""RELU6, int8 to int8. Whether it changes the quantisation depends on the engine (`numerics.relu6_rescales`)."""

from __future__ import annotations

import numpy as np

from refsim.graph import Array, Call
from refsim.int8ops.fixedpoint import Int64, activation_bounds
from refsim.int8ops.lookup import Lookup
from refsim.int8ops.numerics import Numerics
from refsim.int8ops.relu import rectify

RELU6 = 3  # TFLite's ActivationFunctionType


class Relu6(Lookup):
    """y = min(max(x, 0), 6)."""

    name = "relu6"
    tflite = "RELU6"

    def transfer(self, call: Call, q: Int64, numerics: Numerics) -> Array:
        if numerics.relu6_rescales:
            return rectify(call, q, RELU6, numerics)
        bounds = activation_bounds(RELU6, call.x.scale, call.x.zero_point, call.x.dtype)
        return np.clip(q, *bounds).astype(np.int8)


OPERATOR = Relu6()
