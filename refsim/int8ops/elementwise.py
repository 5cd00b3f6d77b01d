"""What ADD and MUL share: attributes, broadcasting, rules of acceptance, and how operands are found row by row.

Broadcasting is NumPy's (TFLite's BroadcastAdd4DSlow): shapes are aligned at the last axis, axes of length 1 repeat.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from refsim.errors import ModelError, UnsupportedError
from refsim.graph import Array, Call, Operator, Rows, Shape, Slot, Tensor
from refsim.int8ops.fixedpoint import multiply
from refsim.int8ops.layout import four
from refsim.int8ops.operand import fused_activation, output_bounds, per_tensor


@dataclass(frozen=True, slots=True)
class Elementwise:
    """activation: TFLite's ActivationFunctionType."""

    activation: int = 0


@dataclass(frozen=True, slots=True)
class Steps:
    """How an operand moves with the output position (outer, inner, pixel, channel).

    Its row is outer * row_outer + inner * row_inner + pixel * row_pixel, the byte in that row
    pixel * pixel_bytes + channel * step.
    """

    row_outer: int
    row_inner: int
    row_pixel: int
    pixel_bytes: int
    step: int


@dataclass(frozen=True, slots=True)
class Extent:
    """The output as outer x inner rows of `pixels` times `channels` bytes."""

    outer: int
    inner: int
    pixels: int
    channels: int


def extent(shape: Shape) -> Extent:
    """Rows as `Tensor.rows` counts them: N and H of a 4-D tensor, all axes but the last of others."""
    if len(shape) > 4:
        return Extent(1, math.prod(shape[:-1]), 1, shape[-1])
    return Extent(*four(shape))


def steps(shape: Shape, output: Shape) -> Steps:
    """How an operand of `shape` moves under an output of shape `output`."""
    if shape == output:
        whole = extent(output)
        return Steps(whole.inner, 1, 0, whole.channels, 1)
    if len(output) < 4:
        outer, inner, channels = (1,) * (3 - len(shape)) + tuple(shape)
        return Steps(inner * (outer > 1), int(inner > 1), 0, 0, int(channels > 1))
    n, h, w, c = (1,) * (4 - len(shape)) + tuple(shape)
    if len(shape) == 4:
        return Steps(h * (n > 1), int(h > 1), 0, c * (w > 1), int(c > 1))
    return Steps(0, w * (h > 1), int(w > 1), 0, int(c > 1))


def flat(shape: Shape, output: Shape) -> bool:
    """True when each row of the output meets one run of bytes, or one byte, of the operand."""
    if shape == output:
        return True
    moves = steps(shape, output)
    tail = output[-2:] if len(output) == 4 else output[-1:]
    return moves.row_pixel == 0 and (
        (shape[-len(tail) :] == tail and len(shape) == len(output)) or math.prod(shape[-len(tail) :]) == 1
    )


class ElementwiseOperator(Operator):
    """Two int8 operands, broadcast against each other, one int8 output."""

    options: ClassVar[Mapping[str, Slot]] = {"activation": Slot(0, "int8")}

    def attributes(self, options: Mapping[str, Any], inputs: Sequence[Tensor | None], outputs: Sequence[Tensor]) -> Any:
        return Elementwise(fused_activation(self.tflite, options["activation"]))

    def infer(self, inputs: Sequence[Tensor | None], attributes: Any) -> tuple[Shape, ...]:
        a, b = (t.shape for t in inputs if t is not None)
        try:
            return (tuple(int(n) for n in np.broadcast_shapes(a, b)),)
        except ValueError:
            raise ModelError(f"{self.tflite}: shapes {a} and {b} do not broadcast to each other") from None

    def check(self, call: Call) -> None:
        for tensor in (*call.inputs, call.y):
            if tensor is None:
                raise ModelError(f"{self.tflite} with one operand: expected two")
            per_tensor(self.tflite, tensor, "int8")
        if len(call.y.shape) > 4 and any(t is not None and t.shape != call.y.shape for t in call.inputs):
            raise UnsupportedError(
                f"{self.tflite}: '{call.y.name}' broadcasts over {len(call.y.shape)} axes, at most 4"
            )

    def input_rows(self, call: Call, index: int, rows: Rows) -> Rows:
        tensor = call.inputs[index]
        assert tensor is not None
        moves, whole = steps(tensor.shape, call.y.shape), extent(call.y.shape)
        together = moves.row_inner == 1 and not moves.row_pixel and (whole.outer == 1 or moves.row_outer == whole.inner)
        return rows if together else (0, tensor.rows)

    def overwrites(self, call: Call) -> tuple[int, ...]:
        """Operands that nothing broadcasts: the kernels load an element, or two, before they store any."""
        pairs = enumerate(call.inputs)
        return tuple(i for i, t in pairs if t is not None and t.data is None and t.shape == call.y.shape)


def operands(call: Call) -> tuple[Tensor, Tensor, bool]:
    """The operands with a constant one second, and whether they were swapped for it (both operators commute)."""
    a, b = call.inputs
    assert a is not None and b is not None and (a.data is None or b.data is None)
    return (b, a, True) if a.data is not None else (a, b, False)


def requantized(acc: Array, multiplier: tuple[int, int], call: Call) -> NDArray[np.int8]:
    """Accumulators to the output's int8, clamped by the fused activation."""
    return np.clip(multiply(acc, *multiplier) + call.y.zero_point, *output_bounds(call)).astype(np.int8)


def placement(call: Call) -> tuple[tuple[str | None, ...], Mapping[str, int], Mapping[str, Array]]:
    """Views, literals and constants of the kernel that say where operands lie; see kernels/rs_elementwise.h."""
    first, second, swapped = operands(call)
    whole, collapse = extent(call.y.shape), all(flat(t.shape, call.y.shape) for t in (first, second))
    pixels, channels = (1, whole.pixels * whole.channels) if collapse else (whole.pixels, whole.channels)
    literals = {"inner": whole.inner, "pixels": pixels, "channels": channels}
    for suffix, tensor in (("1", first), ("2", second)):
        moves = steps(tensor.shape, call.y.shape)
        step = int(tensor.elements > 1 and tensor.row_bytes > 1) if collapse else moves.step
        literals |= {
            f"row_outer{suffix}": moves.row_outer,
            f"row_inner{suffix}": moves.row_inner,
            f"row_pixel{suffix}": moves.row_pixel,
            f"pixel_bytes{suffix}": moves.pixel_bytes,
            f"step{suffix}": step,
        }
    if second.data is None:
        return ("x1", "x2"), literals, {}
    views: tuple[str | None, ...] = (None, "x1") if swapped else ("x1", None)
    literals["constant_row_bytes"] = second.row_bytes
    return views, literals, {"constant": np.ascontiguousarray(second.data, np.int8)}
