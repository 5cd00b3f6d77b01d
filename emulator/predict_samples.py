"""What predictions are fitted to: networks generated, compiled and run on emulated boards, their layers' cycles.

Compiled objects are kept (`codegen.cache`), so that measuring again takes only the emulation.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context

import numpy as np

from codegen import build, toolchain
from emulator import image, inference, validation
from emulator.inference import Target
from emulator.predict_features import counted
from emulator.predict_layers import layers
from emulator.predict_networks import network
from emulator.predict_oddities import odd_network
from emulator.predict_traits import Counted, traits_of
from refsim import boards
from refsim.graph import Graph
from refsim.int8ops.numerics import TFLM


@dataclass(frozen=True, slots=True)
class Sample:
    """One layer on one board: what is counted for it, and the cycles that it took of the network's."""

    board: str
    seed: int
    counted: Counted
    cycles: int
    whole: int


@dataclass(frozen=True, slots=True)
class Task:
    """A network on boards with one core, whose objects are the same."""

    seed: int
    boards: tuple[str, ...]


def drawn(seed: int) -> Graph:
    """The network of a seed: of the kinds that searches try, or, of a negative one, what they seldom do."""
    return network(seed) if seed >= 0 else odd_network(seed)


def tasks(seeds: Iterable[int], names: Sequence[str]) -> list[Task]:
    """Every seed on every board."""
    by_core: dict[str, list[str]] = {}
    for name in names:
        by_core.setdefault(boards.find(name).core.name, []).append(name)
    return [Task(seed, tuple(group)) for seed in seeds for group in by_core.values()]


def samples(work: Sequence[Task], jobs: int) -> Iterator[list[Sample]]:
    """The samples of each task, in order, by so many processes."""
    if jobs == 1:
        yield from map(measured, work)
        return
    with ProcessPoolExecutor(jobs, get_context("spawn")) as pool:
        yield from pool.map(measured, work)


def measured(task: Task) -> list[Sample]:
    graph = drawn(task.seed)
    program = build.make_program(graph)
    found: list[Sample] = []
    for name in task.boards:
        board = boards.find(name)
        roomy = build.roomy(board)
        made = build.generate_sources(program, TFLM, board)
        loaded = image.load(build.link(made, roomy, toolchain.find("zig")))
        target = inference.prepare(program, made.sources.entry, made.sources.symbol, loaded, roomy)
        cycles = layer_cycles(target)
        expected = layers(graph)
        if {layer.y for layer in expected} != set(cycles):
            raise AssertionError(f"network {task.seed}: predicted layers differ from those of its code")
        whole, traits = sum(cycles.values()), traits_of(board)
        found += [Sample(name, task.seed, counted(graph, layer, traits), cycles[layer.y], whole) for layer in expected]
    return found


def layer_cycles(target: Target) -> dict[int, int]:
    """Cycles by output tensor of each layer, of one inference on noise."""
    machine, arena, clock = target.machine, target.arenas[0], target.timing
    noise = np.random.PCG64(0).random_raw(target.program.arena_bytes // 8 + 1).tobytes()
    machine.write(arena, noise[: target.program.arena_bytes])
    seen = []
    stops = set(target.addresses.values())
    machine.call(target.entry, (arena,), stops=stops, on_stop=lambda address: seen.append(clock.now()))
    seen.append(clock.now())
    found: dict[int, int] = {}
    for turn, spent in zip(target.turns, validation.spent_by_turn(clock, seen), strict=True):
        y = target.program.graph.nodes[turn.step.node].outputs[0]
        found[y] = found.get(y, 0) + spent.cycles
    return found
