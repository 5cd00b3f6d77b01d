"""STRIDED_SLICE: every stride-th element of each axis between two ends, as NumPy's x[begin:end:stride]."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from refsim.errors import ModelError, UnsupportedError
from refsim.graph import Shape, Slot, Tensor
from refsim.int8ops.operand import constant
from refsim.int8ops.slicing import Cut, Slicing

OPERANDS = ("begin", "end", "strides")  # inputs 1, 2, 3
Span = tuple[int, int, int]  # first element, elements, stride


def span(length: int, begin: int | None, end: int | None, stride: int) -> Span:
    """What begin:end:stride takes of an axis of `length`; None for an end of it that is left open."""
    taken = range(*slice(begin, end, stride).indices(length))
    return taken.start, len(taken), stride if len(taken) > 1 else 1


def as_operands(index: Sequence[slice | int], rank: int) -> tuple[Sequence[Sequence[int]], Mapping[str, int]]:
    """begin, end and strides, and the masks, for x[index] of an input of `rank` axes."""
    rows, masks = [], {"begin_mask": 0, "end_mask": 0, "shrink_axis_mask": 0}
    for axis, item in enumerate((*index, *(slice(None),) * (rank - len(index)))):
        if single := isinstance(item, int):
            item = slice(item, item + 1)
        begin, end, stride = item.start, item.stop, item.step
        rows.append((begin or 0, end or 0, 1 if stride is None else stride))
        for name, given in zip(masks, (begin is None, end is None, single), strict=True):
            masks[name] |= int(given) << axis
    return [[row[i] for row in rows] for i in range(len(OPERANDS))], masks


class StridedSlice(Slicing):
    """Masks have a bit an axis: open begin, open end, one element and the axis left out.

    Source: kernels/internal/strided_slice_logic.h, whose clamping is that of Python's slices.
    """

    name = "strided_slice"
    tflite = "STRIDED_SLICE"
    options: ClassVar[Mapping[str, Slot]] = {
        "begin_mask": Slot(0, "int32"),
        "end_mask": Slot(1, "int32"),
        "ellipsis_mask": Slot(2, "int32"),
        "new_axis_mask": Slot(3, "int32"),
        "shrink_axis_mask": Slot(4, "int32"),
        "offset": Slot(5, "bool", False),
    }

    def attributes(self, options: Mapping[str, Any], inputs: Sequence[Tensor | None], outputs: Sequence[Tensor]) -> Cut:
        x = inputs[0]
        assert x is not None
        for name in ("ellipsis_mask", "new_axis_mask", "offset"):
            if options[name]:
                raise UnsupportedError(f"STRIDED_SLICE of '{x.name}' with {name} {options[name]}: expected none")
        begin, end, strides = (constant("STRIDED_SLICE", what, inputs, i) for i, what in enumerate(OPERANDS, start=1))
        if not len(begin) == len(end) == len(strides) == len(x.shape) or 0 in strides:
            raise ModelError(
                f"STRIDED_SLICE of '{x.name}' ({x}) from {begin} to {end} by {strides}: "
                "expected three numbers an axis, strides not 0"
            )
        shrink = options["shrink_axis_mask"]
        spans = []
        for axis, length in enumerate(x.shape):
            bit = 1 << axis
            first = None if options["begin_mask"] & bit else begin[axis]
            if shrink & bit:
                spans.append(_one(x, axis, first, strides[axis]))
            else:
                spans.append(span(length, first, None if options["end_mask"] & bit else end[axis], strides[axis]))
        starts, sizes, steps = zip(*spans, strict=True) if spans else ((), (), ())
        return Cut(starts, sizes, steps, tuple(axis for axis in range(len(spans)) if not shrink & 1 << axis))

    def cuts(self, shape: Shape, attributes: Cut) -> tuple[Cut, ...]:
        return (attributes,)


def _one(x: Tensor, axis: int, begin: int | None, stride: int) -> Span:
    """The one element of an axis that is left out; where the engines write nothing there is no answer."""
    first, length = begin or 0, x.shape[axis]
    if stride < 0 or not -length <= first < length:
        raise ModelError(
            f"STRIDED_SLICE of '{x.name}' ({x}): element {first} by stride {stride} of axis {axis}, which is left out; "
            f"expected one of 0 to {length - 1}, and a stride above 0"
        )
    return first % length, 1, 1


OPERATOR = StridedSlice()
