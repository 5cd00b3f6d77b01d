"""Chains of calls are followed exactly, whatever way a function is left, and what they cost sums to the whole."""

from __future__ import annotations

import gc
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings

from emulator import call_tree, profiler
from emulator.call_tree import CallTree
from emulator.image import Image, Segment, load
from emulator.machine import Machine
from emulator.observed import Observed
from emulator.rounding import shared, whole
from emulator.stacks import Moment
from emulator.timing import Timing
from refsim import boards
from tests.emulator.call_programs import (
    CODE,
    DATA,
    EXPECTED,
    FUNCTIONS,
    PROGRAM,
    Bodies,
    Names,
    encoded,
    image,
    observe,
    oracle,
    programs,
)

BOARDS = ("generic-m4", "nucleo-l4r5zi", "disco-f746ng")  # without memory's waits, with some, with caches


def chains(observed: Observed) -> dict[Names, tuple[int, int]]:
    """Instructions and calls of each chain."""
    assert observed.whole is not None
    stacks = observed.stacks()
    spent = stacks.spent(observed.whole)
    names = [tuple(f.name for f in path) for path in stacks.paths]
    assert len(set(names)) == len(names)
    return dict(zip(names, zip(spent.instructions.tolist(), spent.calls.tolist(), strict=True), strict=True))


def test_calls_recursion_tail_calls_and_jumps_out_of_two_functions_are_told_apart() -> None:
    assert chains(observe(image(PROGRAM, FUNCTIONS), "generic-m4")) == EXPECTED


def test_chains_come_in_the_order_in_which_they_first_ran() -> None:
    assert list(chains(observe(image(PROGRAM, FUNCTIONS), "generic-m4")))[:5] == list(EXPECTED)[:5]


def test_what_ran_before_the_tree_was_there_is_not_counted() -> None:
    assert chains(observe(image(PROGRAM, FUNCTIONS), "generic-m4", times=4)) == EXPECTED


def test_functions_without_symbols_are_named_by_their_addresses() -> None:
    program = Image("raw", (Segment(CODE, PROGRAM, len(PROGRAM), CODE),))
    seen = observe(program, "generic-m4")
    known = profiler.known_functions(seen.machine, seen.span.counts, CODE)
    found = chains(Observed("raw", seen.board, seen.machine, seen.clock, seen.span, known, seen.whole))
    named = {f"sub_{CODE + at:08x}": name for name, at in FUNCTIONS.items()}
    told = {tuple(named[f] for f in chain): counts for chain, counts in found.items()}
    # Each is called by BL or begins by saving lr, which is how functions are found.
    assert told == EXPECTED


@settings(deadline=None, max_examples=60)
@given(programs())
def test_random_programs_have_the_chains_that_their_text_says(bodies: Bodies) -> None:
    assert chains(observe(image(*encoded(bodies)), "generic-m4")) == oracle(bodies)


@pytest.mark.parametrize("board", BOARDS)
def test_chains_sum_to_the_costs_and_their_last_functions_to_the_functions(board: str) -> None:
    @settings(deadline=None, max_examples=25)
    @given(programs())
    def check(bodies: Bodies) -> None:
        adds_up(observe(image(*encoded(bodies)), board))

    check()
    adds_up(observe(image(PROGRAM, FUNCTIONS), board))


def adds_up(seen: Observed) -> None:
    assert seen.whole is not None
    stacks = seen.stacks()
    spent = stacks.spent(seen.whole)
    assert spent.units.sum() == seen.costs.units.sum()
    assert spent.instructions.sum() == seen.span.instructions
    assert (spent.units >= 0).all()
    by_name: dict[str, int] = {}
    for path, units in zip(stacks.paths, spent.units.tolist(), strict=True):
        by_name[path[-1].name] = by_name.get(path[-1].name, 0) + units
    at = seen.costs.at_instructions
    for name, start, end in zip(
        (f.name for f in seen.functions),
        (f.address for f in seen.functions),
        (*(f.address for f in seen.functions[1:]), 1 << 32),
        strict=True,
    ):
        assert by_name.get(name, 0) == at.units[:, (at.address >= start) & (at.address < end)].sum(), name


