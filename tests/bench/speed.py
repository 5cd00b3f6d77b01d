"""How fast refsim is, beside a peer where there is one: `python tests/bench/speed.py MODEL.tflite ...`.

Nothing here is asserted; run it on an idle machine. The peer of the reference is LiteRT's BUILTIN_REF on one thread,
measured in the same process, each the fastest of several runs taken in turn.
"""

from __future__ import annotations

import os

for library in ("OPENBLAS", "OMP", "MKL"):
    os.environ[f"{library}_NUM_THREADS"] = "1"  # before numpy is imported

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from codegen import build, toolchain
from emulator import image
from emulator.inference import execute, prepare
from refsim import boards, importers, interpreter
from refsim.graph import Graph
from refsim.int8ops.numerics import LITERT, TFLM

TURNS = 10


def fastest(actions: Sequence[Callable[[], Any]]) -> list[float]:
    """Seconds of each action, taken in turn so that the machine's moods meet all of them."""
    best = [float("inf")] * len(actions)
    for _ in range(TURNS):
        for n, action in enumerate(actions):
            start = time.perf_counter()
            action()
            best[n] = min(best[n], time.perf_counter() - start)
    return best


def reference(path: Path) -> None:
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    graph = importers.load(path)
    inputs = interpreter.random_inputs(graph, 0)
    peer = Interpreter(model_path=str(path), num_threads=1, experimental_op_resolver_type=OpResolverType.BUILTIN_REF)
    peer.allocate_tensors()
    for detail, value in zip(peer.get_input_details(), inputs, strict=True):
        peer.set_tensor(detail["index"], value)
    ours, theirs = fastest([lambda: interpreter.run(graph, inputs, LITERT), peer.invoke])
    print(
        f"{path.stem:<14} reference {1e3 * ours:8.2f} ms, BUILTIN_REF {1e3 * theirs:8.2f} ms: ratio {ours / theirs:.2f}"
    )


def emulation(graph: Graph, board: str = "nucleo-l4r5zi") -> None:
    where = build.roomy(boards.find(board))
    made = build.generate_sources(build.make_program(graph), TFLM, where)
    elf = image.load(build.link(made, where, toolchain.find()))
    target = prepare(made.program, made.sources.entry, made.sources.symbol, elf, where)
    inputs = interpreter.random_inputs(graph, 0)
    arena = target.arenas[0]
    before = target.machine.instructions
    target.machine.call(target.entry, (arena,))
    executed = target.machine.instructions - before
    (bare,) = fastest([lambda: target.machine.call(target.entry, (arena,))])
    expected = interpreter.run(graph, inputs)
    (compared,) = fastest([lambda: execute(target, inputs, expected, 0)])
    rates = f"{executed / bare / 1e6:6.0f} M/s counted, {executed / compared / 1e6:6.0f} M/s with every layer compared"
    print(f"{graph.name:<14} emulation {executed / 1e6:6.2f} M instructions: {rates}")


def command(words: Sequence[str], cache: Path) -> float:
    start = time.perf_counter()
    environment = {**os.environ, "REFSIM_CACHE": str(cache)}
    subprocess.run([sys.executable, "-m", "refsim", *words], check=True, stdout=subprocess.DEVNULL, env=environment)
    return time.perf_counter() - start


def main(paths: Sequence[str]) -> None:
    for path in map(Path, paths):
        reference(path)
        emulation(importers.load(path))
        with tempfile.TemporaryDirectory() as cache:
            cold, warm = (command(["validate", str(path)], Path(cache)) for _ in range(2))
            print(f"{path.stem:<14} validate {cold:6.2f} s with a cold compiler cache, {warm:6.2f} s warm")
    with tempfile.TemporaryDirectory() as cache:
        print(f"refsim --help {min(command(['--help'], Path(cache)) for _ in range(5)):.3f} s")


if __name__ == "__main__":
    main(sys.argv[1:])
