"""Who is told of what a machine does: natively of blocks and instructions, and in Python where the engine stops."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from unicorn import unicorn_const as uc

from emulator import native
from emulator.counts import Int64s
from emulator.hooks import Counter

LAST = 0xFFFF_FFFF  # address


class Observers:
    """Those of one engine, whose blocks `counter` counts."""

    def __init__(self, engine: Any, counter: Counter) -> None:
        self._engine, self._counter = engine, counter
        self.attached: list[Any] = []  # states of native callbacks, which must live as long as the engine
        self.looking: list[Callable[[int, int, int], None]] = []
        self.pausing: list[Callable[[], None]] = []

    def blocks(self, callback: Any, state: Int64s, first: int = 0, last: int = LAST) -> None:
        """Have a native callback told of blocks that run, of those that begin in [first, last].

        `callback` gets the address of `state`, which lives as long as the machine.
        """
        self.attached.append(state)
        self._counter.observe(callback, state.ctypes.data, first, last)

    def instructions(self, callback: Any, state: Int64s, at: int | None = None) -> int:
        """The same for instructions: the one at `at`, or all. Returns what `ignore` takes."""
        self.attached.append(state)
        first, last = (1, 0) if at is None else (at, at)
        hook = native.add(self._engine, uc.UC_HOOK_CODE, callback, state.ctypes.data, first, last)
        if at is None:  # what is translated calls nobody else
            self._engine.ctl_flush_tb()
        else:
            self._engine.ctl_remove_cache(at, at + 1)
        return hook

    def ignore(self, observed: Sequence[int]) -> None:
        """End observations of instructions."""
        for hook in observed:
            native.remove(self._engine, hook)
        self._engine.ctl_flush_tb()

    def pauses(self, callback: Callable[[], None]) -> None:
        """Have `callback` called whenever the engine has stopped, which it does every some milliseconds."""
        self.pausing.append(callback)

    def ahead(self, look: Callable[[int, int, int], None]) -> None:
        """Have `look(block, start, size)` called before a block runs for the first time from now on.

        It is called again when memory was mapped since, or somebody else wants to look. `block` is the id that
        `emulator.counts` has it by. A block that goes on inside an IT block is not shown.
        """
        self.looking.append(look)
        self._counter.look_ahead()
        self._counter.show_again()
