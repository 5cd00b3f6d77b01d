"""Layers of the zoo's networks against what their authors print: products, parameters, activation peaks, structure."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest

from refsim import importers, zoo
from refsim.graph import Graph
from refsim.memsim.activations import peak_activation
from refsim.memsim.training_memory import trained_parameters

# MACs in thousands, parameters without and with batch normalisation, Act in bytes at int8: from the net configs of
# mit-han-lab/mcunet @9c164f8 and tinyml @e899b1b, by their own counting functions.
PUBLISHED = {
    "mcunet-in0": (6_364, 736_176, 749_840, 46_080),
    "mcunet-in1": (12_790, 624_216, 636_232, 92_160),
    "mcunet-in2": (67_287, 713_904, 729_392, 332_800),
    "mcunet-in3": (81_786, 722_032, 737_408, 340_736),
    "mcunet-in4": (125_874, 1_711_232, 1_732_640, 422_400),
    "mcunet-vww0": (5_958, 358_746, 368_970, 61_440),
    "mcunet-vww1": (11_579, 420_522, 432_746, 96_000),
    "mcunet-vww2": (55_771, 621_034, 639_258, 269_568),
    "mcunet-256kb-1mb-int4": (134_493, 1_385_328, 1_404_688, 499_200),
    "mcunet-320kb-1mb-int4": (169_953, 1_380_400, 1_400_448, 604_032),
    "mcunet-512kb-2mb-int4": (466_768, 3_229_880, 3_262_488, 1_013_760),
    "mbv2-w0.3": (7_300, 622_776, 634_408, 96_000),
    "mbv2-w0.35": (23_499, 737_864, 750_280, 311_040),
    "proxyless-w0.25": (10_691, 560_240, 569_600, 100_352),
    "proxyless-w0.3": (38_282, 742_680, 754_280, 247_808),
    "proxyless-mobile": (320_428, 4_046_016, 4_080_512, 802_816),
}
# As the two READMEs round them: MACs and parameters in millions, Act in KiB (None: not printed).
README = {
    "mcunet-in0": ("6.4", "0.75", 45),
    "mcunet-in1": ("12.8", "0.64", 90),
    "mcunet-in2": ("67.3", "0.73", 325),
    "mcunet-in3": ("81.8", "0.74", 333),
    "mcunet-in4": ("125.9", "1.73", 413),
    "mcunet-vww0": ("6.0", "0.37", None),
    "mcunet-vww1": ("11.6", "0.43", None),
    "mcunet-vww2": ("55.8", "0.64", None),
    "mbv2-w0.3": ("7.3", "0.63", 94),
    "mbv2-w0.35": ("23.5", "0.75", 303),
    "proxyless-w0.25": ("10.7", "0.57", 98),
    "proxyless-w0.3": ("38.3", "0.75", 242),
    "mcunet-256kb-1mb-int4": ("134.5", "1.4", 244),
    "mcunet-320kb-1mb-int4": ("170.0", "1.4", 295),
    "mcunet-512kb-2mb-int4": ("466.8", "3.3", 495),
}
MICRONETS_MOPS = {  # Table 4 of the paper; 2 operations a product
    "micronet-kws-l": 129,
    "micronet-kws-m": 30.6,
    "micronet-kws-s": 16.4,
    "micronet-ad-l": 129,
    "micronet-ad-m": 124.7,
    "micronet-ad-s": 37.5,
}
MICRONETS_FILE_BYTES = {"micronet-ad-m": 463_792, "micronet-ad-s": 252_848}  # ARM-software/ML-zoo @fec0bb5
# Most bytes live at once in the released .tflite files, every PAD's output included: TFLM's heads without their gaps.
LARGEST_LIVE = {
    "mcunet-vww0": 111_360,
    "mcunet-vww1": 161_472,
    "mcunet-vww2": 298_752,
    "mcunet-in2": 382_336,
    "mcunet-in3": 397_920,
    "mcunet-in4": 662_208,
}


ENDS = (
    ("transpose", "mean", "mean", "fully_connected"),
    ("transpose", "mean", "mean", "transpose", "conv2d", "reshape"),  # what the int8 files for ImageNet show
)


@cache
def network(name: str) -> Graph:
    return zoo.load_float(name)


@pytest.mark.parametrize("name", PUBLISHED)
def test_macs_parameters_and_act_are_exactly_those_of_the_release(name: str) -> None:
    graph = network(name)
    counted = trained_parameters(graph, batch_norm=False), trained_parameters(graph), peak_activation(graph)
    assert (round(graph.macs / 1000), *counted) == PUBLISHED[name]


@pytest.mark.parametrize("name", ["mcunet-in0", "proxyless-w0.3@64", "mbv2-w0.3@64"])
def test_the_classifier_for_imagenet_has_a_scale_for_each_class(name: str) -> None:
    graph = zoo.find(name)
    last = next(node for node in reversed(graph.nodes) if node.operator.name == "conv2d")
    weights, bias = (graph.tensors[i].quant for i in last.inputs[1:])
    assert weights is not None and bias is not None
    assert (len(weights.scale), len(bias.scale)) == (1000, 1000)


@pytest.mark.parametrize("name", README)
def test_figures_round_to_what_the_readmes_print(name: str) -> None:
    macs, parameters, act = README[name]
    graph = network(name)
    digits = len(parameters.partition(".")[2])
    assert f"{graph.macs / 1e6:.1f}" == macs
    assert f"{trained_parameters(graph) / 1e6:.{digits}f}" == parameters
    if act is not None:
        bits = 4 if name.endswith("int4") else 8
        assert abs(peak_activation(graph) * bits / 8 / 1024 - act) < 1  # one is cut, others are rounded


def test_resnet_50_and_wide_mobilenet_have_the_parameters_of_figure_2() -> None:
    resnet, mobilenet = (trained_parameters(network(name)) for name in ("resnet-50", "mobilenet-v2-w1.4"))
    assert (round(resnet / 1e6, 3), round(mobilenet / 1e6, 3)) == (25.557, 6.109)
    assert round(resnet / mobilenet, 2) == 4.18


def test_mobilenets_have_the_products_and_parameters_of_their_papers() -> None:
    assert round(network("mobilenet-v1-w1.0").macs / 1e6) == 569
    assert round(trained_parameters(network("mobilenet-v1-w1.0")) / 1e6, 1) == 4.2
    assert round(network("mobilenet-v2-w1.0").macs / 1e6, 1) == 300.8
    assert round(trained_parameters(network("mobilenet-v2-w1.0")) / 1e6, 1) == 3.5


@pytest.mark.parametrize("name", MICRONETS_MOPS)
def test_micronets_make_the_operations_that_their_paper_prints(name: str) -> None:
    tolerance = 0.002 if "-ad-" in name else 0.02
    assert network(name).macs * 2 / 1e6 == pytest.approx(MICRONETS_MOPS[name], rel=tolerance)


def test_the_small_anomaly_micronet_has_the_released_files_size_as_the_medium_one_has() -> None:
    """A file holds the weights, 28 bytes a channel (bias, two scales, two zero points), and the same rest in both."""
    rest = [size - _constant_bytes(network(name)) for name, size in MICRONETS_FILE_BYTES.items()]
    assert min(rest) > 0 and abs(rest[0] - rest[1]) < 1000


def _constant_bytes(graph: Graph) -> int:
    channels = sum(graph.tensors[node.inputs[2]].elements for node in graph.nodes if len(node.inputs) == 3)
    return trained_parameters(graph, batch_norm=False) + 28 * channels


@pytest.mark.parametrize(("name", "mops"), [("ds-cnn-s", 5.4), ("ds-cnn-m", 19.8), ("ds-cnn-l", 56.9)])
def test_ds_cnns_make_the_operations_of_hello_edge(name: str, mops: float) -> None:
    assert network(name).macs * 2 / 1e6 == pytest.approx(mops, rel=0.02)


@pytest.mark.parametrize("name", [*PUBLISHED, "mobilenet-v1-w0.25", "mobilenet-v2-w1.0", "resnet-50", "mcunetv2-se"])
def test_one_pad_stands_before_each_convolution_and_none_before_the_classifier(name: str) -> None:
    graph = network(name)
    end = next(end for end in ENDS if tuple(n.operator.name for n in graph.nodes[-len(end) :]) == end)
    assert (end == ENDS[1]) == (name in PUBLISHED and "vww" not in name)
    windows = [n for n in graph.nodes[: -len(end)] if n.operator.name in ("conv2d", "depthwise_conv2d")]
    for node in windows:
        pad = graph.nodes[graph.producers[node.inputs[0]]]
        sides = (graph.tensors[node.inputs[1]].shape[1] // 2,) * 2
        assert pad.operator.name == "pad"
        assert tuple(map(tuple, pad.attributes.paddings)) == ((0, 0), sides, sides, (0, 0))
        assert node.attributes.pad_top == node.attributes.pad_right == 0
    assert sum(n.operator.name == "pad" for n in graph.nodes) == len(windows)


def test_vww0_has_42_pads() -> None:
    assert sum(n.operator.name == "pad" for n in network("mcunet-vww0").nodes) == 42


@pytest.mark.parametrize("name", LARGEST_LIVE)
def test_tensors_live_at_once_reach_the_heads_of_the_released_files(name: str) -> None:
    assert _largest_live(network(name)) == LARGEST_LIVE[name]


def _largest_live(graph: Graph) -> int:
    last = {i: n for n, node in enumerate(graph.nodes) for i in node.inputs}
    live, peak = {*graph.inputs}, 0
    for n, node in enumerate(graph.nodes):
        live |= set(node.outputs)
        peak = max(peak, sum(graph.tensors[i].elements for i in live))
        live = {i for i in live if last.get(i, n + 1) > n}
    return peak


def test_vww1_has_the_released_files_layers_once_pads_are_fused(shared_models: Path) -> None:
    """Convolutions, depthwise, additions and the two means with their shapes, strides and activations, in order."""
    assert _layers(network("mcunet-vww1")) == _layers(importers.load(shared_models / "mcunet_vww1.tflite"))


def _layers(graph: Graph) -> list[tuple[object, ...]]:
    return [
        (node.operator.name, graph.tensors[node.outputs[0]].shape, *_options(node.attributes), *_weights(graph, node))
        for node in graph.nodes
        if node.operator.name not in ("pad", "quantize", "dequantize")
    ]


def _options(attributes: object) -> tuple[object, ...]:
    names = ("stride_h", "stride_w", "activation", "axes", "perm")
    return tuple(getattr(attributes, name, None) for name in names)


def _weights(graph: Graph, node: object) -> tuple[object, ...]:
    inputs: tuple[int, ...] = node.inputs  # type: ignore[attr-defined]
    return tuple(graph.tensors[i].shape for i in inputs if i >= 0 and graph.tensors[i].data is not None)


@pytest.mark.parametrize(("name", "file"), [("resnet-8", "mlperf_ic"), ("anomaly-autoencoder", "mlperf_ad")])
def test_mlperf_networks_have_the_published_layers(name: str, file: str, shared_models: Path) -> None:
    ours, published = zoo.load(name), importers.load(shared_models / f"{file}.tflite")
    assert sorted(_layers(ours), key=repr) == sorted(_layers(published), key=repr)
    assert (ours.macs, ours.parameters) == (published.macs, published.parameters)
    assert [ours.tensors[i].dtype for i in ours.inputs + ours.outputs] == ["int8", "int8"]
