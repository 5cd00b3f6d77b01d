"""The survey's and MCUNetV2's figures, as `analyze` gives them."""

from __future__ import annotations

from typing import Any

import pytest

from codegen.analysis import analyze, as_json
from refsim import zoo
from refsim.errors import UsageError


def found(name: str, stage: tuple[int, int] | None = None) -> dict[str, Any]:
    made: dict[str, Any] = as_json(analyze(zoo.load_float(name), runtimes=["tinyengine"], stage=stage))["figures"]
    return made


def test_figure_2_of_the_survey() -> None:
    resnet, mobilenet = found("resnet-50"), found("mobilenet-v2-w1.4")
    assert round(resnet["trained_parameters"] / mobilenet["trained_parameters"], 2) == 4.18
    assert round(resnet["saved_bytes"] / mobilenet["saved_bytes"], 2) == 1.13
    assert round(8 * resnet["saved_bytes"] / (4 * resnet["trained_parameters"]), 2) == 6.91


def test_mcunetv2_s_patches() -> None:
    graph = zoo.load_float("mobilenet-v2-w1.0")
    stage = [graph.tensors[node.outputs[0]].shape for node in graph.nodes].index((1, 28, 28, 32)) + 1
    figures = found("mobilenet-v2-w1.0", (stage, 4))
    patches = figures["patches"]
    assert (figures["peak_in_place"] / 1024, patches["rest"] / 1024) == (1372.0, 171.5)
    assert patches["input_side"] == 75
    assert round(100 * (patches["patched_macs"] / patches["macs"] - 1), 1) == 41.9


def test_stages_that_are_not_there_are_refused() -> None:
    with pytest.raises(UsageError, match=r"--patches 99999:2: expected 1 to"):
        analyze(zoo.load("ds-cnn"), stage=(99999, 2))
