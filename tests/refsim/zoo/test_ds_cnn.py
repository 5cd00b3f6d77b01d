"""DS-CNN of the zoo: MLPerf Tiny's layers, live activations, the same bytes everywhere."""

from __future__ import annotations

import hashlib
import os
import platform
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from refsim import importers, zoo
from refsim.graph import Graph
from refsim.interpreter import random_inputs, run

MACS = 2_656_768  # of convolutions and matrices
PINNED = "86c1bd4347f99bd98aad830bde13ad46ec72b7699bef6cf4ccaf37dd20f18768"


@cache
def network() -> Graph:
    return zoo.load("ds-cnn")


def content(graph: Graph) -> Iterator[bytes]:
    """Every constant and every scale and zero point."""
    for tensor in graph.tensors:
        if tensor.data is not None:
            yield np.ascontiguousarray(tensor.data).astype(f"<{tensor.data.dtype.str[1:]}").tobytes()
        if tensor.quant is not None:
            yield np.array(tensor.quant.scale, "<f4").tobytes() + np.array(tensor.quant.zero_point, "<i4").tobytes()


def digest(graph: Graph) -> str:
    return hashlib.sha256(b"".join(content(graph))).hexdigest()


def test_weights_and_scales_are_those_of_every_other_host() -> None:
    assert digest(network()) == PINNED


@pytest.mark.skipif(platform.machine() != "x86_64", reason="switches of x86-64 builds of NumPy and OpenBLAS")
def test_scales_depend_neither_on_the_blas_nor_on_simd(root: Path) -> None:
    """NumPy's own matrix product and exponential differ between these settings in their last bits."""
    script = "import sys; sys.path.insert(0, sys.argv[1]); import test_ds_cnn as t; print(t.digest(t.network()))"
    slow = {
        "OPENBLAS_CORETYPE": "Prescott",
        "OPENBLAS_NUM_THREADS": "1",
        "NPY_DISABLE_CPU_FEATURES": "AVX512F AVX2 FMA3 X86_V3 X86_V4",
    }
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", script, str(Path(__file__).parent)],
        cwd=root, env={**os.environ, **slow, "PYTHONPATH": str(root)}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout.strip() == PINNED


def test_layers_are_those_of_the_published_network(shared_models: Path) -> None:
    published = importers.load(shared_models / "mlperf_kws.tflite")
    ours = network()
    for a, b in zip(ours.nodes, published.nodes, strict=True):
        assert (a.operator.name, a.attributes) == (b.operator.name, b.attributes)
        assert [ours.tensors[i].shape for i in a.inputs] == [published.tensors[i].shape for i in b.inputs]
        assert [ours.tensors[i].dtype for i in a.inputs] == [published.tensors[i].dtype for i in b.inputs]
        assert ours.tensors[a.outputs[0]].shape == published.tensors[b.outputs[0]].shape
    assert (ours.macs, ours.parameters) == (published.macs, published.parameters)


def test_its_convolutions_and_matrices_make_2656768_products() -> None:
    assert network().macs == MACS


@pytest.mark.parametrize("seed", range(3))
def test_activations_neither_die_nor_saturate(seed: int) -> None:
    """On inputs that calibration has not seen: at least 100 of 256 codes in every convolution's output, a third of the
    values above zero, every channel in use, and less than one in a hundred at the upper end."""
    graph = network()
    values = run(graph, random_inputs(graph, seed))
    for node in graph.nodes:
        y = values[node.outputs[0]]
        assert np.ptp(y.astype(int)) > 60
        if node.operator.name in {"conv2d", "depthwise_conv2d"}:
            assert len(np.unique(y)) >= 100
            assert np.mean(y > graph.tensors[node.outputs[0]].zero_point) > 1 / 3
            assert np.mean(y == 127) < 0.01


def test_every_channel_of_the_last_convolution_is_alive_somewhere() -> None:
    graph = network()
    last = [n.outputs[0] for n in graph.nodes if n.operator.name == "conv2d"][-1]
    highest = np.max([run(graph, random_inputs(graph, seed))[last].max(axis=(0, 1, 2)) for seed in range(4)], axis=0)
    assert np.mean(highest > -128) > 0.75


def test_the_answer_depends_on_the_input_and_is_not_one_class_at_full_scale() -> None:
    graph = network()
    answers = [run(graph, random_inputs(graph, seed))[graph.outputs[0]] for seed in range(4)]
    assert len({a.tobytes() for a in answers}) == 4
    assert all(len(np.unique(a)) >= 6 for a in answers)


def test_loading_takes_less_than_three_tenths_of_a_second() -> None:
    zoo.load("ds-cnn")
    best = min(_seconds() for _ in range(3))
    assert best < 0.3


def _seconds() -> float:
    start = time.perf_counter()
    zoo.load("ds-cnn")
    return time.perf_counter() - start
