from __future__ import annotations

import pytest
from hypothesis import given, settings, strategies as st

from refsim.builder import Builder
from refsim.memsim.runtimes import RUNTIMES


def test_the_table_has_the_names_that_analyze_promises() -> None:
    assert set(RUNTIMES) == {"tflm", "cmsis-nn", "x-cube-ai", "tinyengine"}


@pytest.mark.parametrize("runtime", RUNTIMES.values(), ids=RUNTIMES)
@settings(max_examples=30, deadline=None)
@given(channels=st.integers(1, 9), size=st.integers(1, 9), branch=st.booleans(), pad=st.booleans())
def test_every_runtime_takes_at_least_what_is_live(runtime, channels, size, branch, pad) -> None:
    b = Builder("small")
    x = y = b.input((1, size, size, channels), quant=(0.1, 0))
    y = b.pad(y, ((0, 0), (1, 1), (1, 1), (0, 0))) if pad else y
    y = b.conv2d(y, channels, 3, padding="valid" if pad else "same", quant=(0.1, 0))
    y = b.add(x, y, quant=(0.1, 0)) if branch else y
    graph = b.build(b.softmax(b.reshape(y, (1, size * size * channels))))
    found = runtime(graph)
    assert found.sram >= (1 + branch) * size * size * channels
    assert found.flash > sum(t.nbytes for t in graph.tensors if t.data is not None and t.dtype == "int8")
    assert found.flash_parts["weights"] == 9 * channels**2
    assert found.flash_parts["biases"] == 4 * channels
    assert min(found.flash_parts.values()) >= 0
    assert len(found.plan.offsets) == len(found.plan.ranges)


@pytest.mark.parametrize("runtime", RUNTIMES.values(), ids=RUNTIMES)
def test_operators_of_all_kinds_are_taken(runtime) -> None:
    b = Builder("kinds")
    x = b.input((1, 6, 6, 4), quant=(0.1, 0))
    y = b.concatenation([b.max_pool_2d(x, 2), b.average_pool_2d(x, 2)])
    y = b.mul(b.relu(y, (0.1, 0)), y, quant=(0.2, 3))
    y = b.transpose(b.mean(b.relu6(y, (0.2, 3)), (1, 2), keep_dims=True, quant=(0.1, 0)), (0, 3, 1, 2))
    graph = b.build(b.dequantize(b.quantize(y, (0.3, 1))))
    found = runtime(graph)
    assert found.sram > 0
