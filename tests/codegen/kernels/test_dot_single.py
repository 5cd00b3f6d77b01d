"""rs_dot_single.h: sums modulo 2^32 of any number of steps, by every compiler and core's own path, nothing read that
lies beyond x and w; and convolutions whose weights do not pair."""

from __future__ import annotations

import ctypes
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from numpy.typing import NDArray

from codegen import toolchain
from emulator.validation import validate
from refsim import boards
from refsim.builder import Builder
from refsim.graph import Graph
from refsim.int8ops.conv2d import OPERATOR
from refsim.int8ops.numerics import TFLM

STEPS = (1, 2, 3, 4, 5, 6, 7, 9, 64)
SOURCE = (
    '#include "rs_dot_single.h"\nvoid probe(int32_t *y, const int16_t *x, const int8_t *w, int32_t steps);\n'
    "void probe(int32_t *y, const int16_t *x, const int8_t *w, int32_t steps)\n{\n"
    "    struct rs_dot_single d = {0, 0};\n    switch (steps) {\n"
    + "".join(f"    case {n}: d = rs_dot_2x1(x, w, {n}, y[0]); break;\n" for n in STEPS)
    + "    default: break;\n    }\n    y[0] = d.y0;\n    y[1] = d.y1;\n}\n"
)
Bytes = NDArray[np.int8]
Probe = Callable[[int, NDArray[np.int16], Bytes], NDArray[np.int32]]
CORES = ("cortex-m0plus", "cortex-m3", "cortex-m4", "cortex-m7")


def given(steps: int) -> Iterator[tuple[Bytes, Bytes, int]]:
    """x [2 pixels][k], w [k], bias: at random, and the largest sums, which wrap."""
    pick = np.random.default_rng(steps)
    yield pick.integers(-128, 128, (2, 4 * steps), np.int8), pick.integers(-128, 128, 4 * steps, np.int8), -12345
    lowest = np.full((2, 4 * steps), -128, np.int8)
    yield lowest, lowest[0], 2**31 - 1
    yield np.stack([lowest[0], np.full(4 * steps, 127, np.int8)]), lowest[0], -(2**31)


def check(probe: Probe) -> None:
    for steps in STEPS:
        for x, w, bias in given(steps):
            laid = x.reshape(2, steps, 4)[:, :, [0, 2, 1, 3]].transpose(1, 0, 2).astype(np.int16)
            wanted = (x.astype(np.int64) @ w.astype(np.int64) + bias).astype(np.int32)
            np.testing.assert_array_equal(probe(bias, laid.reshape(-1), w), wanted, f"{steps} steps")


@pytest.mark.parametrize("flags", [[], ["-DRS_EMULATE_DSP"]])
def test_the_c_is_exact(flags: list[str], tmp_path: Path, harness: ModuleType) -> None:
    file, library = tmp_path / "probe.c", tmp_path / "probe.so"
    file.write_text(SOURCE)
    strict = ["-std=c99", "-Wall", "-Wextra", "-Werror", "-O1", "-shared", "-fPIC", *flags]
    subprocess.run([harness.host_compiler(), *strict, f"-I{harness.KERNELS}", file, "-o", library], check=True)
    call = ctypes.CDLL(str(library)).probe

    def probe(bias: int, x: NDArray[np.int16], w: Bytes) -> NDArray[np.int32]:
        y = np.array([bias, 0], np.int32)
        call(*(ctypes.c_void_p(a.ctypes.data) for a in (y, x, w)), len(w) // 4)
        return y

    check(probe)


@pytest.mark.toolchain
@pytest.mark.parametrize("core", CORES)
@pytest.mark.parametrize("name", ["zig", "gcc"])
def test_every_core_s_own_is_exact_and_reads_nothing_beyond(name: str, core: str, harness: ModuleType) -> None:
    machine = harness.machine_with_probe(name, core, SOURCE)
    entry, base, end = machine.image.address("probe"), machine.board.sram.base, machine.board.sram.end

    def probe(bias: int, x: NDArray[np.int16], w: Bytes) -> NDArray[np.int32]:
        """Twice: with x, then with w at the very end of memory."""
        found = []
        for first, last in ((w, x), (x, w)):
            at = {id(first): base + 64, id(last): end - last.nbytes}
            machine.write(base, np.array([bias, 0], np.int32).tobytes())
            for values in (x, w):
                machine.write(at[id(values)], values.tobytes())
            machine.call(entry, (base, at[id(x)], at[id(w)], len(w) // 4))
            found.append(np.frombuffer(machine.read(base, 8), np.int32))
        np.testing.assert_array_equal(found[0], found[1])
        return found[0]

    check(probe)


def unpaired(seed: int) -> Graph:
    """Convolutions of nine and of four pixels, 4 to 20 products and five channels, one of them constant in some, where
    -128 lies beside a negative weight."""
    pick, b = np.random.default_rng(seed), Builder("unpaired", seed)
    x = b.input((1, 3, 3, 4), quant=(0.05, 7))
    made = []
    for stride in (1, 2):
        ys = []
        for width in (1, 2, 3, 4, 5):
            w = pick.integers(-128, 128, (5, 1, width, 4), np.int8)
            w[:2, 0, 0, 0] = (-1, -128)
            w[2] *= width != 3
            ys.append(b.conv2d(x, weights=w, weight_scale=0.01, stride=stride, padding="same", quant=(0.2, -3)))
        made.append(b.concatenation(ys, axis=3))
    return b.build(made)


def test_the_weights_do_not_pair() -> None:
    graph = unpaired(1)
    kernels = [OPERATOR.lower(graph.call(n), TFLM).literals for n in graph.nodes if n.operator is OPERATOR]
    assert [k["paired"] for k in kernels] == [0] * 10


LEVELS = (
    ("-O0", "m4"),
    ("-O1", "m4"),
    ("-Os", "m4"),
    ("-O3", "m7"),
    ("-O1", "m0plus"),
    ("-Os", "m0plus"),
    ("-O2", "m3"),
    ("-Os", "m3"),
)


@pytest.mark.slow
@pytest.mark.toolchain
@pytest.mark.parametrize(("level", "core"), LEVELS)
@pytest.mark.parametrize("name", ["zig", "gcc"])
def test_weights_that_do_not_pair_are_exact_at_every_level_of_optimisation(
    name: str, level: str, core: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    flags = tuple(level if flag == "-O2" else flag for flag in toolchain.COMMON)
    monkeypatch.setattr(toolchain, "COMMON", (*flags, *(["-fno-sanitize=all"] if name == "zig" else [])))
    report = validate(unpaired(2), boards.find(f"generic-{core}"), toolchain=name, count=1)
    assert report.bit_exact, report.first_mismatch
