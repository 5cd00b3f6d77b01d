"""The int8 answers in use, each a record of named arithmetic rules. Operators consult the rules, never the name.

Which engine follows which rule was found by probing them with accumulators on rounding ties; the versions are those
that the goldens name.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from refsim.errors import UsageError

Requantize = Literal["two-roundings", "exact"]
Precision = Literal["float32", "float64"]


@dataclass(frozen=True, slots=True)
class Numerics:
    """Arithmetic rules.

    requantize: int32 to int8 in CONV_2D, DEPTHWISE_CONV_2D, QUANTIZE and RELU. (ADD, MUL and MEAN round twice always.)
        "two-roundings": doubling high multiply rounded half up, then division by a power of two rounded half away
        from zero. "exact": the accumulator times the real multiplier in float64, rounded once, half away from zero.
    fc_requantize: the same for FULLY_CONNECTED.
    mul_precision: type in which MUL multiplies the input scales and divides by the output scale.
    relu_precision: type in which RELU and RELU6 divide the input scale by the output scale.
    relu6_rescales: whether RELU6 moves values from the input's quantisation to the output's. False: it copies the
        bytes, clamped to 0 and 6 of the input's quantisation, whatever the output's is.
    """

    name: str
    oracle: str
    requantize: Requantize = "two-roundings"
    fc_requantize: Requantize = "two-roundings"
    mul_precision: Precision = "float64"
    relu_precision: Precision = "float64"
    relu6_rescales: bool = False


TFLM = Numerics("tflm", "tflite-micro==0.dev20261023182759")
LITERT = Numerics(
    "litert",
    "ai-edge-litert==2.3.0, OpResolverType.BUILTIN_REF",
    fc_requantize="exact",
    mul_precision="float32",
    relu_precision="float32",
    relu6_rescales=True,
)

NUMERICS: Mapping[str, Numerics] = {rules.name: rules for rules in (TFLM, LITERT)}


def find(name: str) -> Numerics:
    """The numerics of that name. Raises UsageError for others."""
    if name not in NUMERICS:
        raise UsageError(f"numerics '{name}' is not known: expected one of {', '.join(NUMERICS)}")
    return NUMERICS[name]
