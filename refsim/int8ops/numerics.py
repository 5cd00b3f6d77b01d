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


@dataclass(frozen=True, slots=True)
class Numerics:
    """Arithmetic rules.

    requantize: int32 accumulator to int8 in CONV_2D, DEPTHWISE_CONV_2D and all others but FULLY_CONNECTED.
        "two-roundings": doubling high multiply rounded half up, then division by a power of two rounded half away
        from zero. "exact": the accumulator times the real multiplier in float64, rounded once, half away from zero.
    fc_requantize: the same for FULLY_CONNECTED.
    """

    name: str
    oracle: str
    requantize: Requantize = "two-roundings"
    fc_requantize: Requantize = "two-roundings"


TFLM = Numerics("tflm", "tflite-micro==0.dev20261023182759")
LITERT = Numerics("litert", "ai-edge-litert==2.3.0, OpResolverType.BUILTIN_REF", fc_requantize="exact")

NUMERICS: Mapping[str, Numerics] = {rules.name: rules for rules in (TFLM, LITERT)}


def find(name: str) -> Numerics:
    """The numerics of that name. Raises UsageError for others."""
    if name not in NUMERICS:
        raise UsageError(f"numerics '{name}' is not known: expected one of {', '.join(NUMERICS)}")
    return NUMERICS[name]
