"""Goldens of SOFTMAX."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from golden.make.case import Case, draws, every_int8, ordinary
from golden.make.model import Model, one_step, parallel, quantised

SHAPES: Mapping[str, tuple[tuple[int, ...], int, float]] = {
    "two_classes": ((8, 2), -6, 1.0),
    "ten_classes": ((4, 10), -5, 1.0),
    "odd_batch": ((5, 13), -4, 1.0),
    "one_class": ((3, 1), -4, 1.0),
    "image": ((1, 3, 4, 6), -5, 1.0),
    "rank3": ((2, 3, 7), -5, 1.0),
    "vector": ((9,), -5, 1.0),
    "wide": ((2, 500), -5, 1.0),
    "beta_half": ((4, 12), -3, 0.5),
    "beta_three": ((4, 12), -5, 3.0),
    "large_scale": ((4, 12), 3, 1.0),
    "tiny_scale": ((4, 12), -20, 1.0),
}


def softmax() -> Iterator[Case]:
    for name, (shape, exponent, beta) in SHAPES.items():
        stream = draws("softmax", name)
        zero = stream.pick((-128, 0, 24, 127))
        model = _model(shape, stream.scale(exponent), zero, beta)
        yield ordinary(name, f"{shape}, scale near 2^{exponent}, beta {beta}", model, stream, 3)
    yield _pairs()
    yield _all_values()


def _model(shape: tuple[int, ...], scale: float, zero: int, beta: float) -> Model:
    return one_step("SOFTMAX", [quantised(shape, scale, zero)], quantised(shape, 1 / 256, -128), {"Beta": beta})


def _pairs() -> Case:
    """Two classes, all 256 differences, for scales from 2^-9 to 2^4: every argument that exp can meet alone."""
    stream = draws("softmax", "every_difference")
    x = np.stack([np.full(256, 127), np.arange(-128, 128)], -1).astype(np.int8)
    pairs = []
    for exponent in range(-9, 5):
        operand = quantised((256, 2), stream.scale(exponent), 0)
        pairs.append((operand, quantised((256, 2), 1 / 256, -128)))
    model = parallel("SOFTMAX", pairs, {"Beta": 1.0})
    return Case("every_difference", "two classes, all 256 differences, 14 scales", model, [[x] * len(pairs)])


def _all_values() -> Case:
    stream = draws("softmax", "every_value")
    pairs = []
    for exponent in range(-9, 3):
        operand = quantised((1, 256), stream.scale(exponent), -4)
        pairs.append((operand, quantised((1, 256), 1 / 256, -128)))
    model = parallel("SOFTMAX", pairs, {"Beta": 1.0})
    return Case("every_value", "256 classes of all values, 12 scales", model, [[every_int8()] * len(pairs)])
