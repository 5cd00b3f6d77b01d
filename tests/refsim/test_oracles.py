"""tflite-micro and LiteRT, live: random models of one operator, all tensors of published models, the goldens again."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, seed, settings, strategies as st

from refsim.graph import Array, Graph
from refsim.importers.tflite import read_tflite
from refsim.int8ops.numerics import NUMERICS
from refsim.interpreter import outputs, run

MISSING = [name for name in ("flatbuffers", "tflite") if find_spec(name) is None]
PACKAGES = {"tflm": "tflite_micro", "litert": "ai_edge_litert"}
ABSENT = [package for package in PACKAGES.values() if find_spec(package) is None]
REMEDY = "pip install 'refsim[oracles]'"
pytestmark = [
    pytest.mark.oracle,
    pytest.mark.skipif(bool(MISSING), reason=f"{', '.join(MISSING)} absent: {REMEDY}"),
]
ENGINES = [
    pytest.param(name, marks=pytest.mark.skipif(package in ABSENT, reason=f"{package} absent: {REMEDY}"))
    for name, package in PACKAGES.items()
]
if not MISSING:
    from golden.make import engines, reference
    from golden.make.draws import Draws, input_sets
    from golden.make.elementwise import ALMOST_ONE
    from golden.make.model import Model, Operand, one_step, plain, quantised, serialise
    from golden.make.rounding import ties

EXAMPLES = 60
SAME, VALID = 0, 1
SHARED = ("mcunet_vww1", "mlperf_ad", "mlperf_ic", "mlperf_kws", "mlperf_sww", "mlperf_vww")
sizes = st.integers(1, 7)
zeros = st.sampled_from([-128, -77, -1, 0, 3, 64, 127]) | st.integers(-128, 127)
seeds = st.integers(0, 2**32 - 1)
activations = st.integers(0, 3)
Draw = Callable[[st.SearchStrategy[Any]], Any]


kinds = st.sampled_from(["any", "any", "power", "below"])


def _scale(draw: Draw, stream: Draws, exponent: int, kind: str = "") -> float:
    """2**exponent up: a power of two, for exact ties, the float32 below one, or anything."""
    kind = kind or draw(kinds)
    return stream.scale(exponent) if kind == "any" else 2.0**exponent * (1 if kind == "power" else ALMOST_ONE)


def _weighted(
    draw: Draw, stream: Draws, channels: int, taps: int, shape: Sequence[int], axis: int
) -> tuple[list[Operand], float]:
    """[x without its shape, w, b] and an output scale under which most sums stay inside int8.

    Half the time the biases lie on rounding ties. Multipliers are 2^-24 to 2^3: with 2^20 and more in the accumulator
    never above 1, because C leaves a left shift that overflows undefined.
    """
    exponent, count = draw(st.integers(-14, -4)), 1 if draw(st.booleans()) else channels
    w_scales = [_scale(draw, stream, exponent) for _ in range(count)]
    limit, reach = draw(st.sampled_from([1, 8, 127])), draw(st.sampled_from([0, 1000, 2**20, 2**30]))
    w = quantised(shape, w_scales, 0, stream.integers(-limit, limit, shape, "int8"), axis)
    x = quantised((1,), _scale(draw, stream, draw(st.integers(-9, 0))), draw(zeros))
    spread = max(reach, 64 * limit * max(1, round(taps**0.5)))
    products = [x.scale[0] * scale for scale in w.scale] * (channels // count)
    y_scale = _scale(draw, stream, round(np.log2(spread * max(products))) - 6 + draw(st.integers(-2, 2)))
    bias = stream.integers(-reach, reach, (channels,))
    if draw(st.booleans()):
        steps = stream.integers(-100, 99, (channels,))
        on_ties = [ties(p / y_scale, k) for p, k in zip(products, steps, strict=True)]
        bias = np.where(np.abs(on_ties) < 2**30, on_ties, bias).astype(np.int32)
    b = quantised((channels,), [float(np.float32(p)) for p in products[:count]], 0, bias)
    return [x, w, b], y_scale


def _y(draw: Draw, stream: Draws, shape: Sequence[int], lowest: int, reach: int, kind: str = "") -> Operand:
    return quantised(shape, _scale(draw, stream, lowest + draw(st.integers(0, reach)), kind), draw(zeros))


@st.composite
def convolutions(draw: Draw, depthwise: bool = False) -> Model:
    stream = Draws(draw(seeds))
    n, h, w, c, filters = draw(st.tuples(st.integers(1, 2), sizes, sizes, sizes, sizes))
    kh, kw, sh, sw = draw(st.tuples(sizes, sizes, sizes, sizes))
    dh, dw, padding = draw(st.tuples(st.integers(1, 3), st.integers(1, 3), st.sampled_from([SAME, VALID])))
    if padding == VALID:
        h, w = h + (kh - 1) * dh, w + (kw - 1) * dw
    channels = c * filters if depthwise else filters
    shape, axis = ((1, kh, kw, channels), 3) if depthwise else ((filters, kh, kw, c), 0)
    (x, weights, b), y_scale = _weighted(draw, stream, channels, kh * kw * (1 if depthwise else c), shape, axis)
    cut = [(kh - 1) * dh, (kw - 1) * dw] if padding == VALID else [0, 0]
    out = [-(-(size - less) // stride) for size, less, stride in zip((h, w), cut, (sh, sw), strict=True)]
    options = {"Padding": padding, "StrideW": sw, "StrideH": sh, "FusedActivationFunction": draw(activations)}
    options |= {"DilationWFactor": dw, "DilationHFactor": dh} | ({"DepthMultiplier": filters} if depthwise else {})
    image = quantised((n, h, w, c), x.scale, x.zero_point)
    name = "DEPTHWISE_CONV_2D" if depthwise else "CONV_2D"
    return one_step(name, [image, weights, b], quantised((n, *out, channels), y_scale, draw(zeros)), options)


@st.composite
def layers(draw: Draw) -> Model:
    stream = Draws(draw(seeds))
    rows, depth, units = draw(st.tuples(sizes, st.integers(1, 40), st.integers(1, 30)))
    (x, w, b), y_scale = _weighted(draw, stream, units, depth, (units, depth), 0)
    y = quantised((rows, units), y_scale, draw(zeros))
    vector = quantised((rows, depth), x.scale, x.zero_point)
    operands = [vector, w, b if draw(st.booleans()) else None]
    return one_step("FULLY_CONNECTED", operands, y, {"FusedActivationFunction": draw(activations)})


@st.composite
def pairs(draw: Draw, name: str) -> Model:
    stream = Draws(draw(seeds))
    shape = [*draw(st.lists(sizes, max_size=3)), draw(st.integers(1, 30))]
    shapes = [shape, [1 if draw(st.booleans()) else size for size in shape][draw(st.integers(0, len(shape) - 1)) :]]
    kind, first, gap = draw(kinds), draw(st.integers(-8, 2)), draw(st.integers(-6, 6) | st.integers(-2, 2))
    exponents = (first, first + gap)
    operands = [
        quantised(s, _scale(draw, stream, e, kind), draw(zeros)) for s, e in zip(shapes, exponents, strict=True)
    ]
    lowest = sum(exponents) + 4 if name == "MUL" else max(exponents) - 1
    y = _y(draw, stream, shape, lowest, 6 if name == "MUL" else 3, kind)
    return one_step(
        name, operands[:: draw(st.sampled_from([1, -1]))], y, {"FusedActivationFunction": draw(activations)}
    )


@st.composite
def unaries(draw: Draw, name: str) -> Model:
    """A change of quantisation: QUANTIZE, RELU and RELU6."""
    stream, shape, exponent = Draws(draw(seeds)), (1, 256), draw(st.integers(-10, 3))
    x = quantised(shape, _scale(draw, stream, exponent), draw(zeros))
    return one_step(name, [x], _y(draw, stream, shape, exponent - 2, 9))


@st.composite
def dequantizes(draw: Draw) -> Model:
    x = quantised((1, 256), Draws(draw(seeds)).scale(draw(st.integers(-40, 20))), draw(zeros))
    return one_step("DEQUANTIZE", [x], Operand(x.shape, dtype="float32"))


@st.composite
def pools(draw: Draw, name: str) -> Model:
    n, h, w, c, kh, kw, sh, sw = draw(st.tuples(st.integers(1, 2), *[sizes] * 7))
    padding = draw(st.sampled_from([SAME, VALID]))
    if padding == VALID:
        h, w = h + kh - 1, w + kw - 1
    cut = [kh - 1, kw - 1] if padding == VALID else [0, 0]
    out = [-(-(size - less) // stride) for size, less, stride in zip((h, w), cut, (sh, sw), strict=True)]
    options = {"Padding": padding, "StrideW": sw, "StrideH": sh, "FilterWidth": kw, "FilterHeight": kh}
    x = quantised((n, h, w, c), Draws(draw(seeds)).scale(draw(st.integers(-8, 0))), draw(zeros))
    y = quantised((n, *out, c), x.scale, x.zero_point)
    return one_step(name, [x], y, options | {"FusedActivationFunction": draw(activations)})


@st.composite
def means(draw: Draw) -> Model:
    stream, shape = Draws(draw(seeds)), draw(st.lists(st.integers(1, 9), min_size=1, max_size=4))
    axes = draw(st.lists(st.integers(-len(shape), len(shape) - 1), min_size=1, unique_by=lambda a: a % len(shape)))
    keep = draw(st.booleans())
    reduced = {axis % len(shape) for axis in axes}
    out = [1 if n in reduced else size for n, size in enumerate(shape) if keep or n not in reduced]
    exponent = draw(st.integers(-8, 2))
    x = quantised(shape, _scale(draw, stream, exponent), draw(zeros))
    return one_step("MEAN", [x, plain(axes)], _y(draw, stream, out, exponent - 3, 6), {"KeepDims": keep})


@st.composite
def pads(draw: Draw) -> Model:
    shape = draw(st.lists(st.integers(1, 5), min_size=1, max_size=4))
    widths = [draw(st.tuples(st.integers(0, 3), st.integers(0, 3))) for _ in shape]
    x = quantised(shape, 0.5, draw(zeros))
    y = quantised([s + sum(w) for s, w in zip(shape, widths, strict=True)], 0.5, x.zero_point)
    return one_step("PAD", [x, plain(np.array(widths))], y)


@st.composite
def softmaxes(draw: Draw) -> Model:
    shape = draw(st.lists(st.integers(1, 12), min_size=1, max_size=4))
    x = quantised(shape, Draws(draw(seeds)).scale(draw(st.integers(-12, 4))), draw(zeros))
    return one_step("SOFTMAX", [x], quantised(shape, 1 / 256, -128), {"Beta": draw(st.sampled_from([1.0, 0.3, 2.0]))})


@st.composite
def transposes(draw: Draw) -> Model:
    shape = draw(st.lists(st.integers(1, 5), min_size=1, max_size=4))
    order = draw(st.permutations(range(len(shape))))
    y = quantised([shape[axis] for axis in order], 0.5, 3)
    return one_step("TRANSPOSE", [quantised(shape, 0.5, 3), plain(order)], y)


@st.composite
def reshapes(draw: Draw) -> Model:
    shape = draw(st.lists(st.integers(1, 5), min_size=1, max_size=4))
    out = draw(st.permutations(shape)) + [1] * draw(st.integers(0, 2))
    return one_step("RESHAPE", [quantised(shape, 0.5, 3), plain(out)], quantised(out, 0.5, 3), {"NewShape": out})


@st.composite
def concatenations(draw: Draw) -> Model:
    shape = draw(st.lists(st.integers(1, 5), min_size=1, max_size=4))
    axis = draw(st.integers(-len(shape), len(shape) - 1))
    lengths = draw(st.lists(st.integers(1, 4), min_size=1, max_size=5))
    at = axis % len(shape)
    shapes = [(*shape[:at], length, *shape[at + 1 :]) for length in lengths]
    y = quantised((*shape[:at], sum(lengths), *shape[at + 1 :]), 0.5, 3)
    return one_step("CONCATENATION", [quantised(s, 0.5, 3) for s in shapes], y, {"Axis": axis})


MODELS: Mapping[str, Callable[[], st.SearchStrategy[Model]]] = {
    "conv2d": convolutions,
    "depthwise_conv2d": lambda: convolutions(depthwise=True),
    "fully_connected": layers,
    "add": lambda: pairs("ADD"),
    "mul": lambda: pairs("MUL"),
    "quantize": lambda: unaries("QUANTIZE"),
    "relu": lambda: unaries("RELU"),
    "relu6": lambda: unaries("RELU6"),
    "dequantize": dequantizes,
    "average_pool_2d": lambda: pools("AVERAGE_POOL_2D"),
    "max_pool_2d": lambda: pools("MAX_POOL_2D"),
    "mean": means,
    "pad": pads,
    "softmax": softmaxes,
    "transpose": transposes,
    "reshape": reshapes,
    "concatenation": concatenations,
}


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("op", MODELS)
def test_random_models_of_one_operator_agree_to_the_bit(op: str, engine: str) -> None:
    @seed(2026)
    @settings(max_examples=EXAMPLES, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(MODELS[op](), seeds)
    def compare(model: Model, data_seed: int) -> None:
        inputs = [model.operands[n] for n in model.inputs]
        sets = input_sets(Draws(data_seed), [x.shape for x in inputs], [x.zero_point for x in inputs], 2)
        data = serialise(model)
        graph = read_tflite(data, op)
        for given_set, theirs in zip(sets, engines.ENGINES[engine](data, sets), strict=True):
            for ours, answer in zip(outputs(graph, run(graph, given_set, NUMERICS[engine])), theirs, strict=True):
                np.testing.assert_array_equal(ours, answer, strict=True)

    compare()


def _inputs(folder: Path, name: str, count: int) -> Iterator[list[Array]]:
    with np.load(folder / f"{name}.npz") as stored:
        for n in range(count):
            yield [stored[f"in{n}_{k}"] for k in range(sum(key.startswith(f"in{n}_") for key in stored.files))]


def _computed(graph: Graph) -> list[int]:
    return [index for node in graph.nodes for index in node.outputs]


@pytest.mark.slow
@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("name", SHARED)
def test_every_tensor_of_a_published_model_is_the_engines(name: str, engine: str, shared_models: Path) -> None:
    data = (shared_models / f"{name}.tflite").read_bytes()
    graph = read_tflite(data, name)
    tensors = engines.tflm_tensors if engine == "tflm" else engines.litert_tensors
    for inputs in _inputs(shared_models, name, 3):
        theirs = tensors(data, inputs, _computed(graph))
        ours = run(graph, inputs, NUMERICS[engine])
        assert {i: (y.dtype, y.shape) for i, y in theirs.items()} == {i: (ours[i].dtype, ours[i].shape) for i in theirs}
        wrong = {i: int(np.count_nonzero(ours[i] != theirs[i])) for i in theirs}
        assert len(wrong) >= len(graph.nodes) and not {i: count for i, count in wrong.items() if count}


@pytest.mark.slow
@pytest.mark.skipif(bool(ABSENT), reason=f"{', '.join(ABSENT)} absent: {REMEDY}")
@pytest.mark.parametrize("op", [] if MISSING else list(reference.OPERATORS))
def test_goldens_made_again_have_the_same_bytes(op: str, tmp_path: Path) -> None:
    stored = json.loads((reference.REFERENCE / op / "manifest.json").read_text())
    if engines.versions() != stored["oracles"]:
        pytest.skip(f"the goldens are of {stored['oracles']}, installed is {engines.versions()}")
    reference.write(op, tmp_path)
    again = {path.name: path.read_bytes() for path in (tmp_path / op).iterdir()}
    kept = {path.name: path.read_bytes() for path in (reference.REFERENCE / op).iterdir()}
    manifest = json.loads(again.pop("manifest.json"))
    assert again == {name: content for name, content in kept.items() if name != "manifest.json"}
    assert {**manifest, "numpy": stored["numpy"]} == stored
