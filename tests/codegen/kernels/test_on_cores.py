"""Every kernel on every golden, compiled for Cortex-M by both compilers and emulated: what no host test can see,
such as inline assembly, is held to the reference here."""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from codegen import toolchain
from emulator import image
from emulator.machine import Machine
from refsim import boards
from refsim.importers.tflite import read_tflite
from refsim.int8ops.numerics import NUMERICS
from refsim.interpreter import random_inputs

ROOT = Path(__file__).resolve().parents[3]
KERNELS = ROOT / "codegen" / "kernels"
GOLDENS = sorted((ROOT / "golden" / "reference").glob("*/*.tflite"))
ENTRY = "run"
MAIN = f"""
void {ENTRY}(int32_t layer, uint8_t *arena, int32_t row_begin, int32_t row_end);
void {ENTRY}(int32_t layer, uint8_t *arena, int32_t row_begin, int32_t row_end)
{{ layers[layer](arena, row_begin, row_end); }}
"""
COMMON = [("zig", "cortex-m4"), ("gcc", "cortex-m4"), ("zig", "cortex-m0plus")]
OTHERS = [(name, core) for name in ("zig", "gcc") for core in toolchain.GCC_CPU if (name, core) not in COMMON]


def cases(harness: ModuleType) -> Iterator[Any]:
    """A case for each operator application of the goldens, by the numerics that differ least from the default."""
    for number, path in enumerate(GOLDENS):
        graph = read_tflite(path.read_bytes(), path.stem)
        given = dict(zip(graph.inputs, random_inputs(graph, number), strict=True))
        for node in graph.nodes:
            call = graph.call(node)
            if node.operator.is_view(call):
                continue
            values = [None if i < 0 else given.get(i, graph.tensors[i].data) for i in node.inputs]
            for numerics in NUMERICS.values():
                yield harness.Case(node.operator, call, values, numerics, cuts=number)
            for i in node.operator.overwrites(call):
                yield harness.Case(node.operator, call, values, cuts=number, in_place=i)


@cache
def compiled(name: str, core: str, harness: ModuleType) -> tuple[Any, list[Any], int]:
    found = toolchain.FINDERS[name]()
    if found is None:
        pytest.skip(f"{name} is not installed")
    board = boards.find(f"generic-{core.removeprefix('cortex-')}")
    arenas, layouts, seen = [], [], set()
    for case in cases(harness):
        arena = harness.Arena()
        layout = harness.lay_out(case, arena)
        text = harness.function(0, layout)
        if text not in seen:  # many goldens do not depend on the numerics
            seen.add(text)
            arenas.append(arena)
            layouts.append(layout)
    sources = {path.name: path.read_bytes() for path in KERNELS.iterdir()}
    sources |= {"cases.c": harness.source(layouts, MAIN).encode()}
    built = image.load(found.build(sources, core, toolchain.linker_script(board, ENTRY)))
    return Machine(board, built), layouts, max(arena.size for arena in arenas)


# The others take two minutes; `.ci/run` asks for them in a step of its own.
EVERY_CORE = pytest.mark.skipif(not os.environ.get("REFSIM_EVERY_CORE"), reason="set REFSIM_EVERY_CORE for these cores")


@pytest.mark.toolchain
@pytest.mark.parametrize(
    ("name", "core"), [*COMMON, *(pytest.param(*other, marks=(pytest.mark.slow, EVERY_CORE)) for other in OTHERS)]
)
def test_kernels_on_goldens_equal_the_reference(name: str, core: str, harness: ModuleType) -> None:
    machine, layouts, size = compiled(name, core, harness)
    base = machine.board.sram.base
    memory = np.zeros(size, np.uint8)

    def run(index: int, begin: int, end: int) -> None:
        machine.write(base, memory.tobytes())
        machine.call(machine.image.address(ENTRY), (index, base, begin, end))
        memory[:] = np.frombuffer(machine.read(base, size), np.uint8)

    for index, layout in enumerate(layouts):
        case = layout.case
        found = harness.execute(layout, memory, lambda begin, end, index=index: run(index, begin, end))
        wanted = case.operator.reference(case.call, case.values, case.numerics)
        harness.compare(case, found, wanted, f"{name} {core}")