def test_spans_of_a_run_sum_to_the_run_chain_by_chain() -> None:
    """Stops lie where the leaf begins, so that spans cut chains in their midst."""
    machine = Machine(boards.find("disco-f746ng"), image(PROGRAM, FUNCTIONS))
    clock, tree = Timing(machine), CallTree(machine)
    seen = [Moment(clock.now(), tree.now())]
    note = lambda _: seen.append(Moment(clock.now(), tree.now()))  # noqa: E731
    machine.call(CODE, (0, DATA), stops={CODE + FUNCTIONS["leaf"]}, on_stop=note)
    seen.append(Moment(clock.now(), tree.now()))
    run = seen[-1] - seen[0]
    told = Observed("program", machine.board, machine, clock, run.snapshot, machine.image.functions, run)
    stacks = told.stacks()
    parts = [stacks.spent(later - before) for before, later in pairwise(seen)]
    assert len(parts) > 5
    for part, (before, later) in zip(parts, pairwise(seen), strict=True):
        assert part.units.sum() == clock.cost((later - before).snapshot).units.sum()
    assert (np.sum([p.instructions for p in parts], axis=0) == stacks.spent(run).instructions).all()
    assert np.sum([p.units for p in parts]) == stacks.spent(run).units.sum()


def test_recursion_without_end_stays_bounded_and_still_sums() -> None:
    # f: push {r4, lr}; subs r0, #1; beq 1f; bl f; 1: pop {r4, pc}
    code = bytes.fromhex("10b5013801d0fff7fbff10bd")
    machine = Machine(boards.find("generic-m4"), image(code, {"f": 0}))
    clock, tree = Timing(machine), CallTree(machine)
    machine.call(CODE, (5000,))
    now = Moment(clock.now(), tree.now())
    seen = Observed("deep", machine.board, machine, clock, now.snapshot, machine.image.functions, now)
    adds_up(seen)
    assert len(seen.stacks().paths) <= call_tree.DEEPEST + 1


def test_a_tree_that_is_forgotten_leaves_its_machine_usable() -> None:
    machine = Machine(boards.find("generic-m4"), image(PROGRAM, FUNCTIONS))
    CallTree(machine)
    gc.collect()
    machine.call(CODE, (0, DATA))
    assert machine.instructions == sum(n for n, _ in EXPECTED.values())


def test_shares_and_whole_cycles_lose_nothing() -> None:
    assert shared(10, [1, 1, 1]) == [4, 3, 3]
    assert shared(0, [0, 5]) == [0, 0]
    assert sum(shared(1_000_003, [7, 0, 11, 13])) == 1_000_003
    assert shared(1_000_003, [7, 0, 11, 13])[1] == 0
    parts = [100, 200, 300, 77]
    assert sum(whole(parts, 256)) == sum(parts) // 256


@pytest.mark.toolchain
@pytest.mark.parametrize("program", ["delay", "exceptions", "floats", "process_stack", "overflow", "loops_with_ticks"])
def test_chains_of_whole_firmware_with_exceptions_and_faults_sum_too(
    firmware: Callable[..., Path], program: str
) -> None:
    """Handlers stand in place of what they interrupt; a fault leaves a chain open."""
    board = boards.find("nucleo-l4r5zi")
    found = profiler.profile(load(firmware(board, program)), board, follow_calls=True)
    assert found.observed is not None
    adds_up(found.observed)
    deepest = {tuple(f.name for f in path) for path in found.observed.stacks().paths}
    reset = next(iter(deepest))[0]
    assert all(path[0] == reset for path in deepest)
    if program == "delay":
        handlers = [path for path in deepest if path[-1] == "on_systick"]
        assert handlers and all(len(path) < 8 for path in deepest)
