"""Small programs whose chains of calls are known: one written by hand, others drawn at random with their oracle."""

from __future__ import annotations

import struct
from collections import Counter
from dataclasses import dataclass

from hypothesis import strategies as st

from emulator.call_tree import CallTree
from emulator.image import Image, Segment, Symbol
from emulator.machine import Machine
from emulator.observed import Observed
from emulator.stacks import Moment
from emulator.timing import Timing
from refsim import boards

CODE = 0x0800_0100
DATA = 0x2000_0000
Names = tuple[str, ...]

# By arm-none-eabi-as 12.2 (-mcpu=cortex-m4):
#
#   run:      push {r4, lr}; bl a; bl a; movw r3, #0x133; movt r3, #0x800; blx r3 (b); movs r0, #3; bl rec; bl tail
#             bl outer; bl switcher; pop {r4, pc}
#   a:        push {r4, lr}; movs r0, #2; bl leaf; pop {r4, pc}
#   b:        push {r4, lr}; movs r0, #5; bl leaf; pop {r4, pc}
#   leaf:     subs r0, #1; bne leaf; bx lr
#   rec:      push {r4, lr}; subs r0, #1; beq 1f; bl rec; 1: pop {r4, pc}
#   tail:     movs r0, #4; b leaf
#   outer:    push {r4, lr}; mov r4, sp; bl inner; back: nop; pop {r4, pc}
#   inner:    push {r5, lr}; bl thrower; pop {r5, pc}
#   thrower:  mov sp, r4; movw r3, #0x15b; movt r3, #0x800; bx r3 (back)
#   switcher: push {r4, lr}; bl helper; udf #0; movs r0, #1; bl leaf; pop {r4, pc}
#   helper:   mov r1, lr; adds r1, #2; bx r1 (behind the udf)
PROGRAM = bytes.fromhex(
    "10b500f011f800f00ff840f23313c0f600039847032000f014f800f018f800f018f800f026f810bd10b5022000f006f8"
    "10bd10b5052000f001f810bd0138fdd1704710b5013801d0fff7fbff10bd0420f4e710b56c4600f002f800bf10bd20b5"
    "00f001f820bda54640f25b13c0f60003184710b500f005f800de0120fff7deff10bd714602310847"
)
FUNCTIONS = {
    "run": 0x00, "a": 0x28, "b": 0x32, "leaf": 0x3C, "rec": 0x42, "tail": 0x4E, "outer": 0x52, "inner": 0x5E,
    "thrower": 0x66, "switcher": 0x72, "helper": 0x82,
}  # fmt: skip
# Instructions of each chain, and calls of its last function, counted by hand.
EXPECTED: dict[Names, tuple[int, int]] = {
    ("run",): (12, 1),
    ("run", "a"): (2 * 4, 2),
    ("run", "a", "leaf"): (2 * 5, 2),
    ("run", "b"): (4, 1),
    ("run", "b", "leaf"): (11, 1),
    ("run", "rec"): (5, 1),
    ("run", "rec", "rec"): (5, 1),
    ("run", "rec", "rec", "rec"): (4, 1),
    ("run", "tail"): (2, 1),
    ("run", "leaf"): (9, 1),  # a tail call takes the place of its caller
    ("run", "outer"): (5, 1),
    ("run", "outer", "inner"): (2, 1),
    ("run", "outer", "inner", "thrower"): (4, 1),
    ("run", "switcher"): (5, 1),
    ("run", "switcher", "helper"): (3, 1),
    ("run", "switcher", "leaf"): (3, 1),
}


def image(code: bytes, functions: dict[str, int]) -> Image:
    symbols = tuple(Symbol(name, CODE + at, 0) for name, at in functions.items())
    return Image("program", (Segment(CODE, code, len(code), CODE),), symbols)


def observe(program: Image, board: str, times: int = 1) -> Observed:
    """Call the program's first function; calls before the last are not part of what is observed."""
    machine = Machine(boards.find(board), program)
    clock = Timing(machine)
    for _ in range(times - 1):
        machine.call(CODE, (0, DATA))
    tree = CallTree(machine)
    before = clock.now()
    machine.call(CODE, (0, DATA))
    span = clock.now() - before
    return Observed("program", machine.board, machine, clock, span, program.functions, Moment(span, tree.now()))


@dataclass(frozen=True)
class Loop:
    """movs r0, #times; subs r0, #1; bne .-2"""

    times: int


@dataclass(frozen=True)
class Load:
    """ldr r2, [r1]"""


@dataclass(frozen=True)
class Call:
    """bl, to a function that comes later"""

    target: int


Bodies = tuple[tuple[Loop | Load | Call, ...], ...]


@st.composite
def programs(draw: st.DrawFn) -> Bodies:
    """Bodies of up to six functions; the first is called."""
    count = draw(st.integers(1, 6))
    bodies = []
    for n in range(count):
        later = [st.builds(Call, st.integers(n + 1, count - 1))] if n + 1 < count else []
        action = st.one_of(st.builds(Loop, st.integers(1, 9)), st.just(Load()), *later)
        bodies.append(tuple(draw(st.lists(action, max_size=5))))
    return tuple(bodies)


SIZES = {Loop: 6, Load: 2, Call: 4}


def encoded(bodies: Bodies) -> tuple[bytes, dict[str, int]]:
    """Code: each function saves lr, does what its body says, and returns. And where each begins."""
    starts = [0]
    for body in bodies:
        starts.append(starts[-1] + 4 + sum(SIZES[type(action)] for action in body))
    code = b""
    for body in bodies:
        code += b"\x10\xb5"  # push {r4, lr}
        for action in body:
            if isinstance(action, Loop):
                code += struct.pack("<HHH", 0x2000 | action.times, 0x3801, 0xD1FD)
            elif isinstance(action, Load):
                code += struct.pack("<H", 0x680A)
            else:
                away = (starts[action.target] - len(code) - 4) >> 1
                code += struct.pack("<HH", 0xF000 | away >> 11, 0xF800 | away & 0x7FF)
        code += b"\x10\xbd"  # pop {r4, pc}
    return code, {f"f{n}": start for n, start in enumerate(starts[:-1])}


def oracle(bodies: Bodies) -> dict[Names, tuple[int, int]]:
    """Instructions and calls of each chain, by doing what the bodies say."""
    ran: Counter[Names] = Counter()
    calls: Counter[Names] = Counter()

    def call(n: int, above: Names) -> None:
        chain = (*above, f"f{n}")
        calls[chain] += 1
        ran[chain] += 2
        for action in bodies[n]:
            ran[chain] += 1 + 2 * action.times if isinstance(action, Loop) else 1
            if isinstance(action, Call):
                call(action.target, chain)

    call(0, ())
    return {chain: (ran[chain], calls[chain]) for chain in ran}
