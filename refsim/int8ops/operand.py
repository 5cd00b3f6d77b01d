"""What several operators ask of one operand or option; what does not suit is an UnsupportedError of one sentence."""

from __future__ import annotations

from collections.abc import Sequence

from refsim.errors import ModelError, UnsupportedError
from refsim.graph import Call, Tensor
from refsim.int8ops.fixedpoint import ACTIVATIONS, activation_bounds


def has_type(operator: str, tensor: Tensor, *dtypes: str) -> None:
    """The tensor's type is among `dtypes`."""
    if tensor.dtype not in dtypes:
        expected = " or ".join(dtypes)
        raise UnsupportedError(f"{operator} with '{tensor.name}' ({tensor}): expected {expected}")


def per_tensor(operator: str, tensor: Tensor, *dtypes: str) -> None:
    """The same, and the tensor has one scale and one zero point, which its type can hold."""
    has_type(operator, tensor, *dtypes)
    if tensor.quant is None or tensor.quant.per_channel:
        raise UnsupportedError(f"{operator} with '{tensor.name}': expected one scale and one zero point")
    low, high = (0, 255) if tensor.dtype == "uint8" else (-128, 127)
    if not low <= tensor.zero_point <= high or not 0.0 < tensor.scale < float("inf"):
        raise UnsupportedError(
            f"{operator} with '{tensor.name}': scale {tensor.scale}, zero point {tensor.zero_point}; "
            f"expected a positive scale and a zero point in {low}..{high}"
        )


def same_quantisation(operator: str, x: Tensor, y: Tensor) -> None:
    """Both are int8 with equal scale and zero point, so that bytes can be moved between them."""
    for tensor in (x, y):
        per_tensor(operator, tensor, "int8")
    if (x.scale, x.zero_point) != (y.scale, y.zero_point):
        raise UnsupportedError(
            f"{operator} from '{x.name}' to '{y.name}': expected equal quantisation, "
            f"found ({x.scale}, {x.zero_point}) and ({y.scale}, {y.zero_point})"
        )


def constant(operator: str, what: str, inputs: Sequence[Tensor | None], index: int) -> tuple[int, ...]:
    """The integers of a constant parameter, flattened. Raises ModelError when it is not there at all."""
    tensor = inputs[index] if index < len(inputs) else None
    if tensor is None:
        raise ModelError(f"{operator} without {what}: expected a constant integer tensor as input {index}")
    if tensor.data is None:
        raise UnsupportedError(f"{operator} with {what} '{tensor.name}' computed at run time: expected a constant")
    has_type(operator, tensor, "int32", "int64")
    return tuple(int(value) for value in tensor.data.reshape(-1))


def fused_activation(operator: str, code: int) -> int:
    """The code, a key of ACTIVATIONS."""
    if code not in ACTIVATIONS:
        raise UnsupportedError(f"{operator}: fused activation {code} is not supported, use one of 0 to 3")
    return code


def output_bounds(call: Call) -> tuple[int, int]:
    """Clamp of the output: its type's limits, or those of the fused activation."""
    return activation_bounds(call.attributes.activation, call.y.scale, call.y.zero_point, call.y.dtype)
