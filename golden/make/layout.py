"""Goldens of the operators that only move values."""

from __future__ import annotations

import builtins
from collections.abc import Iterator

import numpy as np

from golden.make.case import Case, draws, ordinary
from golden.make.model import Model, one_step, plain, quantised

Shape = tuple[int, ...]
SCALE, ZERO = 0.0625, -37

PADS: dict[str, tuple[Shape, tuple[tuple[int, int], ...]]] = {
    "height_width": ((1, 4, 5, 3), ((0, 0), (1, 1), (1, 1), (0, 0))),
    "after_only": ((1, 4, 5, 3), ((0, 0), (0, 1), (0, 1), (0, 0))),
    "uneven": ((1, 3, 2, 4), ((0, 0), (2, 1), (0, 3), (0, 0))),
    "channels": ((1, 3, 4, 3), ((0, 0), (0, 0), (0, 0), (1, 2))),
    "batch": ((2, 3, 2, 3), ((1, 0), (1, 2), (0, 1), (0, 3))),
    "nothing": ((1, 3, 4, 2), ((0, 0), (0, 0), (0, 0), (0, 0))),
    "rank3": ((2, 4, 5), ((0, 1), (2, 0), (1, 1))),
    "rank2": ((3, 7), ((1, 1), (2, 0))),
    "rank1": ((6,), ((2, 3),)),
}
RESHAPES: dict[str, tuple[Shape, Shape, tuple[int, ...]]] = {
    "flatten": ((1, 3, 4, 5), (1, 60), (1, 60)),
    "unknown": ((2, 3, 4, 5), (2, 60), (2, -1)),
    "to_image": ((1, 36), (1, 3, 4, 3), (1, 3, 4, 3)),
    "unit_axes": ((1, 1, 1, 7), (7,), (7,)),
    "same": ((1, 2, 3), (1, 2, 3), (1, 2, 3)),
}
TRANSPOSES: dict[str, tuple[Shape, tuple[int, ...]]] = {
    "matrix": ((5, 7), (1, 0)),
    "to_channels_first": ((1, 4, 3, 5), (0, 3, 1, 2)),
    "to_channels_last": ((1, 5, 4, 3), (0, 2, 3, 1)),
    "height_width": ((1, 4, 6, 3), (0, 2, 1, 3)),
    "reversed": ((2, 3, 4, 5), (3, 2, 1, 0)),
    "rank3": ((3, 4, 5), (2, 0, 1)),
    "identity": ((1, 3, 4, 2), (0, 1, 2, 3)),
    "unit_axes": ((1, 1, 5, 6), (1, 2, 0, 3)),
    "batch": ((3, 2, 2, 4), (1, 0, 2, 3)),
}
CONCATENATIONS: dict[str, tuple[int, tuple[Shape, ...]]] = {
    "channels": (3, ((1, 3, 4, 2), (1, 3, 4, 5))),
    "last_axis": (-1, ((1, 3, 4, 2), (1, 3, 4, 1), (1, 3, 4, 3))),
    "height": (1, ((1, 2, 4, 3), (1, 3, 4, 3))),
    "width": (2, ((2, 3, 1, 3), (2, 3, 4, 3))),
    "batch": (0, ((1, 3, 2, 3), (2, 3, 2, 3))),
    "one_input": (3, ((1, 3, 4, 2),)),
    "five_inputs": (1, ((2, 3), (2, 1), (2, 4), (2, 1), (2, 5))),
    "vectors": (0, ((3,), (4,))),
    "negative_batch": (-4, ((1, 2, 2, 3), (1, 2, 2, 3))),
}
# shape, begin, size
SLICES: dict[str, tuple[Shape, Shape, Shape]] = {
    "rows": ((1, 6, 4, 3), (0, 2, 0, 0), (1, 3, 4, 3)),
    "to_the_end": ((1, 6, 4, 3), (0, 2, 1, 0), (1, -1, -1, 3)),
    "channels": ((1, 3, 4, 7), (0, 0, 0, 2), (1, 3, 4, 3)),
    "batch": ((3, 2, 4, 2), (1, 0, 1, 0), (2, 2, 2, -1)),
    "one_element": ((2, 3, 4, 5), (1, 2, 3, 4), (1, 1, 1, 1)),
    "nothing": ((1, 3, 4, 2), (0, 0, 0, 0), (1, 3, 4, 2)),
    "rank3": ((3, 4, 5), (1, 1, 2), (2, 3, 2)),
    "rank2": ((6, 7), (2, 0), (3, 7)),
    "rank1": ((11,), (3,), (5,)),
}
# shape, axis, parts
SPLITS: dict[str, tuple[Shape, int, int]] = {
    "channels": ((1, 3, 4, 6), 3, 2),
    "last_axis": ((2, 3, 4, 6), -1, 3),
    "height": ((1, 6, 4, 3), 1, 3),
    "width": ((2, 3, 4, 2), 2, 2),
    "batch": ((4, 2, 3, 2), 0, 2),
    "one_part": ((1, 3, 4, 2), 3, 1),
    "sixteen_parts": ((2, 32), 1, 16),
    "rank3": ((3, 4, 5), -2, 4),
    "vector": ((12,), 0, 4),
}
# shape, begin, end, strides, the masks of begin, end and shrunk axes
STRIDED_SLICES: dict[str, tuple[Shape, Shape, Shape, Shape, tuple[int, int, int]]] = {
    "rows": ((1, 6, 4, 3), (0, 2, 0, 0), (1, 5, 4, 3), (1, 1, 1, 1), (0, 0, 0)),
    "every_second": ((1, 7, 8, 3), (0, 1, 0, 0), (1, 7, 8, 3), (1, 2, 2, 1), (0, 0, 0)),
    "channels": ((1, 3, 4, 7), (0, 0, 0, 1), (1, 3, 4, 6), (1, 1, 1, 2), (0, 0, 0)),
    "open_ends": ((2, 5, 4, 3), (9, 2, 9, 1), (9, 9, 3, 9), (1, 1, 1, 1), (0b0101, 0b1011, 0)),
    "negative_ends": ((2, 5, 4, 3), (0, -4, -3, 0), (2, -1, 4, -1), (1, 1, 1, 1), (0, 0, 0)),
    "beyond_the_ends": ((1, 5, 4, 3), (-9, -9, 1, 0), (9, 9, 100, 3), (1, 1, 1, 1), (0, 0, 0)),
    "backwards": ((1, 5, 4, 3), (0, 4, 3, 2), (1, 0, 0, 0), (1, -1, -2, -1), (0, 0b1000, 0)),
    "backwards_open": ((2, 5, 4, 3), (0, 0, 0, 0), (0, 0, 0, 0), (-1, -2, -1, -3), (0b1111, 0b1111, 0)),
    "last_step": ((1, 10, 1, 6), (0, -1, 0, 0), (1, 0, 1, 6), (1, 1, 1, 1), (0, 0b0010, 0b0010)),
    "shrink_two": ((2, 5, 4, 3), (1, 0, 2, 0), (2, 5, 3, 3), (1, 1, 1, 1), (0, 0, 0b0101)),
    "shrink_open": ((2, 5, 4, 3), (1, 1, 2, 0), (2, 5, 3, 3), (1, 2, 1, 1), (0b0001, 0, 0b0001)),
    "shrink_channel": ((2, 5, 4, 3), (0, 0, 0, -2), (2, 5, 4, 0), (1, 1, 1, 1), (0, 0, 0b1000)),
    "shrink_all": ((3, 4, 5), (1, 2, 3), (2, 3, 4), (1, 1, 1), (0, 0, 0b111)),
    "rank3": ((3, 6, 5), (0, 5, 1), (3, 0, 5), (2, -2, 1), (0, 0, 0)),
    "rank2": ((6, 7), (1, 0), (6, 7), (2, 3), (0, 0, 0)),
    "rank1": ((11,), (9,), (0,), (-4,), (0, 0, 0)),
    "nothing": ((1, 3, 4, 2), (0, 0, 0, 0), (1, 3, 4, 2), (1, 1, 1, 1), (0, 0, 0)),
}


