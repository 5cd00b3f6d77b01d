"""Ctrl-C where Python cannot raise it."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Iterator

import pytest

from refsim import __main__ as command


@pytest.fixture
def alarms() -> Iterator[list[int]]:
    """The alarms that rang, none of which outlives a test."""
    rang: list[int] = []
    before = signal.signal(signal.SIGALRM, lambda number, frame: rang.append(number))
    yield rang
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)


def interrupted() -> None:
    command._interrupt(signal.SIGINT, sys._getframe())


def _raw_object_cache_notify(then: Callable[[], None]) -> None:
    """As LLVM's callback is called."""
    then()


def test_an_interrupt_is_raised_and_comes_again_in_case_that_it_is_lost(alarms: list[int]) -> None:
    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert signal.getitimer(signal.ITIMER_REAL)[0] > 0.1


def test_a_callback_of_llvm_is_finished_first(alarms: list[int]) -> None:
    """What is raised there is dropped, and numba takes the function for one that was never compiled."""
    try:
        _raw_object_cache_notify(interrupted)
    except KeyboardInterrupt:
        pytest.fail("an interrupt inside the callback")
    left = signal.getitimer(signal.ITIMER_REAL)[0]
    assert alarms or 0 < left <= command.SOON_S


def test_llvm_calls_what_we_take_for_its_callbacks() -> None:
    from llvmlite.binding.executionengine import ExecutionEngine

    assert all(hasattr(ExecutionEngine, name) for name in command.COMPILED)
