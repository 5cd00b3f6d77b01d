"""Goldens of ADD, MUL, QUANTIZE, DEQUANTIZE, RELU and RELU6: probes over all int8 values, or all pairs of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from golden.make.case import Case, draws, every_int8, ordinary
from golden.make.draws import Draws
from golden.make.model import Operand, one_step, parallel, quantised
from golden.make.rounding import FLOAT32, RULES, Rule, half_away, int8, single, two_roundings

Array = NDArray[Any]
NONE, RELU, RELU_N1, RELU6 = 0, 1, 2, 3
FLOAT32_THROUGHOUT = "two-roundings of a multiplier from float32 arithmetic"
ALMOST_ONE = 1 - 2.0**-24  # the float32 below 1: a multiplier just below a power of two lies just beside every tie

Shapes = tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]
BINARY: Mapping[str, tuple[str, Shapes, int]] = {
    "equal_shapes": ("4-D, no activation", ((1, 5, 4, 3), (1, 5, 4, 3), (1, 5, 4, 3)), NONE),
    "relu": ("RELU", ((2, 3, 4, 5), (2, 3, 4, 5), (2, 3, 4, 5)), RELU),
    "relu6": ("RELU6", ((1, 7, 9), (1, 7, 9), (1, 7, 9)), RELU6),
    "relu_n1_to_1": ("RELU_N1_TO_1", ((3, 17), (3, 17), (3, 17)), RELU_N1),
    "vector": ("rank 1", ((33,), (33,), (33,)), NONE),
    "channel_broadcast": ("a vector of channels on the right", ((1, 4, 5, 6), (1, 1, 1, 6), (1, 4, 5, 6)), NONE),
    "channel_broadcast_left": ("a vector of channels on the left", ((6,), (2, 4, 5, 6), (2, 4, 5, 6)), NONE),
    "scalar_broadcast": ("one value on the right", ((1, 4, 5, 3), (1,), (1, 4, 5, 3)), RELU),
    "both_broadcast": ("a column and a row", ((1, 5, 1, 3), (1, 1, 4, 3), (1, 5, 4, 3)), NONE),
}


def add() -> Iterator[Case]:
    yield from _binary("ADD", lambda a, b: max(a, b) + 1)
    for number, (one, two) in enumerate([(-5, -5), (-5, -6), (-7, -4), (-3, -11)]):
        name = f"every_pair_{number}"
        stream = draws("add", name)
        a, b, y = stream.scale(one), stream.scale(two), stream.scale(max(one, two) + number)
        yield _every_pair("ADD", name, "all pairs, random scales", (a, b, y), (3, -9, -1), _add_rules)
    for number, given in enumerate(((1.0, 1.0, 2.0), (1.0, 3.0, 8.0), (ALMOST_ONE, ALMOST_ONE, 4.0), (0.1, 0.1, 0.2))):
        scales = (single(given[0]), single(given[1]), single(given[2]))
        yield _every_pair("ADD", f"tie_probe_{number}", "all pairs, sums on ties", scales, (0, -128, 5), _add_rules)


def mul() -> Iterator[Case]:
    yield from _binary("MUL", lambda a, b: a + b + 6)
    for number, (one, two, out) in enumerate([(-5, -5, -4), (-7, -1, -6), (-4, -4, 3)]):
        name = f"every_pair_{number}"
        stream = draws("mul", name)
        scales = stream.scale(one), stream.scale(two), stream.scale(out)
        yield _every_pair("MUL", name, "all pairs, random scales", scales, (3, -9, -1), _mul_rules)
    for number, (a, y) in enumerate([(1.0, 128.0), (ALMOST_ONE, 128.0), (ALMOST_ONE, 32.0), (0.1, 5.0), (0.7, 96.0)]):
        scales = (single(a), 1.0, single(y))
        yield _every_pair("MUL", f"tie_probe_{number}", "all pairs, products on ties", scales, (0, -3, 5), _mul_rules)
    scales = (single(0.7), 1.0, single(0.1))
    yield _every_pair("MUL", "left_shift", "all pairs, a multiplier of 7", scales, (0, -3, 5), _mul_rules)
    for number, rules in enumerate((("two-roundings", FLOAT32), (FLOAT32, FLOAT32_THROUGHOUT))):
        name = f"tie_probe_precision_{number}"
        scales = _precise(draws("mul", name), *rules)
        yield _every_pair("MUL", name, "all pairs, last bits of the multiplier decide", scales, (0, -3, 5), _mul_rules)


def quantize() -> Iterator[Case]:
    yield from _floats()
    stream = draws("quantize", "every_value_random")
    pairs = [(stream.scale(-5), stream.scale(-5 + n // 4 - 3)) for n in range(24)]
    yield _every_value("QUANTIZE", "every_value_random", "int8 to int8, random scales", pairs, stream)
    probe = draws("quantize", "tie_probe")
    yield _every_value("QUANTIZE", "tie_probe", "int8 to int8 on ties", _separating(probe, 24), probe)
    edge = draws("quantize", "extreme")
    pairs = [(2.0**-30, 1.0), (1.0, 2.0**-20), (2.0**-20, 2.0**-20), (1e-9, 3e-9), (3e3, 1e-3), (1.0, 4e9)]
    yield _every_value("QUANTIZE", "extreme", "int8 to int8, scale ratios from 2^-32 to 2^20", pairs, edge)
    image = draws("quantize", "image")
    x, y = quantised((2, 3, 5, 4), image.scale(-4), -11), quantised((2, 3, 5, 4), image.scale(-3), 30)
    yield ordinary("image", "int8 to int8, 4-D", one_step("QUANTIZE", [x], y), image)


def dequantize() -> Iterator[Case]:
    stream = draws("dequantize", "every_value")
    pairs = []
    for n in range(12):
        given = quantised((1, 256), stream.scale(-30 + 5 * n), stream.pick((-128, -1, 0, 7, 127)))
        pairs.append((given, Operand((1, 256), dtype="float32")))
    model = parallel("DEQUANTIZE", pairs)
    yield Case("every_value", "all int8 values, scales 2^-30 to 2^25", model, [[every_int8()] * len(pairs)])
    image = draws("dequantize", "image")
    whole = quantised((2, 3, 5, 4), image.scale(-4), -11)
    yield ordinary("image", "4-D", one_step("DEQUANTIZE", [whole], Operand(whole.shape, dtype="float32")), image)


def relu() -> Iterator[Case]:
    yield from _activation("RELU")


def relu6() -> Iterator[Case]:
    yield from _activation("RELU6")


def _binary(tflite: str, out: Callable[[int, int], int]) -> Iterator[Case]:
    for name, (text, (a, b, y), activation) in BINARY.items():
        stream = draws(tflite.lower(), name)
        exponents = stream.pick((-6, -5, -4)), stream.pick((-6, -5, -4))
        operands = [quantised(s, stream.scale(e), z) for s, e, z in zip((a, b), exponents, (-7, 19), strict=True)]
        result = quantised(y, stream.scale(out(*exponents)), -128 if activation in (RELU, RELU6) else -4)
        model = one_step(tflite, operands, result, {"FusedActivationFunction": activation})
        yield ordinary(name, text, model, stream)
    stream = draws(tflite.lower(), "constant_operand")
    x = quantised((1, 3, 4, 6), stream.scale(-5), 4)
    c = quantised((1, 1, 1, 6), stream.scale(-5), -30, stream.int8((1, 1, 1, 6)))
    result = quantised((1, 3, 4, 6), stream.scale(out(-5, -5)), 6)
    yield ordinary("constant_operand", "a constant vector on the right", one_step(tflite, [x, c], result), stream)


Rules = Callable[[Array, Array, tuple[float, float, float]], dict[str, Array]]


def _every_pair(
    tflite: str, name: str, text: str, scales: tuple[float, float, float], zeros: tuple[int, int, int], rules: Rules
) -> Case:
    """y[i, j] of the operands i - 128 and j - 128."""
    shape = (1, 256, 256, 1)
    a, b, y = (quantised(shape, scale, zero) for scale, zero in zip(scales, zeros, strict=True))
    first = np.broadcast_to(every_int8().reshape(1, 256, 1, 1), shape).copy()
    second = np.broadcast_to(every_int8().reshape(1, 1, 256, 1), shape).copy()
    wide = [v.astype(np.int64) - zero for v, zero in zip((first, second), zeros, strict=False)]
    given = {rule: int8(v, zeros[2])[None] for rule, v in rules(wide[0], wide[1], scales).items()}
    model = one_step(tflite, [a, b], y)
    return Case(name, text, model, [[first, second]], {rule: [v] for rule, v in given.items()})


def _mul_rules(a: Array, b: Array, scales: tuple[float, float, float]) -> dict[str, Array]:
    found = {name: rule(a * b, _multipliers(scales)["two-roundings"]) for name, rule in RULES.items()}
    return {**found, **{name: two_roundings(a * b, real) for name, real in _multipliers(scales).items()}}


def _multipliers(scales: tuple[float, float, float]) -> dict[str, float]:
    """s1 * s2 / y in double, rounded to float32 at the end, and in float32 throughout."""
    real = scales[0] * scales[1] / scales[2]
    return {
        "two-roundings": real,
        FLOAT32: single(real),
        FLOAT32_THROUGHOUT: single(single(scales[0] * scales[1]) / scales[2]),
    }


def _precise(stream: Draws, one: str, two: str) -> tuple[float, float, float]:
    """The scales, of 1,500 seeded ones, that tell most products apart between two ways to the multiplier."""
    products = np.unique(np.multiply.outer(np.arange(256), np.arange(256)))
    scored = {}
    for _ in range(1500):
        scales = (
            single(int(stream.integers(1, 60)) * stream.pick((1.0, 0.1))),
            single(int(stream.integers(1, 60)) * 0.1),
            single(int(stream.integers(1, 60)) * stream.pick((1.0, 4.0, 1.28, 2.56, 5.12))),
        )
        real = _multipliers(scales)
        answers = [int8(two_roundings(products, real[rule]), 0) for rule in (one, two)]
        scored[scales] = int(np.count_nonzero(answers[0] != answers[1]))
    return max(scored, key=lambda scales: scored[scales])


def _add_rules(a: Array, b: Array, scales: tuple[float, float, float]) -> dict[str, Array]:
    """TFLite's three requantisations with 20 bits of headroom under each rule; "real": the sum rounded once."""
    twice = 2 * max(scales[:2])
    reals = (scales[0] / twice, scales[1] / twice, twice / ((1 << 20) * scales[2]))

    def total(rule: Rule, one: float, two: float, three: float) -> Array:
        return rule(rule(a << 20, one) + rule(b << 20, two), three)

    found = {name: total(rule, *reals) for name, rule in RULES.items()}
    found[FLOAT32] = total(two_roundings, *(single(real) for real in reals))
    return {**found, "real": half_away((a * scales[0] + b * scales[1]) / scales[2])}


