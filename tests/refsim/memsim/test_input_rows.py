"""The input rows that operators say they need: no other matters, and those at both ends do."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from random import Random

import numpy as np
import pytest

from refsim import interpreter
from refsim.graph import DTYPES, Array, Graph, Node
from refsim.int8ops import operators
from refsim.int8ops.numerics import TFLM
from tests.refsim.memsim.single_operators import Cases
from tests.system.random_graphs import Grower


def test_the_cases_are_of_every_operator_that_runs_by_rows() -> None:
    drawn = {Cases(seed).drawn().graph.nodes[0].operator.name for seed in range(240)}
    others = {"fully_connected", "mean", "reshape", "slice", "split"}  # no image, a view, or as strided_slice
    assert drawn == set(operators()) - others


@pytest.mark.parametrize("seed", range(2000, 2120))
def test_the_rows_asked_for_begin_and_end_with_rows_that_matter(seed: int) -> None:
    case, draw = Cases(seed).drawn(), Random(seed)
    for trial in trials(case.graph, seed, draw):
        for number, i in enumerate(case.graph.inputs):
            asked, needed = trial.asked(i), set().union(*case.needs[number][slice(*trial.rows)])
            assert needed <= asked, trial.text(i)
            if case.exact and asked:
                assert {min(asked), max(asked)} <= needed, trial.text(i)
                assert all(trial.changes(i, [row]) for row in (min(asked), max(asked))), trial.text(i)


@pytest.mark.parametrize("seed", range(60))
def test_rows_that_are_not_asked_for_do_not_matter(seed: int) -> None:
    graph, draw = Grower(seed).graph(), Random(seed)
    for trial in trials(graph, seed, draw):
        for i in dict.fromkeys(graph.activations(trial.node)):
            others = set(range(graph.tensors[i].rows)) - trial.asked(i)
            assert not trial.changes(i, list(others)), trial.text(i)


def trials(graph: Graph, seed: int, draw: Random) -> Iterator[Trial]:
    """Of each node, with an interval of rows."""
    values = interpreter.run(graph, interpreter.random_inputs(graph, seed))
    for node in graph.nodes:
        rows = graph.tensors[node.outputs[0]].rows
        begin = draw.randrange(rows)
        yield Trial(graph, node, (begin, draw.randint(begin + 1, rows)), values, draw)


TRIES = 12


@dataclass(frozen=True)
class Trial:
    """A node that computes `rows` of its outputs, again and again from other values."""

    graph: Graph
    node: Node
    rows: tuple[int, int]
    values: interpreter.Values
    draw: Random

    def asked(self, tensor: int) -> set[int]:
        """The rows of an input that the operator says it needs."""
        call = self.graph.call(self.node)
        places = (index for index, i in enumerate(self.node.inputs) if i == tensor)
        return set().union(*(range(*self.node.operator.input_rows(call, index, self.rows)) for index in places))

    def text(self, tensor: int) -> str:
        return f"{self.graph.call(self.node)} rows {self.rows}: rows {self.asked(tensor)} of %{tensor}"

    def changes(self, tensor: int, which: list[int]) -> bool:
        """Whether other values in these rows of an input ever change the answer."""
        return bool(which) and any(self.differs(tensor, which, turn) for turn in range(TRIES))

    def differs(self, tensor: int, which: list[int], turn: int) -> bool:
        base = {i: self.noise(i) if turn else self.values[i] for i in self.graph.activations(self.node)}
        changed, rows = base[tensor].copy(), self.graph.tensors[tensor].rows
        changed.reshape(rows, -1)[which] = self.noise(tensor).reshape(rows, -1)[which]
        return self.answer(base) != self.answer({**base, tensor: changed})

    def noise(self, tensor: int) -> Array:
        """Random values, half of the times extreme ones: whatever clamps must not hide a change for ever."""
        t = self.graph.tensors[tensor]
        choice = range(-128, 128) if self.draw.randrange(2) else (-128, 127)
        values = np.array(self.draw.choices(choice, k=t.elements)).astype(DTYPES[t.dtype])
        return np.asarray(values.reshape(t.shape))

    def answer(self, held: dict[int, Array]) -> bytes:
        call = self.graph.call(self.node)
        given = [None if i < 0 else held.get(i, self.graph.tensors[i].data) for i in self.node.inputs]
        found = self.node.operator.reference(call, given, TFLM)
        each = zip(found, call.outputs, strict=True)
        return b"".join(np.ascontiguousarray(y.reshape(t.rows, -1)[slice(*self.rows)]).tobytes() for y, t in each)
