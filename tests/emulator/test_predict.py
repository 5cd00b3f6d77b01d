"""Predictions without compiling: that they see the layers that the code has, and how near to emulation they come."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import replace
from importlib.resources import files
from typing import Any

import numpy as np
import pytest

import emulator
from emulator import predict_features, predict_fit, predict_samples
from emulator.predict_depthwise import blocks_of
from emulator.predict_layers import Layer, layers
from emulator.predict_networks import network
from emulator.predict_traits import bounds, is_heavy, pairable, scales_suit, traits_of
from emulator.prediction import DATA, predict
from emulator.validation import validate
from refsim import boards, passes, zoo
from refsim.builder import Builder
from refsim.errors import BoardError
from refsim.graph import Call, Graph, KernelCall
from refsim.int8ops.numerics import TFLM
from refsim.memsim.lifetime import lower, whole_tensor_program

SOME = (*range(-40, 0), *range(predict_fit.JUDGED, predict_fit.JUDGED + 25))
MANY = int(os.environ.get("REFSIM_PREDICTED_NETWORKS", "0"))
REAL = tuple(name for name, board in boards.BOARDS.items() if not board.generic)


def code_of(graph: Graph) -> dict[int, tuple[KernelCall, Call]]:
    """By output tensor, the kernel calls of the code that is generated for a graph."""
    optimised = passes.optimise(graph, TFLM)
    calls = lower(optimised, TFLM)
    steps = whole_tensor_program(optimised, calls, inplace=True).steps()
    made = ((optimised.nodes[step.node], calls[step.node]) for step in steps)
    return {node.outputs[0]: (kernel, optimised.call(node)) for node, kernel in made}


@pytest.mark.parametrize("seed", SOME)
def test_the_layers_are_those_of_the_code(seed: int) -> None:
    graph = predict_samples.drawn(seed)
    found = layers(graph)
    code = code_of(graph)
    assert [layer.y for layer in found] == list(code)
    for layer in found:
        agrees(graph, layer, *code[layer.y])


@pytest.mark.parametrize("name", ("mcunet-vww0", "resnet-8", "ds-cnn", "anomaly-autoencoder", "mobilenet-v1-w0.25"))
def test_the_layers_of_published_networks_are_those_of_their_code(name: str) -> None:
    graph = zoo.load(name, 48 if zoo.NETWORKS[name].resolution else None)
    code = code_of(graph)
    assert [layer.y for layer in layers(graph)] == list(code)


def agrees(graph: Graph, layer: Layer, kernel: KernelCall, call: Call) -> None:
    """What was found without lowering a layer is what lowering it gives."""
    given: Mapping[str, int] = kernel.literals
    y = graph.tensors[layer.y]
    if "low" in given:
        assert bounds(layer.activation, y) == (given["low"], given["high"])
    if layer.operator in ("conv2d", "depthwise_conv2d"):
        x, w = graph.tensors[layer.x], graph.tensors[layer.node.inputs[1]]
        assert (x.shape[1], layer.top, layer.left) == (given["in_h"], given["pad_top"], given["pad_left"])
        if scales_suit(x, w, y):
            assert given["fast"]
    if layer.operator == "conv2d":
        assert pairable(w) == given["paired"]
    if layer.operator == "depthwise_conv2d":
        assert _blocks(given, layer).rows == given["block_rows"]


def _blocks(given: Mapping[str, int], layer: Layer) -> Any:
    pairs = [tuple(given[f"{what}_{axis}"] for axis in "hw") for what in ("in", "out", "kernel", "stride", "dilation")]
    return blocks_of(*pairs, layer.top, layer.left)


def test_dead_constant_and_chained_nodes_are_seen_as_passes_leave_them() -> None:
    b = Builder("odd", seed=3)
    x = b.input((1, 9, 9, 4), quant=(0.05, 3))
    padded = b.pad(b.pad(x, ((0, 0), (1, 0), (0, 1), (0, 0))), ((0, 0), (0, 1), (1, 0), (0, 0)))
    y = b.relu(b.conv2d(padded, 8, 3, padding="valid", quant=(0.04, -128)), quant=(0.04, -128))
    b.conv2d(y, 4, 1, quant=(0.04, 0))  # nobody reads it
    z = b.add(
        y, b.relu6(b.constant(np.full((1, 1, 1, 8), 5, np.int8), (0.04, -128)), quant=(0.04, -128)), quant=(0.1, 0)
    )
    graph = b.build(z)
    found = layers(graph)
    assert [layer.operator for layer in found] == ["conv2d", "add"]
    assert (found[0].top, found[0].left, found[0].activation) == (1, 1, 1)
    assert [layer.y for layer in found] == list(code_of(graph))


def test_every_path_has_a_name_for_each_number() -> None:
    for name in ("nucleo-l4r5zi", "disco-f746ng", "generic-m0plus"):
        traits = traits_of(boards.find(name))
        for seed in SOME:
            graph = predict_samples.drawn(seed)
            for layer in layers(graph):
                path, counts = predict_features.counted(graph, layer, traits)
                assert len(counts) == len(predict_features.FEATURES[path]), path
                assert min(counts) >= 0, (path, counts)


def test_every_board_has_coefficients_and_a_stated_error() -> None:
    stored = json.loads((files("emulator") / DATA).read_text("utf-8"))
    assert list(stored["boards"]) == list(boards.BOARDS)
    for name, found in stored["boards"].items():
        missing = {p for p in predict_features.FEATURES if p not in found["paths"] and reachable(p, name)}
        assert not missing, (name, missing)
        assert 0 < found["error_pct"] < found["worst_pct"] < 100


def reachable(path: str, board: str) -> bool:
    """Whether a path is fitted on a board: by its DSP extension. QUANTIZE of float32 is estimated everywhere."""
    if path == "from_float":
        return False
    dsp_only = {"depthwise_conv2d.threes", "depthwise_conv2d.fours", "depthwise_conv2d.wide"}
    return boards.find(board).core.dsp or path not in dsp_only


@pytest.mark.toolchain
@pytest.mark.parametrize("name", ("nucleo-l4r5zi", "disco-f746ng", "nucleo-u575zi", "nucleo-g0b1re"))
def test_a_published_network_is_predicted(name: str) -> None:
    graph = zoo.load("ds-cnn")
    board = boards.find(name)
    found, emulated = predict(graph, board), validate(graph, board, toolchain="zig", count=1)
    assert abs(found.cycles / emulated.cycles - 1) < 0.1
    assert [(layer.name, layer.op) for layer in found.layers] == [(layer.name, layer.op) for layer in emulated.layers]
    assert found.latency_ms == pytest.approx(emulated.latency_ms, rel=0.1)


@pytest.mark.toolchain
def test_networks_that_nothing_was_fitted_to_are_predicted() -> None:
    within(len(REAL), predict_fit.judge(REAL, len(REAL), 1, files("emulator") / DATA))


@pytest.mark.slow
@pytest.mark.toolchain
@pytest.mark.skipif(not MANY, reason="REFSIM_PREDICTED_NETWORKS says how many networks to compile")
def test_many_networks_that_nothing_was_fitted_to_are_predicted() -> None:
    within(MANY, predict_fit.judge(REAL, MANY, os.cpu_count() or 1, files("emulator") / DATA))


def within(count: int, off: Mapping[tuple[str, int], float]) -> None:
    sizes = np.abs(list(off.values()))
    print(f"\n{len(sizes)} networks: mean error {sizes.mean():.2f} %, worst {sizes.max():.2f} %")
    assert len(sizes) == count
    assert sizes.mean() <= 4, off
    assert sizes.max() <= 10, off


def test_what_is_judged_was_not_fitted() -> None:
    assert not set(predict_fit.SEEDS) & set(range(predict_fit.JUDGED, predict_fit.JUDGED + 100_000))


def test_predictions_do_not_depend_on_what_came_before() -> None:
    board = boards.find("nucleo-l4r5zi")
    first = [predict(network(seed), board) for seed in range(5)]
    again = [predict(network(seed), board) for seed in reversed(range(5))]
    assert first == again[::-1]


def test_the_layers_add_up() -> None:
    found = emulator.predict(network(7), boards.find("nucleo-h743zi"))
    assert found.cycles == sum(layer.cycles for layer in found.layers) > 0
    assert found.latency_ms == pytest.approx(found.cycles / 480e6 * 1e3)
    assert found.error_pct is not None and found.worst_pct is not None and found.error_pct < found.worst_pct


def test_a_generic_board_has_cycles_and_no_latency() -> None:
    found = predict(network(7), boards.find("generic-m4"))
    assert found.cycles > 0 and found.latency_ms is None


def test_a_board_of_ones_own_is_predicted_without_a_stated_error() -> None:
    own = replace(boards.find("nucleo-l4r5zi"), name="mine", clock_hz=80_000_000)
    found = predict(network(7), own)
    assert found.cycles == predict(network(7), boards.find("generic-m4")).cycles
    assert found.error_pct is None and found.latency_ms == pytest.approx(found.cycles / 80e3)


def test_a_core_that_nobody_fitted_is_refused() -> None:
    strange = boards.find("generic-m4")
    with pytest.raises(BoardError, match="cortex-m99"):
        predict(network(7), replace(strange, core=replace(strange.core, name="cortex-m99")))


def test_an_operator_that_nobody_fitted_is_estimated_and_marked(monkeypatch: pytest.MonkeyPatch) -> None:
    without = {name: count for name, count in predict_features.COUNTS.items() if name != "softmax"}
    b = Builder("ends")
    graph = b.build(b.softmax(b.fully_connected(b.input((1, 64), (0.1, 0)), 10, quant=(0.1, 0))))
    board = boards.find("nucleo-l4r5zi")
    known = predict(graph, board)
    monkeypatch.setattr(predict_features, "COUNTS", without)
    found = predict(graph, board)
    assert [layer.fitted for layer in found.layers] == [True, False] and found.layers[1].cycles > 0
    assert found.error_pct is None and known.error_pct is not None


def heavy() -> Graph:
    """1080 products an output, so large that weights do not pair."""
    b = Builder("heavy", seed=6)
    x = b.input((1, 7, 7, 120), quant=(0.05, 0))
    return b.build(b.conv2d(x, 24, 3, quant=(0.1, 0)))


def test_weights_that_do_not_pair_are_seen_among_many_channels() -> None:
    w = np.full((64, 1, 1, 1100), 55, np.int8)
    w[33] = 70  # one odd channel, which a sample of the channels may miss
    b = Builder("heavy")
    x = b.input((1, 2, 2, 1100), quant=(0.05, 0))
    graph = b.build(b.conv2d(x, weights=w, weight_scale=0.01, quant=(0.1, 0)))
    (layer,) = layers(graph)
    ((kernel, _),) = code_of(graph).values()
    assert is_heavy(graph.tensors[layer.node.inputs[1]]) and not kernel.literals["paired"]


@pytest.mark.parametrize("first", (-2, 0))
def test_weights_of_minus_128_pair_beside_none_below_0_alone(first: int) -> None:
    w = np.full((5, 1, 1, 8), 3, np.int8)
    w[2:4, 0, 0, 5] = first, -128
    b = Builder("lowest")
    x = b.input((1, 2, 2, 8), quant=(0.05, 0))
    graph = b.build(b.conv2d(x, weights=w, weight_scale=0.01, quant=(0.1, 0)))
    ((kernel, _),) = code_of(graph).values()
    assert pairable(graph.tensors[layers(graph)[0].node.inputs[1]]) == kernel.literals["paired"] == (first == 0)


@pytest.mark.parametrize(("below", "lowest"), ((1, 2), (2, 3)))
def test_channels_that_nothing_changes_pair_with_none(below: int, lowest: int) -> None:
    """Channel 0 is left out, so that 1 pairs with 2, and 3 with 4: a negative weight beside -128, or not."""
    w = np.full((5, 1, 1, 8), 3, np.int8)
    w[0], w[below, 0, 0, 5], w[lowest, 0, 0, 5] = 0, -2, -128
    b = Builder("still")
    x = b.input((1, 2, 2, 8), quant=(0.05, 0))
    scales = (1e-9, *(0.01,) * 4)
    graph = b.build(b.conv2d(x, weights=w, weight_scale=scales, quant=(0.1, 0)))
    ((kernel, _),) = code_of(graph).values()
    found = predict_features.counted(graph, layers(graph)[0], traits_of(boards.find("nucleo-l4r5zi")))[0]
    assert kernel.literals["live"] == 4
    assert (found == "conv2d.single") == (not kernel.literals["paired"]) == (below == 1)


@pytest.mark.toolchain
@pytest.mark.parametrize("name", ("nucleo-l4r5zi", "nucleo-f207zg-30mhz", "nucleo-h743zi", "nucleo-g0b1re"))
def test_weights_that_do_not_pair_are_predicted_like_others(name: str) -> None:
    board = boards.find(name)
    found, emulated = predict(heavy(), board), validate(heavy(), board, toolchain="zig", count=1)
    assert predict_features.counted(heavy(), layers(heavy())[0], traits_of(board))[0] == "conv2d.single"
    assert found.error_pct is not None and abs(found.cycles / emulated.cycles - 1) < 0.1


def test_least_squares_without_negative_coefficients() -> None:
    nnls = pytest.importorskip("scipy.optimize").nnls
    draw = np.random.default_rng(5)
    for _ in range(20):
        a, b = draw.normal(size=(40, 7)), draw.normal(size=40)
        mine, known = predict_fit.non_negative(a, b), nnls(a, b)[0]
        assert np.allclose(mine, known, atol=1e-6)


@pytest.mark.toolchain
def test_what_is_measured_for_the_fit_is_what_validation_reports() -> None:
    """On other inputs: cycles hardly depend on them."""
    (seed, name) = (predict_fit.JUDGED, "nucleo-l4r5zi")
    measured = predict_samples.measured(predict_samples.Task(seed, (name,)))
    report = validate(network(seed), boards.find(name), toolchain="zig", count=1)
    assert sum(sample.cycles for sample in measured) == pytest.approx(report.cycles, rel=0.01)