def _every_value(tflite: str, name: str, text: str, scales: Sequence[tuple[float, float]], stream: Draws) -> Case:
    """All 256 values through one operator for each pair of scales (input, output)."""
    pairs = []
    for one, two in scales:
        zeros = stream.pick(ZEROS if tflite == "QUANTIZE" else RELU_ZEROS)
        pairs.append((quantised((1, 256), one, zeros[0]), quantised((1, 256), two, zeros[1])))
    given = [_unary_rules(tflite, x, y) for x, y in pairs]
    rules = {rule: [answers[rule][None] for answers in given] for rule in given[0]}
    return Case(name, text, parallel(tflite, pairs), [[every_int8()] * len(pairs)], rules)


ZEROS = ((-128, -128), (127, 127), (0, 0), (5, -3), (-17, 64), (0, -128))
RELU_ZEROS = ((-128, -128), (-60, -128), (-17, -100), (0, -128), (5, -3), (-128, 0))


def _unary_rules(tflite: str, x: Operand, y: Operand) -> dict[str, Array]:
    wide = every_int8().astype(np.int64) - x.zero_point
    ratio = x.scale[0] / y.scale[0]
    found = {name: rule(wide, ratio) for name, rule in RULES.items()}
    found[FLOAT32] = two_roundings(wide, single(ratio))
    if tflite != "QUANTIZE":
        del found["half-up"]  # halves differ below zero only, where RELU leaves nothing
    clamped = {name: _clamp(tflite, value + y.zero_point, y) for name, value in found.items()}
    return clamped if tflite != "RELU6" else {**clamped, "clamp only": _clamp(tflite, wide + x.zero_point, x)}


