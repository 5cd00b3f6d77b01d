"""Samples of what registers point into: which executions are taken, what they stand for, and that runs repeat."""

from __future__ import annotations

from emulator.image import Image, Segment
from emulator.machine import Machine
from emulator.pointers import Pointers
from refsim import boards

CODE = 0x0800_0100
FIRST, LATER = (0x2000_0000, 0x2003_0000), (0x2003_0000, 0x200A_0000)
RETURN = bytes.fromhex("7047")  # bx lr


def sampled(*arguments: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """r0's memories and the executions that they stand for, after a call of `bx lr` with each argument."""
    machine = Machine(boards.find("generic-m4"), Image("test", (Segment(CODE, RETURN, 2, CODE),)))
    pointers = Pointers(machine, (FIRST, LATER))
    for argument in arguments:
        machine.call(CODE, (argument,))
    counts = machine.counts()
    samples, times = pointers.samples(counts.start.tolist().index(CODE))
    return samples["r0"], times


def test_a_register_is_known_by_the_memory_that_it_points_into() -> None:
    for pointer, memory in ((FIRST[0], 1), (FIRST[1] - 1, 1), (LATER[0], 2), (LATER[1], 0), (7, 0)):
        assert sampled(pointer) == ((memory,), (1,))


def test_few_executions_are_all_counted() -> None:
    assert sampled(*[FIRST[0]] * 5, *[LATER[0]] * 9, FIRST[0]) == ((1, 2), (6, 9))


def test_many_are_counted_by_samples_that_no_period_escapes() -> None:
    for period in (2, 3, 4, 8):
        memories, times = sampled(*([FIRST[0]] + [LATER[0]] * (period - 1)) * (3000 // period))
        assert memories == (1, 2) and 0.98 * 3000 < sum(times) <= 3000
        assert abs(times[0] / sum(times) - 1 / period) < 0.12


def test_equal_runs_take_equal_samples() -> None:
    pointers = [FIRST[0], LATER[0], 0, LATER[0]] * 60
    assert sampled(*pointers) == sampled(*pointers)
