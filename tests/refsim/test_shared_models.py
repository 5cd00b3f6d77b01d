"""The six published models end to end: our outputs are the stored answers of tflite-micro and of LiteRT."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from refsim.graph import Array, Graph
from refsim.importers.tflite import read_tflite
from refsim.int8ops.numerics import NUMERICS, Numerics
from refsim.interpreter import outputs, run

MODELS = ("mcunet_vww1", "mlperf_ad", "mlperf_ic", "mlperf_kws", "mlperf_sww", "mlperf_vww")


def model(folder: Path, name: str) -> tuple[Graph, Mapping[str, Array]]:
    graph = read_tflite((folder / f"{name}.tflite").read_bytes(), name)
    with np.load(folder / f"{name}.npz") as stored:
        return graph, dict(stored)


def differing(graph: Graph, stored: Mapping[str, Array], engine: str, numerics: Numerics) -> Iterator[int]:
    """Elements that differ, for each stored inference."""
    count = sum(key.endswith("_0") and key.startswith("in") for key in stored)
    for n in range(count):
        ours = outputs(graph, run(graph, [stored[f"in{n}_{k}"] for k in range(len(graph.inputs))], numerics))
        theirs = [stored[f"{engine}{n}_{k}"] for k in range(len(graph.outputs))]
        assert [(y.dtype, y.shape) for y in ours] == [(y.dtype, y.shape) for y in theirs]
        yield sum(int(np.count_nonzero(a != b)) for a, b in zip(ours, theirs, strict=True))


@pytest.mark.parametrize("engine", ["tflm", "litert"])
@pytest.mark.parametrize("name", MODELS)
def test_published_model_gives_the_engines_answer_to_the_bit(name: str, engine: str, shared_models: Path) -> None:
    graph, stored = model(shared_models, name)
    assert list(differing(graph, stored, engine, NUMERICS[engine])) == [0, 0, 0]


def test_anomaly_detector_tells_the_two_fully_connected_roundings_apart(shared_models: Path) -> None:
    graph, stored = model(shared_models, "mlperf_ad")
    swapped = {"tflm": NUMERICS["litert"], "litert": NUMERICS["tflm"]}
    for engine, other in swapped.items():
        wrong = replace(NUMERICS[engine], fc_requantize=other.fc_requantize)
        assert any(differing(graph, stored, engine, wrong))