def pad() -> Iterator[Case]:
    for name, (shape, widths) in PADS.items():
        out = tuple(size + before + after for size, (before, after) in zip(shape, widths, strict=True))
        model = one_step("PAD", [quantised(shape, SCALE, ZERO), plain(np.array(widths))], quantised(out, SCALE, ZERO))
        yield _case("pad", name, f"{shape} padded by {widths}", model)
    widths = ((0, 0), (1, 2), (2, 1), (0, 0))
    x, y = quantised((1, 2, 3, 4), SCALE, -128), quantised((1, 5, 6, 4), SCALE, -128)
    model = one_step("PAD", [x, plain(np.array(widths))], y)
    yield _case("pad", "zero_point_minimum", "zero point -128", model)


def reshape() -> Iterator[Case]:
    for name, (shape, out, request) in RESHAPES.items():
        x, y = quantised(shape, SCALE, ZERO), quantised(out, SCALE, ZERO)
        model = one_step("RESHAPE", [x, plain(request)], y, {"NewShape": list(request)})
        yield _case("reshape", name, f"{shape} to {request}", model)
    x, y = quantised((1, 4, 6), SCALE, ZERO), quantised((1, 24), SCALE, ZERO)
    model = one_step("RESHAPE", [x], y, {"NewShape": [1, 24]})
    yield _case("reshape", "by_option", "the shape stands in the options only", model)


