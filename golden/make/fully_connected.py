"""Goldens of FULLY_CONNECTED, the operator on which the two engines round differently."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from golden.make.case import Case, draws, ordinary
from golden.make.draws import Draws
from golden.make.model import Model, one_step, quantised
from golden.make.rounding import by_channel, single, ties

NONE, RELU, RELU_N1, RELU6 = 0, 1, 2, 3


@dataclass(frozen=True)
class Dense:
    """A layer in numbers; `w_exponents` of the weight scales, in turn over the units (one: per tensor)."""

    x: tuple[int, ...]
    units: int
    depth: int
    activation: int = NONE
    bias: bool = True
    keep_num_dims: bool = False
    per_channel: bool = False
    x_zero: int = -128
    y_zero: int = 3
    w_exponents: tuple[int, ...] = (-8,)
    y_exponent: int = -3
    weight_limit: int = 127
    bias_limit: int = 4000


ORDINARY: dict[str, tuple[str, Dense]] = {
    "vector": ("16 to 10", Dense((1, 16), 10, 16)),
    "odd": ("13 to 7, zero point 40", Dense((1, 13), 7, 13, x_zero=40)),
    "one_unit": ("5 to 1", Dense((6, 5), 1, 5, x_zero=-1)),
    "one_input": ("1 to 6", Dense((1, 1), 6, 1, x_zero=0, y_exponent=-6)),
    "batch3_relu": ("three rows, RELU", Dense((3, 20), 9, 20, RELU, y_zero=-128)),
    "relu6": ("RELU6", Dense((2, 12), 8, 12, RELU6, y_zero=-128, y_exponent=-5)),
    "relu_n1_to_1": ("RELU_N1_TO_1", Dense((4, 12), 8, 12, RELU_N1, y_zero=-11, y_exponent=-6, w_exponents=(-11,))),
    "no_bias": ("absent bias", Dense((2, 9), 11, 9, bias=False, x_zero=5)),
    "flattened": ("a 4-D input, flattened", Dense((2, 2, 3, 4), 5, 24, x_zero=7)),
    "rows_of_depth": ("a 3-D input of which each last axis is a row", Dense((1, 4, 6), 5, 6, x_zero=-9)),
    "keep_num_dims": ("a 3-D input and output", Dense((2, 3, 8), 5, 8, keep_num_dims=True, x_zero=2)),
    "long": ("200 to 4", Dense((1, 200), 4, 200, y_exponent=-1)),
    "per_channel": ("a weight scale for each unit", Dense((2, 14), 9, 14, per_channel=True, w_exponents=(-9, -8, -7))),
    "per_channel_no_bias": ("the same without bias", Dense((1, 8), 6, 8, bias=False, per_channel=True)),
    "tiny_multiplier": (
        "a multiplier near 1e-9, biases over all of int32",
        Dense((1, 4), 64, 4, w_exponents=(-33,), y_exponent=-8, bias_limit=2**31 - 2**20),
    ),
    "vanishing_multiplier": (
        "a multiplier below 2^-32, which becomes 0 in fixed point",
        Dense((1, 4), 32, 4, w_exponents=(-40,), y_exponent=-3, bias_limit=2**31 - 2**20),
    ),
    "left_shift": (
        "a multiplier above 1, sums small enough to stay in int8",
        Dense((12, 1), 16, 1, w_exponents=(-1,), y_exponent=-8, weight_limit=1, bias_limit=15, x_zero=2),
    ),
}
for _exponent in (-5, -6, -7, -9, -11):
    ORDINARY[f"random_2e{-_exponent}"] = (
        "random sums: the two engines differ now and then",
        Dense((16, 4), 128, 4, w_exponents=(_exponent,), y_exponent=-5, x_zero=3),
    )


def fully_connected() -> Iterator[Case]:
    for name, (text, dense) in ORDINARY.items():
        stream = draws("fully_connected", name)
        yield ordinary(name, text, _model(dense, stream), stream)
    for number in range(3):
        yield _probe(f"tie_probe_{number}", "a multiplier of 1e-7 to 5e-7", -23)
    for number in range(2):
        yield _probe(f"tie_probe_middle_{number}", "a multiplier of 6e-5 to 2.4e-4", -14)
    yield _probe("exact_ties", "power-of-two scales, so that ties are exact", None)
    yield _probe("tie_probe_per_channel", "multipliers of 1e-7 to 5e-7, one for each unit", -23, per_channel=True)


def _model(dense: Dense, stream: Draws) -> Model:
    count = dense.units if dense.per_channel else 1
    scales = [stream.scale(dense.w_exponents[n % len(dense.w_exponents)]) for n in range(count)]
    x = quantised(dense.x, stream.scale(-5), dense.x_zero)
    limit = dense.weight_limit
    weights = (dense.units, dense.depth)
    w = quantised(weights, scales, 0, stream.integers(-limit, limit, weights, "int8"))
    bias = stream.integers(-dense.bias_limit, dense.bias_limit, (dense.units,))
    b = quantised((dense.units,), [single(x.scale[0] * s) for s in w.scale], 0, bias)
    rows = dense.x[:-1] if dense.keep_num_dims else (x.elements // dense.depth,)
    y = quantised((*rows, dense.units), stream.scale(dense.y_exponent), dense.y_zero)
    options = {"FusedActivationFunction": dense.activation, "KeepNumDims": dense.keep_num_dims}
    return one_step("FULLY_CONNECTED", [x, w, b if dense.bias else None], y, options)


def _probe(name: str, text: str, exponent: int | None, per_channel: bool = False) -> Case:
    """Depth 1: acc[p, c] = bias[c] + (x[p] - zero) * w[c], first with x at its zero; biases on ties and beside."""
    stream, units, zero = draws("fully_connected", name), 480, 11
    x_scale = 0.5 if exponent is None else stream.scale(-1)
    count = units if per_channel else 1
    scales = (2.0**-11,) if exponent is None else stream.scales(exponent, count)
    reals = [x_scale * scale for scale in scales] * (1 if per_channel else units)
    steps, nudges = stream.integers(-120, 119, (units,)), stream.integers(-1, 1, (units,))
    bias = np.array([ties(real, step, int(n)) for real, step, n in zip(reals, steps, nudges, strict=True)], np.int32)
    w = stream.integers(-2, 2, (units,), "int8")
    operands = [
        quantised((4, 1), x_scale, zero),
        quantised((units, 1), scales, 0, w.reshape(units, 1)),
        quantised((units,), [single(x_scale * s) for s in scales], 0, bias),
    ]
    model = one_step("FULLY_CONNECTED", operands, quantised((4, units), 1.0, -2))
    x = np.array([[0, 0, 0, 0], [1, -1, 2, 3], [-2, 4, 9, -9]]) + zero
    acc = bias.astype(np.int64) + (x[:, :, None] - zero) * w.astype(np.int64)
    rules = {rule: [y] for rule, y in by_channel(acc, reals, -2).items()}
    sets = [[v.astype(np.int8).reshape(4, 1)] for v in x]
    return Case(name, text + "; biases at (k + 1/2) / multiplier and beside", model, sets, rules)
