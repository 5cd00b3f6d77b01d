"""Names of the zoo: what is there is found, anything else gets a sentence."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from refsim import zoo
from refsim.errors import UsageError


@pytest.mark.parametrize("name", zoo.NETWORKS)
def test_every_network_is_found_by_its_name_at_its_own_resolution(name: str) -> None:
    graph, network = zoo.load_float(name), zoo.NETWORKS[name]
    (start,) = graph.inputs
    assert graph.name == name
    if network.resolution is not None:
        assert graph.tensors[start].shape == (1, network.resolution, network.resolution, 3)


def test_a_name_with_a_resolution_is_that_network_quantised() -> None:
    graph = zoo.find("zoo:mcunet-vww0@33")
    (start,) = graph.inputs
    assert str(graph.tensors[start]) == "int8[1,33,33,3]"
    assert str(graph) == str(zoo.load("mcunet-vww0", 33))


@pytest.mark.parametrize(("name", "stem"), [("mobilenet-v1-w0.3", 9), ("mobilenet-v2-w0.6", 24)])
def test_mobilenets_come_at_widths_that_are_not_listed(name: str, stem: int) -> None:
    graph = zoo.load_float(name, 32)
    first = next(node for node in graph.nodes if node.operator.name == "conv2d")
    assert graph.tensors[first.outputs[0]].shape[3] == stem


@pytest.mark.parametrize(
    ("model", "sentence"),
    [
        ("zoo:dscnn", "the zoo has no network 'dscnn': did you mean 'ds-cnn'"),
        ("zoo:DS_CNN", "the zoo has no network 'DS_CNN': did you mean 'ds-cnn'"),
        ("zoo:42", "the zoo has no network '42': expected one of ds-cnn"),
        ("zoo:", "the zoo has no network '': expected one of ds-cnn"),
        ("zoo:ds-cnn@96", "zoo network 'ds-cnn' has no resolution 96: expected zoo:ds-cnn$"),
        ("zoo:mcunet-in0@8", "has no resolution 8: expected zoo:mcunet-in0, or zoo:mcunet-in0@RES with RES from 16 to"),
        ("zoo:mcunet-in0@513", "zoo network 'mcunet-in0' has no resolution 513"),
        ("zoo:mcunet-ww0", "did you mean 'mcunet-vww0'"),
        ("zoo:mobilenet-v1-w0", "the zoo has no network 'mobilenet-v1-w0'"),
        ("zoo:mobilenet-v2-w9", "the zoo has no network 'mobilenet-v2-w9'"),
        ("zoo:ds-cnn@", "model 'zoo:ds-cnn@': '' is not a resolution: expected zoo:NAME or zoo:NAME@RES"),
        ("zoo:ds-cnn@big", "'big' is not a resolution"),
        ("zoo:ds-cnn@" + "9" * 5000, "is not a resolution"),
        ("zoo:ds-cnn@-1", "'-1' is not a resolution"),
    ],
)
def test_unknown_networks_and_resolutions_are_answered_with_a_sentence(model: str, sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence):
        zoo.find(model)


def test_listing_the_zoo_loads_no_network_and_no_numpy(root: Path) -> None:
    program = "import sys, refsim.zoo; print('numpy' in sys.modules, 'refsim.zoo.ds_cnn' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], cwd=root, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]
