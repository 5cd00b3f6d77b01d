"""Names of the zoo: what is there is found, anything else gets a sentence."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from refsim import zoo
from refsim.errors import UsageError


@pytest.mark.parametrize("name", zoo.NETWORKS)
def test_every_network_loads_by_its_name(name: str) -> None:
    graph = zoo.find(f"zoo:{name}")
    assert str(graph) == str(zoo.load(name)) and graph.name == name


@pytest.mark.parametrize(
    ("model", "sentence"),
    [
        ("zoo:dscnn", "the zoo has no network 'dscnn': did you mean 'ds-cnn'"),
        ("zoo:DS_CNN", "the zoo has no network 'DS_CNN': did you mean 'ds-cnn'"),
        ("zoo:42", "the zoo has no network '42': expected one of ds-cnn"),
        ("zoo:", "the zoo has no network '': expected one of ds-cnn"),
        ("zoo:ds-cnn@96", "zoo network 'ds-cnn' has no resolution 96: expected zoo:ds-cnn"),
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
