"""The FULLY_CONNECTED kernel against the reference: shapes, both roundings on ties, heavy weights, every layout."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from refsim.graph import Array, Call, Quant, Tensor
from refsim.int8ops.fixedpoint import multiply_exact
from refsim.int8ops.fully_connected import OPERATOR, FullyConnected, effective_scales, exact_scale
from refsim.int8ops.numerics import LITERT, TFLM

BOTH = pytest.mark.parametrize("numerics", [TFLM, LITERT], ids=lambda n: n.name)


@dataclass(frozen=True)
class Layer:
    x: tuple[int, ...] = (1, 8)
    w: tuple[int, int] = (4, 8)
    quant: tuple[float, int] = (0.05, -3)
    weight_scales: tuple[float, ...] = (0.01,)
    out: tuple[float, int] = (0.3, 4)
    activation: int = 0
    keep: bool = False
    bias: bool = True


def quantised(scale: float, zero_point: int) -> Quant:
    return Quant((float(np.float32(scale)),), (zero_point,))


def layer(seed: int, s: Layer, weights: Array | None = None, bias: Array | None = None) -> tuple[Any, Call, list[Any]]:
    random = np.random.default_rng(seed)
    w = random.integers(-127, 128, s.w).astype(np.int8) if weights is None else weights
    b = random.integers(-3000, 3000, s.w[0]).astype(np.int32) if bias is None else bias
    scales = tuple(float(np.float32(scale)) for scale in s.weight_scales)
    inputs = (
        Tensor("x", s.x, "int8", quantised(*s.quant)),
        Tensor("w", s.w, "int8", Quant(scales, (0,) * len(scales)), w),
        Tensor("b", (s.w[0],), "int32", None, b) if s.bias else None,
    )
    attributes = FullyConnected(s.activation, s.keep)
    call = Call(inputs, (Tensor("y", OPERATOR.infer(inputs, attributes)[0], "int8", quantised(*s.out)),), attributes)
    OPERATOR.check(call)
    return OPERATOR, call, [random.integers(-128, 128, s.x).astype(np.int8), w, b if s.bias else None]


@BOTH
def test_any_size(check_kernels: Any, numerics: Any) -> None:
    random = np.random.default_rng(3)
    cases = []
    for seed in range(24):
        n, k, batch = (int(random.integers(1, high)) for high in (14, 40, 4))
        scales = tuple(10 ** random.uniform(-3, -1, n if seed % 2 else 1))
        cases.append((*layer(seed, Layer((batch, k), (n, k), weight_scales=scales, activation=seed % 4)), numerics))
    check_kernels(cases)


def test_no_bias_and_kept_axes(check_kernels: Any) -> None:
    shapes = [((2, 3, 5), (7, 5)), ((2, 3, 4, 5), (6, 5)), ((4, 9), (3, 9)), ((1, 1, 1, 8), (2, 8))]
    check_kernels([layer(i, Layer(x, w, keep=True, bias=False)) for i, (x, w) in enumerate(shapes)])


def test_inputs_whose_rows_are_not_the_batches(check_kernels: Any) -> None:
    shapes = [
        ((1, 4, 4, 6), (5, 96)),
        ((2, 3, 4, 6), (5, 72)),
        ((2, 3, 4, 6), (5, 6)),
        ((4, 3), (3, 2)),
        ((9,), (2, 9)),
    ]
    shapes += [((6, 5), (2, 15)), ((2, 4, 3, 3), (2, 18)), ((4, 9), (3, 12)), ((2, 3, 4, 6), (4, 12))]
    check_kernels([layer(i, Layer(x, w)) for i, (x, w) in enumerate(shapes)])


@pytest.mark.parametrize("value", [-128, 127])
def test_weights_too_heavy_for_one_block(check_kernels: Any, value: int) -> None:
    cases = []
    for k in (508, 510, 1023, 1301):
        s = Layer((1, k), (4, k), quant=(0.05, 0), weight_scales=(1e-4,), out=(1.0, 0))
        operator, call, values = layer(k, s, np.full((4, k), value, np.int8))
        cases += [(operator, call, [np.full((1, k), x, np.int8), *values[1:]]) for x in (-128, 127)]
        cases.append((operator, call, values))
    check_kernels(cases)


def ties(random: np.random.Generator, scales: Array) -> Array:
    """Accumulators at, and one beside, halves between the results of int8, where float32 and float64 disagree most."""
    half = random.integers(-140, 140, len(scales)) + 0.5
    near = np.rint(half / scales) + random.integers(-1, 2, len(scales))
    return np.clip(near, -(2**30), 2**30).astype(np.int32)


def tie_case(seed: int, x_scale: float, weight_scales: Array, y_scale: float) -> Any:
    """One input that is 0, so that each output is its bias, requantised."""
    count = len(weight_scales)
    s = Layer((1, 1), (count, 1), (x_scale, 11), tuple(map(float, weight_scales)), (y_scale, 0))
    call = layer(seed, s)[1]
    bias = ties(np.random.default_rng(seed), effective_scales(call))
    operator, call, values = layer(seed, s, bias=bias)
    return operator, call, [np.full((1, 1), 11, np.int8), *values[1:]]


@BOTH
def test_accumulators_on_ties(check_kernels: Any, numerics: Any) -> None:
    random = np.random.default_rng(9)
    scales = [10 ** random.uniform(-7, 1, 1500) for _ in range(3)]
    check_kernels([(*tie_case(i, 0.3, s, (0.3, 0.7, 0.1)[i]), numerics) for i, s in enumerate(scales)])


def test_products_that_float64_lifts_to_a_tie(check_kernels: Any) -> None:
    """Quotients of whole numbers, such as 3/10: 5 times its float64 is below 1.5, but float64's product is 1.5."""
    random = np.random.default_rng(10)
    cases = [(*tie_case(b, 1.0, random.integers(1, 400, 1000), float(b)), LITERT) for b in (10, 30, 60, 70, 210)]
    lifted = sum(int(np.sum(without_lift(case) != OPERATOR.reference(*case[1:])[0])) for case in cases)
    assert lifted > 30
    check_kernels(cases)