def _clamp(tflite: str, value: Array, y: Operand) -> Array:
    low = -128 if tflite == "QUANTIZE" else y.zero_point
    high = y.zero_point + int(half_away(single(6 / y.scale[0]))) if tflite == "RELU6" else 127
    return np.clip(value, low, min(127, high)).astype(np.int8)


def _separating(stream: Draws, count: int) -> list[tuple[float, float]]:
    """Scale pairs that tell most int8 values apart: half by the rounding rule, half by the precision of the ratio."""
    acc = np.arange(256)
    rounding, precision = {}, {}
    for _ in range(6000):
        one = single(int(stream.integers(1, 60)) * stream.pick((1.0, 1.0, 0.1, ALMOST_ONE)))
        two = single(int(stream.integers(1, 60)) * stream.pick((1.0, 1.0, 0.1, 4.0)))
        ratio = one / two
        if 1 / 64 < ratio < 1:
            answers = [rule(acc, ratio) for rule in RULES.values()]
            rounding[one, two] = sum(int(np.count_nonzero(answers[0] != other)) for other in answers[1:])
            precision[one, two] = int(np.count_nonzero(answers[0] != two_roundings(acc, single(ratio))))
    best = [sorted(score, key=lambda pair: -score[pair])[: count // 2] for score in (rounding, precision)]
    return best[0] + best[1]


def _activation(tflite: str) -> Iterator[Case]:
    stream = draws(tflite.lower(), "equal_scales")
    scales = [stream.scale(-7 + n) for n in range(6)]
    yield _equal(tflite, "equal_scales", "all int8 values, input and output quantised alike", scales, stream)
    for name, text in (("every_value_random", "random scales"), ("tie_probe", "scale ratios that put values on ties")):
        probe = draws(tflite.lower(), name)
        if name == "tie_probe":
            chosen = [(one / 64, two / 64) for one, two in _separating(probe, 24)]
        else:
            chosen = [(probe.scale(-5), probe.scale(-6 + n // 4)) for n in range(24)]
        yield _every_value(tflite, name, f"all int8 values, {text}", chosen, probe)
    image = draws(tflite.lower(), "image")
    x = quantised((2, 3, 5, 4), image.scale(-4), -11)
    yield ordinary("image", "4-D", one_step(tflite, [x], replace(x)), image)


def _equal(tflite: str, name: str, text: str, scales: Sequence[float], stream: Draws) -> Case:
    xs = [quantised((1, 256), scale, stream.pick((-128, -20, 0, 50, 127))) for scale in scales]
    return Case(name, text, parallel(tflite, [(x, x) for x in xs]), [[every_int8()] * len(xs)])


def _floats() -> Iterator[Case]:
    """float32 to int8: random values, and (k + 1/2) * scale with its neighbours in float32."""
    stream = draws("quantize", "floats")
    pairs, values = [], []
    for n, zero in enumerate((-128, -5, 0, 127, 3, -128)):
        y = quantised((1, 600), stream.scale(-8 + 2 * n) if n < 4 else 2.0**-n, zero)
        ties = ((stream.integers(-140, 140, (150,)) + 0.5) * y.scale[0]).astype(np.float32)
        beside = [np.nextafter(ties, np.float32(side)) for side in (np.inf, -np.inf)]
        spread = (stream.integers(-(2**20), 2**20, (150,)) * (y.scale[0] * 2.0**-12)).astype(np.float32)
        spread[:4] = 0.0, -0.0, 1e4 * y.scale[0], -1e4 * y.scale[0]
        values.append(np.concatenate([ties, *beside, spread]).astype(np.float32).reshape(1, 600))
        pairs.append((Operand((1, 600), dtype="float32"), y))
    yield Case("floats", "float32 to int8 on ties, beside them and elsewhere", parallel("QUANTIZE", pairs), [values])
