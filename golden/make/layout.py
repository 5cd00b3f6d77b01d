"""Goldens of the operators that only move values: PAD, RESHAPE, TRANSPOSE, CONCATENATION."""

from __future__ import annotations

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


def _case(op: str, name: str, text: str, model: Model) -> Case:
    return ordinary(name, text, model, draws(op, name))
