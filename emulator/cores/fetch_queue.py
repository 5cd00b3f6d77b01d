"""The instruction queue of the Cortex-M3 and M4: three words, filled by aligned 32-bit fetches, one a cycle.

A fetch is an address cycle and a data cycle. While the pipeline waits the queue fills and fetching pauses, and takes a
cycle to resume. So behind a multi-cycle instruction the third of consecutive 32-bit instructions off word boundaries
comes a cycle late, and a branch to such an instruction waits for its second word. A conditional branch fetches its
target while it is decoded, which takes the bus for a cycle, in vain when it is not taken.

Sources: three words of buffer and the fetch from a branch's target while the branch is decoded, J. Yiu of Arm,
community.arm.com, forum thread 8414; that late third instruction, and that a branch not taken may cost a cycle,
measured: jnk0le/random, "pipeline cycle test", cortex_m3m4.md and CM3_pipetest_tmpl.S. `RESUME` follows from that.
"""

from __future__ import annotations

from collections.abc import Sequence

from emulator.placed import Placed

WORDS = 3  # of the queue
FETCH = 2  # cycles from a word's leaving the queue to the use of the one that takes its place: address and data
RESUME = 1  # more where fetching had paused


class _Queue:
    """When each word of straight-line code is there, and when it was used up."""

    def __init__(self, first: int, *, full: bool) -> None:
        self.last = first + (WORDS - 1 if full else 0)
        self.there = dict.fromkeys(range(first, self.last + 1), 0)
        self.used: dict[int, int] = {}
        self.lost = 0  # cycles that other fetches took since the last word

    def when(self, word: int) -> int:
        """The cycle from which a word can be decoded."""
        while self.last < word:
            follows = self.there[self.last] + 1 + self.lost
            self.last += 1
            self.lost = 0
            room = self.used.get(self.last - WORDS, -FETCH) + FETCH
            self.there[self.last] = follows if room <= follows else room + RESUME
        return self.there[word]


def waits(code: Sequence[Placed], cycles: Sequence[int], *, full: bool) -> list[int]:
    """Cycles that each instruction of straight-line code waits for its words.

    `cycles` says how long each instruction holds up the next one. `full`: so is the queue; else a branch has emptied
    it, and its target's first word arrives.
    """
    if not code:
        return []
    queue, found, now = _Queue(code[0].address // 4, full=full), [], 0
    for placed, length in zip(code, cycles, strict=True):
        end = placed.address + placed.instruction.size
        late = max(0, queue.when((end - 1) // 4) - now)
        now += late
        queue.used.update(dict.fromkeys(range(placed.address // 4, end // 4), now))
        queue.lost |= placed.instruction.conditional
        found.append(late)
        now += length
    return found
