"""Graph.verify refuses what is not a network, and the textual form says what is one."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from refsim.builder import Builder
from refsim.errors import GraphError
from refsim.graph import Graph


@pytest.fixture
def chain() -> Graph:
    """%0 -> relu -> %1 -> relu6 -> %2; %3 is a constant."""
    b = Builder("chain")
    x = b.input((1, 4), quant=(0.1, 0))
    y = b.relu6(b.relu(x, quant=(0.1, 0)), quant=(0.1, 0))
    b.constant(np.zeros((1, 4), np.int8), quant=(0.1, 0))
    return b.build(y)


def refused(graph: Graph) -> str:
    with pytest.raises(GraphError) as caught:
        graph.verify()
    return str(caught.value)


def test_the_textual_form_is_one_line_a_node(chain: Graph) -> None:
    chain.verify()
    assert str(chain) == (
        "graph chain (%0: int8[1,4]) -> (%2)\n  %1: int8[1,4] = relu(%0)\n  %2: int8[1,4] = relu6(%1)\n"
    )


def test_nodes_out_of_order_are_refused(chain: Graph) -> None:
    assert refused(replace(chain, nodes=chain.nodes[::-1])) == (
        "graph 'chain', node 0 (relu6): reads %1 before anything computes it"
    )


def test_a_tensor_written_twice_is_refused(chain: Graph) -> None:
    again = replace(chain, nodes=(*chain.nodes, chain.nodes[0]))
    assert refused(again) == "graph 'chain', node 2 (relu): writes %1, which already has a value"


def test_an_index_without_a_tensor_is_refused(chain: Graph) -> None:
    first = replace(chain.nodes[0], inputs=(9,))
    assert (
        refused(replace(chain, nodes=(first, chain.nodes[1]))) == "graph 'chain', node 0 (relu): there is no tensor %9"
    )


def test_a_shape_that_the_inputs_do_not_give_is_refused(chain: Graph) -> None:
    wrong = replace(chain.tensors[1], shape=(4, 1))
    found = refused(replace(chain, tensors=(chain.tensors[0], wrong, *chain.tensors[2:])))
    assert found == f"graph 'chain', node 0 (relu): '{wrong.name}' has shape (4, 1), its inputs give (1, 4)"


def test_an_output_that_nothing_computes_is_refused(chain: Graph) -> None:
    assert refused(replace(chain, nodes=chain.nodes[:1])) == "graph 'chain': nothing computes output %2"


def test_a_constant_is_neither_input_nor_output(chain: Graph) -> None:
    assert refused(replace(chain, inputs=(0, 3))) == "graph 'chain': input %3 is a constant"
    assert refused(replace(chain, outputs=(2, 3))) == "graph 'chain': output %3 depends on no input"
    of_constants = replace(chain.nodes[0], inputs=(3,))
    assert refused(replace(chain, nodes=(of_constants, chain.nodes[1]))) == (
        "graph 'chain': output %2 depends on no input"
    )
