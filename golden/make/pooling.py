"""Goldens of AVERAGE_POOL_2D, MAX_POOL_2D and MEAN."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from golden.make.case import Case, draws, ordinary
from golden.make.draws import Draws
from golden.make.elementwise import ALMOST_ONE
from golden.make.model import Model, one_step, plain, quantised
from golden.make.rounding import RULES, divide, half_away, high, int8, parts, single

Array = NDArray[Any]
SAME, VALID = 0, 1
NONE, RELU, RELU_N1, RELU6 = 0, 1, 2, 3


@dataclass(frozen=True)
class Pool:
    image: tuple[int, int, int, int]
    window: tuple[int, int] = (2, 2)
    stride: tuple[int, int] = (2, 2)
    padding: int = VALID
    activation: int = NONE
    zero: int = -9
    exponent: int = -5


POOLS: dict[str, tuple[str, Pool]] = {
    "halves": ("2x2, stride 2, VALID", Pool((1, 6, 8, 3))),
    "left_over": ("2x2, stride 2, VALID on an odd image", Pool((1, 7, 5, 4))),
    "same_even": ("3x3, stride 2, SAME on an even image: all padding after", Pool((1, 8, 6, 3), (3, 3), (2, 2), SAME)),
    "same_odd": ("3x3, stride 2, SAME on an odd image", Pool((1, 7, 5, 2), (3, 3), (2, 2), SAME)),
    "same_stride1": ("3x3, stride 1, SAME", Pool((1, 5, 4, 3), (3, 3), (1, 1), SAME)),
    "whole_image": ("the window is the image", Pool((1, 5, 7, 9), (5, 7), (1, 1))),
    "beyond_image": ("5x5 over 2x3, SAME", Pool((1, 2, 3, 4), (5, 5), (1, 1), SAME)),
    "rectangular": ("1x4, stride 1x3, SAME", Pool((1, 4, 11, 3), (1, 4), (1, 3), SAME)),
    "batch2": ("two images", Pool((2, 5, 4, 6), (2, 3), (2, 1))),
    "relu": ("RELU", Pool((1, 6, 6, 3), activation=RELU, zero=-20)),
    "relu6": ("RELU6", Pool((1, 6, 6, 3), activation=RELU6, zero=-100, exponent=-5)),
    "relu_n1_to_1": ("RELU_N1_TO_1", Pool((1, 6, 6, 3), activation=RELU_N1, zero=10, exponent=-6)),
    "gaps": ("2x2, stride 3: rows that nobody reads", Pool((1, 8, 9, 2), (2, 2), (3, 3))),
    "channels17": ("17 channels", Pool((1, 4, 4, 17), (3, 2), (1, 2))),
}


def average_pool_2d() -> Iterator[Case]:
    yield from _pools("AVERAGE_POOL_2D")
    for rows, columns in ((1, 2), (2, 2), (2, 3), (4, 2), (3, 5)):
        yield _average_probe(rows, columns)


def max_pool_2d() -> Iterator[Case]:
    yield from _pools("MAX_POOL_2D")


def mean() -> Iterator[Case]:
    for name, (text, shape, axes, keep, equal) in MEANS.items():
        stream = draws("mean", name)
        x_scale = stream.scale(-5)
        y_scale = x_scale if equal else stream.scale(-6)
        model = _mean(shape, axes, keep, (x_scale, y_scale), (-7, -7 if equal else 12))
        yield ordinary(name, text, model, stream)
    for number, (shape, one, two) in enumerate(MEAN_PROBES):
        yield _mean_probe(f"tie_probe_{number}", shape, single(one), single(two))


MEANS: dict[str, tuple[str, tuple[int, ...], tuple[int, ...], bool, bool]] = {
    "image": ("axes 1, 2", (1, 5, 7, 6), (1, 2), False, False),
    "image_keep": ("axes 1, 2, kept", (1, 5, 7, 6), (1, 2), True, False),
    "image_equal": ("axes 1, 2, equal quantisation", (1, 4, 4, 6), (1, 2), True, True),
    "batch2": ("axes 1, 2 of two images", (2, 3, 5, 4), (1, 2), False, False),
    "axes_swapped": ("axes 2, 1", (1, 3, 5, 4), (2, 1), False, False),
    "negative_axes": ("axes -2, -3", (1, 3, 5, 4), (-2, -3), True, False),
    "height": ("axis 1", (1, 6, 5, 3), (1,), False, False),
    "width": ("axis 2", (1, 6, 5, 3), (2,), False, True),
    "channels": ("axis 3", (1, 6, 5, 7), (3,), True, False),
    "rank3": ("the last axis of rank 3", (2, 9, 6), (2,), False, True),
    "rank2": ("the first axis of rank 2", (6, 10), (0,), False, False),
    "everything": ("all axes", (1, 5, 4, 3), (0, 1, 2, 3), True, False),
    "unit_axes": ("axes of one element", (1, 1, 1, 40), (1, 2), False, False),
    "large": ("1,225 elements", (1, 35, 35, 2), (1, 2), False, False),
}
MEAN_PROBES: tuple[tuple[tuple[int, int, int], float, float], ...] = (
    ((1, 2, 512), 1.0, 1.0),
    ((2, 2, 512), 1.0, 1.0),
    ((2, 2, 512), ALMOST_ONE, 1.0),
    ((2, 3, 512), 1.0, 1.0),
    ((4, 4, 512), 1.0, 2.0),
    ((5, 5, 512), 0.5, 0.3),
    ((3, 4, 512), ALMOST_ONE, 2.0),
    ((7, 7, 512), 3.0, 4.0),
    ((1, 2, 512), 5.0, 6.0),
    ((1, 3, 512), 5.0, 7.0),
)


def _pools(tflite: str) -> Iterator[Case]:
    for name, (text, pool) in POOLS.items():
        stream = draws(tflite.lower(), name)
        yield ordinary(name, text, _pool(tflite, pool, stream.scale(pool.exponent)), stream)


def _pool(tflite: str, pool: Pool, scale: float) -> Model:
    sizes = [
        -(-(length - (size if pool.padding == VALID else 1) + 1) // stride)
        for length, size, stride in zip(pool.image[1:3], pool.window, pool.stride, strict=True)
    ]
    options = {
        "Padding": pool.padding,
        "StrideW": pool.stride[1],
        "StrideH": pool.stride[0],
        "FilterWidth": pool.window[1],
        "FilterHeight": pool.window[0],
        "FusedActivationFunction": pool.activation,
    }
    x = quantised(pool.image, scale, pool.zero)
    return one_step(tflite, [x], quantised((pool.image[0], *sizes, pool.image[3]), scale, pool.zero), options)


def _spread(stream: Draws, positions: int, channels: int) -> Array:
    """int8[positions, channels] whose sums take every value around zero: small odd and even numbers of both signs."""
    wide = stream.int8((positions, channels))
    small = stream.integers(-4, 4, (positions, channels), "int8")
    return np.where(np.arange(channels) % 2, small, wide).astype(np.int8)


def _average_probe(rows: int, columns: int) -> Case:
    """Averages of `rows * columns` values, of which one in that number lies on a tie when it is even."""
    name, channels = f"tie_probe_{rows}x{columns}", 512
    stream, count = draws("average_pool_2d", name), rows * columns
    model = _pool("AVERAGE_POOL_2D", Pool((1, rows, columns, channels), (rows, columns), (1, 1)), 0.5)
    sets = [_spread(stream, count, channels) for _ in range(3)]
    total = np.stack(sets).astype(np.int64).sum(axis=1).reshape(3, 1, 1, 1, channels)
    rules = {
        "half-away": half_away(total / count),
        "half-up": (2 * total + count) // (2 * count),
        "half-even": np.rint(total / count),
        "floor": total // count,
        "truncation": np.trunc(total / count),
    }
    return Case(
        name,
        f"averages of {count}",
        model,
        [[x.reshape(1, rows, columns, channels)] for x in sets],
        {rule: [y.astype(np.int8)] for rule, y in rules.items()},
    )


def _mean(
    shape: Sequence[int], axes: Sequence[int], keep: bool, scales: tuple[float, float], zeros: tuple[int, int]
) -> Model:
    reduced = {axis % len(shape) for axis in axes}
    out = [1 if n in reduced else size for n, size in enumerate(shape) if keep or n not in reduced]
    x, y = (quantised(s, scale, zero) for s, scale, zero in zip((shape, out), scales, zeros, strict=True))
    return one_step("MEAN", [x, plain(axes)], y, {"KeepDims": keep})


def _mean_probe(name: str, shape: tuple[int, int, int], one: float, two: float) -> Case:
    rows, columns, channels = shape
    stream, count, zeros = draws("mean", name), rows * columns, (-2, 3)
    sets = [_spread(stream, count, channels) for _ in range(3)]
    acc = np.stack(sets).astype(np.int64).sum(axis=1) - zeros[0] * count
    rules = {rule: apply(acc, one / two / count) for rule, apply in RULES.items()}
    rules |= {"folded": _folded(acc, one / two, count), "folded float32": _folded(acc, single(one / two), count)}
    return Case(
        name,
        f"means of {count} values, scales {one} to {two}",
        _mean((1, *shape), (1, 2), False, (one, two), zeros),
        [[x.reshape(1, *shape)] for x in sets],
        {rule: [int8(y, zeros[1])[:, None]] for rule, y in rules.items()},
    )


def _folded(acc: Array, real: float, count: int) -> Array:
    """MEAN as reference/reduce.h has it: the division by `count` goes into the multiplier, truncated."""
    multiplier, shift = parts(real)
    up = min(count.bit_length() - 1, 32, 31 + shift)
    folded = (multiplier << up) // count
    return divide(high(acc, folded, max(shift - up, 0)), max(up - shift, 0))
