from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from refsim import interpreter, zoo
from refsim.builder import Builder
from refsim.errors import UsageError
from refsim.int8ops.numerics import TFLM
from refsim.memsim.lifetime import lower, planned, whole_tensor_program
from refsim.memsim.plan import Plan
from refsim.memsim.program import Program


def test_a_streamed_program_gives_the_graphs_answer(streamed: Program) -> None:
    inputs = interpreter.random_inputs(streamed.graph, 1)
    expected = interpreter.outputs(streamed.graph, interpreter.run(streamed.graph, inputs))
    assert np.array_equal(interpreter.run_program(streamed, inputs)[0], expected[0])


def test_a_wrong_plan_gives_a_wrong_answer_before_any_c_exists(streamed: Program) -> None:
    inputs = interpreter.random_inputs(streamed.graph, 1)
    right = interpreter.run_program(streamed, inputs)[0]
    plan = streamed.placed
    clash = replace(streamed, plan=Plan(plan.ranges, (plan.offsets[0], plan.offsets[0], *plan.offsets[2:])))
    assert not np.array_equal(interpreter.run_program(clash, inputs)[0], right)


def test_the_whole_tensor_program_of_the_built_in_network_gives_the_graphs_answer() -> None:
    graph = zoo.load("ds-cnn")
    program = planned(whole_tensor_program(graph, lower(graph, TFLM)))
    inputs = interpreter.random_inputs(graph, 3)
    expected = interpreter.outputs(graph, interpreter.run(graph, inputs))
    assert np.array_equal(interpreter.run_program(program, inputs)[0], expected[0])


def test_random_inputs_depend_on_the_seed_alone_and_span_the_type() -> None:
    b = Builder("g")
    graph = b.build(b.relu(b.input((1, 64, 64, 1), quant=(1.0, 0)), quant=(1.0, 0)))
    (one,), (same,), (other,) = (interpreter.random_inputs(graph, seed) for seed in (7, 7, 8))
    assert np.array_equal(one, same)
    assert not np.array_equal(one, other)
    assert (one.min(), one.max()) == (-128, 127)


def test_inputs_of_another_shape_or_number_are_refused() -> None:
    b = Builder("g")
    graph = b.build(b.relu(b.input((1, 2), quant=(1.0, 0)), quant=(1.0, 0)))
    with pytest.raises(UsageError, match=r"^'g' takes 1 inputs: got 0$"):
        interpreter.run(graph, [])
    with pytest.raises(UsageError, match=r"^input_0 \('input_0'\) is int16\[1, 2\]: expected int8\[1,2\]$"):
        interpreter.run(graph, [np.zeros((1, 2), np.int16)])