def without_lift(case: Any) -> Array:
    """What exact arithmetic on the float64 scale would answer, rounded once."""
    _, call, values, _ = case
    accumulators = zip(values[2].tolist(), effective_scales(call).tolist(), strict=True)
    products = [Fraction(acc) * Fraction(real) for acc, real in accumulators]
    rounded = [int(abs(p) + Fraction(1, 2)) * (-1 if p < 0 else 1) for p in products]
    return np.clip(rounded, -128, 127).astype(np.int8).reshape(1, -1)


def exact(acc: int, scale: Array) -> int:
    """rs_multiply_exact in Python's integers, step for step, each word held to 32 bits."""
    high, low, shifts, limit = (int(v) for v in scale)
    right, left = shifts & 255, shifts >> 8
    magnitude = min(abs(acc), limit) << left
    assert magnitude < 1 << 32
    product = magnitude * (high << 32 | low) + (1 << (63 + right))
    assert product < 1 << 96
    k, fraction = product >> (64 + right), product & ((1 << (64 + right)) - 1)
    top = fraction >> right
    if top >> 32 == 0xFFFFFFFF:
        width = 23 if k == 0 else max(0, 22 - k.bit_length())
        k += (top & 0xFFFFFFFF) >> (32 - width) == (1 << width) - 1
    return -k if acc < 0 else k


reals = st.one_of(
    st.floats(2.0**-40, 2.0**12),
    st.builds(lambda a, b: a / b, st.integers(1, 3000), st.integers(1, 3000)),
    st.builds(lambda a, b: float(np.float32(a)) * 0.1 / b, st.floats(1e-3, 1.0), st.integers(1, 300)),
)


@settings(max_examples=3000, deadline=None)
@given(reals, st.integers(0, 260), st.integers(-2, 2), st.booleans())
def test_integers_give_the_float64_product_rounded(real: float, whole: int, beside: int, negative: bool) -> None:
    acc = min(round((whole + 0.5) / real) + beside, 2**31 - 1) * (-1 if negative else 1)
    found, wanted = exact(acc, exact_scale(real)), int(multiply_exact(acc, real))
    assert found == wanted or (min(abs(found), abs(wanted)) >= 512 and found * wanted > 0)