def transpose() -> Iterator[Case]:
    for name, (shape, order) in TRANSPOSES.items():
        out = tuple(shape[axis] for axis in order)
        model = one_step("TRANSPOSE", [quantised(shape, SCALE, ZERO), plain(order)], quantised(out, SCALE, ZERO))
        yield _case("transpose", name, f"{shape} by {order}", model)


def concatenation() -> Iterator[Case]:
    for name, (axis, shapes) in CONCATENATIONS.items():
        out = list(shapes[0])
        out[axis] = sum(shape[axis] for shape in shapes)
        inputs = [quantised(shape, SCALE, ZERO) for shape in shapes]
        model = one_step("CONCATENATION", inputs, quantised(out, SCALE, ZERO), {"Axis": axis})
        yield _case("concatenation", name, f"axis {axis} of {shapes}", model)


def slice() -> Iterator[Case]:
    for name, (shape, begin, size) in SLICES.items():
        out = [length - first if n == -1 else n for length, first, n in zip(shape, begin, size, strict=True)]
        operands = [quantised(shape, SCALE, ZERO), plain(begin), plain(size)]
        model = one_step("SLICE", operands, quantised(out, SCALE, ZERO))
        yield _case("slice", name, f"{size} from {begin} on of {shape}", model)


def split() -> Iterator[Case]:
    for name, (shape, axis, parts) in SPLITS.items():
        out = list(shape)
        out[axis] //= parts
        operands = [plain(np.array(axis)), quantised(shape, SCALE, ZERO)]
        model = one_step("SPLIT", operands, [quantised(out, SCALE, ZERO)] * parts, {"NumSplits": parts})
        yield _case("split", name, f"{shape} into {parts} along axis {axis}", model)


def strided_slice() -> Iterator[Case]:
    for name, (shape, begin, end, strides, masks) in STRIDED_SLICES.items():
        operands = [quantised(shape, SCALE, ZERO), plain(begin), plain(end), plain(strides)]
        taken = np.zeros(shape, np.int8)[_index(begin, end, strides, masks)]
        options = dict(zip(("BeginMask", "EndMask", "ShrinkAxisMask"), masks, strict=True))
        model = one_step("STRIDED_SLICE", operands, quantised(taken.shape, SCALE, ZERO), options)
        yield _case("strided_slice", name, f"{shape} by {begin}, {end}, {strides}, masks {masks}", model)


def _index(begin: Shape, end: Shape, strides: Shape, masks: tuple[int, int, int]) -> tuple[builtins.slice | int, ...]:
    """The same as NumPy's index."""
    found: list[builtins.slice | int] = []
    for axis, (first, last, stride) in enumerate(zip(begin, end, strides, strict=True)):
        open_begin, open_end, shrunk = (mask >> axis & 1 for mask in masks)
        span = builtins.slice(None if open_begin else first, None if open_end else last, stride)
        found.append((0 if open_begin else first) if shrunk else span)
    return tuple(found)


def _case(op: str, name: str, text: str, model: Model) -> Case:
    return ordinary(name, text, model, draws(op, name))
