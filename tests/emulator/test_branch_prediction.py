"""Wrong predictions of branches, counted natively: each by a loop whose pattern the predictor's rules decide."""

from __future__ import annotations

import pytest

from emulator.image import Image, Segment
from emulator.machine import Machine
from emulator.timing import CAUSES, UNITS, Timing
from refsim import boards
from refsim.board import Board

CODE = 0x0800_0100
PENALTY = 8
MISPREDICT = CAUSES.index("mispredict")

# r0 times around a loop. By arm-none-eabi-as 2.40.
LOOP = "0138" + "fdd1" + "7047"  # subs r0, #1; bne .-2; bx lr
# r0 times: a branch that is taken at every other turn.
ALTERNATES = "10f0010f" + "00d0" + "00bf" + "0138" + "f9d1" + "7047"  # tst.w r0, #1; beq over a nop; subs r0, #1; bne
# r0 times: calls one function from two places.
CALLS = "10b5" + "00f006f8" + "00bf" + "00f003f8" + "0138" + "f8d1" + "10bd" + "7047"


def machine(code: str, board: Board | None = None) -> Machine:
    data = bytes.fromhex(code)
    return Machine(board or boards.find("nucleo-h743zi"), Image("snippet", (Segment(CODE, data, len(data), CODE),)))


def misses(m: Machine, *counts: int) -> float:
    """Wrong predictions in the last of some calls, each with its r0."""
    clock = Timing(m)
    before = clock.now()
    for count in counts:
        before = clock.now()
        m.call(CODE, (count,))
    return float(clock.cost(clock.now() - before).units[MISPREDICT] / (UNITS * PENALTY))


def test_end_of_a_loop_is_predicted_wrongly_and_its_beginning_is_not() -> None:
    assert misses(machine(LOOP), 100) == 1
    assert misses(machine(LOOP), 100, 100) == 1


def test_loop_of_two_turns_costs_one_miss_each_time() -> None:
    assert misses(machine(LOOP), 100, 2) == 1


def test_branch_that_never_loops_back_becomes_predicted() -> None:
    assert misses(machine(LOOP), 100, 1, 1, 1, 1) == 0


def test_alternating_branch_misses_at_least_every_other_time() -> None:
    assert 20 <= misses(machine(ALTERNATES), 40) - 1 <= 40


def test_return_to_two_places_in_turn_is_missed_each_time() -> None:
    """The return has one target in the predictor; the first execution trains it."""
    assert misses(machine(CALLS), 10) == pytest.approx(19 + 1, abs=0)


def test_miss_is_charged_to_the_branch_and_parts_sum_to_the_total() -> None:
    m = machine(LOOP)
    clock = Timing(m)
    m.call(CODE, (10,))
    costs = clock.cost(clock.now())
    spent = costs.at_instructions
    at = dict(zip(spent.address.tolist(), spent.units[MISPREDICT].tolist(), strict=True))
    assert at[CODE + 2] == PENALTY * UNITS
    assert sum(at.values()) == PENALTY * UNITS
    assert (spent.units.sum(axis=1) == costs.units).all()


def test_cores_without_prediction_have_no_such_cost() -> None:
    assert misses(machine(LOOP, boards.find("nucleo-l4r5zi")), 10) == 0


def test_same_run_costs_the_same_twice() -> None:
    found = []
    for _ in range(2):
        m = machine(ALTERNATES)
        clock = Timing(m)
        m.call(CODE, (33,))
        found.append(clock.cost(clock.now()).units.tolist())
    assert found[0] == found[1]
