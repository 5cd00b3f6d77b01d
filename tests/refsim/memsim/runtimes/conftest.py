from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from refsim.graph import Graph, Node, Quant
from refsim.int8ops import operators
from refsim.zoo import find

Table = Mapping[tuple[str, str], Mapping[str, str]]  # (network, runtime) -> the row


@pytest.fixture(scope="session")
def table3(root: Path) -> Table:
    """Table 3 of arXiv:2403.19076 as printed; cells are empty where it says OOM."""
    with (root / "golden/measured/table3.csv").open() as file:
        return {(row["model"], row["runtime"]): row for row in csv.DictReader(file)}


@pytest.fixture(scope="session")
def released(request: pytest.FixtureRequest) -> Graph:
    """A zoo network whose classifier is a 1x1 convolution, as sizes and arenas of the 2020 files show it to be."""
    return with_convolution_as_classifier(find(request.param))


def with_convolution_as_classifier(graph: Graph) -> Graph:
    """FULLY_CONNECTED becomes RESHAPE, CONV_2D with scales per channel, RESHAPE."""
    found = [n for n, node in enumerate(graph.nodes) if node.operator.name == "fully_connected"]
    if not found:
        return graph
    (n,), tensors = found, list(graph.tensors)
    node = graph.nodes[n]
    x, w, b = (tensors[i] for i in node.inputs)
    y, (units, depth) = tensors[node.outputs[0]], w.shape
    assert w.quant is not None
    assert b.quant is not None
    assert w.data is not None
    data, per_channel = w.data.reshape(units, 1, 1, depth), Quant(w.quant.scale * units, w.quant.zero_point * units)
    tensors[node.inputs[1]] = replace(w, shape=data.shape, data=data, quant=per_channel)
    tensors[node.inputs[2]] = replace(b, quant=Quant(b.quant.scale * units, b.quant.zero_point * units))
    tensors += [replace(x, name="means", shape=(1, 1, 1, depth)), replace(y, name="scores", shape=(1, 1, 1, units))]
    means, scores = len(tensors) - 2, len(tensors) - 1
    conv, reshape = operators()["conv2d"], operators()["reshape"]
    options = {name: slot.default for name, slot in conv.options.items()} | {"stride_w": 1, "stride_h": 1, "padding": 1}
    windows = conv.attributes(options, (tensors[means], tensors[node.inputs[1]], b), ())

    def reshaped(source: int, target: int) -> Node:
        attributes = reshape.attributes({"new_shape": tensors[target].shape}, (tensors[source],), ())
        return Node(reshape, (source,), (target,), attributes, tensors[target].name)

    convolution = Node(conv, (means, *node.inputs[1:]), (scores,), windows, "classifier")
    middle = (reshaped(node.inputs[0], means), convolution, reshaped(scores, node.outputs[0]))
    changed = replace(graph, tensors=tuple(tensors), nodes=(*graph.nodes[:n], *middle, *graph.nodes[n + 1 :]))
    changed.verify()
    return changed
