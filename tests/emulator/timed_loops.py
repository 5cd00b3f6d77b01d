"""What straight-line code costs in a loop on the emulated machine, for the tests of cores."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from emulator.image import Image, Segment
from emulator.machine import Machine
from emulator.timing import Timing
from refsim import boards

CODE, DATA = 0x0800_0100, 0x2000_0000
BEFORE = bytes.fromhex("0546" + "0f46" + "f046")  # mov r5, r0; mov r7, r1; mov r8, lr
COUNT_DOWN, RETURN = bytes.fromhex("013f"), bytes.fromhex("4047")  # subs r7, #1; bx r8


def timed(board: str, encodings: Mapping[str, str], loop: int) -> Callable[..., int]:
    """A function from instructions, by their texts in `encodings`, to the cycles of one passage through them.

    Two loops of different length tell; `loop` is what `subs r7, #1; bne` takes of each turn. r5 points to zeros, r7
    counts down, r8 keeps lr, and r3 is the Thumb address behind the third instruction.
    """

    def cycles_of(*texts: str) -> int:
        codes = [bytes.fromhex(encodings[text]) for text in texts]
        code = b"".join(codes)
        back = -(len(code) + 2 + 4) // 2 & 0xFF
        whole = BEFORE + code + COUNT_DOWN + bytes([back, 0xD1]) + RETURN
        machine = Machine(boards.find(board), Image("loop", (Segment(CODE, whole, len(whole), CODE),)))
        clock = Timing(machine)
        target = CODE + len(BEFORE) + sum(map(len, codes[:3]))

        def call(times: int) -> int:
            before = clock.now()
            machine.call(CODE, (DATA, times, 0, target | 1))
            return clock.cost(clock.now() - before).cycles

        call(2)
        slope, rest = divmod(call(150) - call(50), 100)
        assert rest == 0
        return slope - loop

    return cycles_of
