"""Who called whom, followed natively: each passage from block to block, counted by the chain of calls it ran in.

    tree = CallTree(machine)  # after the boot: what ran before it is not counted
    machine.call(...)
    tree.now()

A shadow stack is kept beside the machine's own. A block that is entered behind a BL or BLX is a call; behind BX, POP
and other loads of the pc it is a return where the stack pointer is that of the call and the address the one behind it.
A frame whose stack pointer lies below the machine's is dead: so longjmp, exceptions and a call that never returns by
its own address (switch helpers) are noticed at the next call or return. What no rule explains stays in its context,
and only its function's name changes: after a tail call, in an exception's handler, and where one is taken at the very
jump of a call. Threads with stacks of their own are not told apart.

A context is a chain of calls, a node of the tree. Its size is bounded: chains deeper than DEEPEST, or nodes beyond
NODES, count for their caller. All state lies in one int64 array:

    header | nodes | frames | passages | hash table of nodes | hash table of passages | kind of each block's end
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numba import carray  # type: ignore[attr-defined]
from unicorn import arm_const as arm

from emulator import hooks, native
from emulator.counts import Int64s
from emulator.machine import Machine

# Words of the header; OWN is the address of the array.
OWN, COUNTER, READ_REGISTER, SP, NODE_COUNT, PASSAGE_COUNT, DEPTH, NODE = range(8)
HEADER = 8
PARENT, EDGE, LEVEL = range(3)  # words of a node: who called it, and by which edge
NODE_FIELDS, NODES, DEEPEST = 3, 1 << 15, 96
RETURN, STACK, CALLER = range(3)  # words of a frame: address behind the call, stack pointer there, node of the caller
FRAME_FIELDS, FRAMES = 3, 1 << 12
LEFT, BY, ENTERED, TIMES = range(4)  # words of a passage: node of the block before, edge, node of the block
PASSAGE_FIELDS, PASSAGES = 4, 1 << 18
FIRST_NODE = HEADER
FIRST_FRAME = FIRST_NODE + NODE_FIELDS * NODES
FIRST_PASSAGE = FIRST_FRAME + FRAME_FIELDS * FRAMES
NODE_SLOTS, PASSAGE_SLOTS = 2 * NODES, 2 * PASSAGES
FIRST_NODE_SLOT = FIRST_PASSAGE + PASSAGE_FIELDS * PASSAGES
FIRST_PASSAGE_SLOT = FIRST_NODE_SLOT + NODE_SLOTS
FIRST_KIND = FIRST_PASSAGE_SLOT + PASSAGE_SLOTS
END = FIRST_KIND + hooks.CAPACITY

UNKNOWN, OTHER, CALL, LEAVE = range(4)  # how a block ends


@native.njit
def _end_of(s: Any, block: int) -> int:
    """How a block ends, by its last instruction [ARMv7-M ARM, A5.2 and A5.3]."""
    record = hooks.HEADER + block * hooks.FIELDS
    start = s[record + hooks.START]
    region = hooks.region_of(s, start)
    if region == 0:
        return OTHER
    host = s[region + hooks.HOST] + start - s[region + hooks.BASE]
    last = native.last_instruction(host, s[record + hooks.SIZE])
    first = native.halfword(host + last)
    if first < 0xE800:
        if first & 0xFF80 == 0x4780:  # BLX, BLXNS
            return CALL
        leaves = first & 0xFF80 == 0x4700 or first & 0xFF00 == 0xBD00 or first & 0xFF87 == 0x4687  # BX, POP, MOV pc
        return LEAVE if leaves else OTHER
    second = native.halfword(host + last + 2)
    if first & 0xF800 == 0xF000 and second & 0xD000 == 0xD000:  # BL
        return CALL
    multiple = (first & 0xFFD0 == 0xE890 or first & 0xFFD0 == 0xE910) and second & 0x8000 != 0  # LDM with pc
    single = first & 0xFF70 == 0xF850 and second & 0xF000 == 0xF000  # LDR pc
    return LEAVE if multiple or single else OTHER


@native.njit
def _child(t: Any, parent: int, edge: int) -> Any:
    """The node of a call from `parent`, made on first sight; `parent` itself where there is no room."""
    slot = (parent * 0x9E3779B1 + edge * 0x85EBCA77) % NODE_SLOTS
    while t[FIRST_NODE_SLOT + slot]:
        n = t[FIRST_NODE_SLOT + slot]
        node = FIRST_NODE + n * NODE_FIELDS
        if t[node + PARENT] == parent and t[node + EDGE] == edge:
            return n
        slot = (slot + 1) % NODE_SLOTS
    level = t[FIRST_NODE + parent * NODE_FIELDS + LEVEL] + 1
    n = t[NODE_COUNT]
    if n >= NODES or level > DEEPEST:
        return parent
    t[NODE_COUNT] = n + 1
    t[FIRST_NODE_SLOT + slot] = n
    node = FIRST_NODE + n * NODE_FIELDS
    t[node + PARENT], t[node + EDGE], t[node + LEVEL] = parent, edge, level
    return n


@native.njit
def _count(t: Any, left: int, edge: int, entered: int) -> None:
    """One more passage. What finds no room is missing here, and its readers notice by the counter's own counts."""
    slot = (left * 0x9E3779B1 + edge * 0x85EBCA77 + entered * 0xC2B2AE3D) % PASSAGE_SLOTS
    while t[FIRST_PASSAGE_SLOT + slot]:
        p = FIRST_PASSAGE + t[FIRST_PASSAGE_SLOT + slot] * PASSAGE_FIELDS
        if t[p + BY] == edge and t[p + LEFT] == left and t[p + ENTERED] == entered:
            t[p + TIMES] += 1
            return
        slot = (slot + 1) % PASSAGE_SLOTS
    i = t[PASSAGE_COUNT]
    if i >= PASSAGES:
        return
    t[PASSAGE_COUNT] = i + 1
    t[FIRST_PASSAGE_SLOT + slot] = i
    p = FIRST_PASSAGE + i * PASSAGE_FIELDS
    t[p + LEFT], t[p + BY], t[p + ENTERED], t[p + TIMES] = left, edge, entered, 1


@native.njit
def _drop(t: Any, node: int, below: int) -> Any:
    """Forget the frames whose stack pointer is less than `below`. Returns the node that then runs."""
    while t[DEPTH] and t[FIRST_FRAME + (t[DEPTH] - 1) * FRAME_FIELDS + STACK] < below:
        t[DEPTH] -= 1
        node = t[FIRST_FRAME + t[DEPTH] * FRAME_FIELDS + CALLER]
    return node


@native.njit
def _called(t: Any, node: int, edge: int, behind: int) -> Any:
    """The node of a call. Another frame with its stack pointer is dead: no function calls before it has saved lr."""
    sp = t[SP]
    node = _drop(t, node, sp + 1)
    depth = t[DEPTH]
    if depth >= FRAMES:
        return node
    frame = FIRST_FRAME + depth * FRAME_FIELDS
    t[frame + RETURN], t[frame + STACK], t[frame + CALLER] = behind, sp, node
    t[DEPTH] = depth + 1
    return _child(t, node, edge)


@native.njit
def _left(t: Any, node: int, address: int) -> Any:
    """The node after a block that may have been the end of a function."""
    sp = t[SP]
    node = _drop(t, node, sp)
    frame = FIRST_FRAME + (t[DEPTH] - 1) * FRAME_FIELDS
    if t[DEPTH] and t[frame + STACK] == sp and t[frame + RETURN] == address:
        t[DEPTH] -= 1
        return t[frame + CALLER]
    return node


@native.cfunc(native.OnBlock)
def _on_block(engine: Any, start: Any, length: Any, user: Any) -> None:
    """The counter has said by which edge the block was entered."""
    t = carray(user, (END,), np.int64)
    s = native.words(t[COUNTER])
    edge = s[hooks.CURRENT]
    before = s[hooks.FIRST_EDGE + edge * hooks.EDGE_FIELDS + hooks.BEFORE]
    address: Any = np.int64(start)
    node = entered = t[NODE]
    record = hooks.HEADER + before * hooks.FIELDS
    behind = s[record + hooks.START] + s[record + hooks.SIZE]
    kind = t[FIRST_KIND + before]
    if kind == UNKNOWN:
        kind = t[FIRST_KIND + before] = _end_of(s, before) if before else LEAVE
    if kind != OTHER and (address != behind or before == 0):
        t[SP] = 0
        native.access_register(t[READ_REGISTER], engine, np.int32(arm.UC_ARM_REG_SP), native.pointer(t[OWN] + 8 * SP))
        entered = _called(t, node, edge, behind) if kind == CALL else _left(t, node, address)
    t[NODE] = entered
    _count(t, node if before else entered, edge, entered)


@dataclass(frozen=True, slots=True, eq=False)
class Contexts:
    """Passages so far, columns by passage in order of first occurrence; node 0 is the call itself.

    A later one minus an earlier one: what happened between.
    """

    parent: Int64s  # by node: the node that called it
    call: Int64s  # by node: the edge of the call
    left: Int64s  # by passage: the node of the block before
    edge: Int64s
    entered: Int64s  # the node of the block that was entered
    times: Int64s
    last: int  # the node that ran last

    def __sub__(self, earlier: Contexts) -> Contexts:
        times = self.times.copy()
        times[: len(earlier.times)] -= earlier.times
        return replace(self, times=times)


class CallTree:
    """Follows the calls of one machine from now on."""

    def __init__(self, machine: Machine) -> None:
        self._state = np.zeros(END, np.int64)  # touched lazily
        address = int(self._state.ctypes.data)
        self._state[[OWN, COUNTER, NODE_COUNT, PASSAGE_COUNT]] = address, machine.counter.state_address, 1, 1
        self._state[READ_REGISTER] = native.READ_REGISTER
        machine.observers.blocks(_on_block, self._state)

    def now(self) -> Contexts:
        s = self._state
        nodes = s[FIRST_NODE : FIRST_NODE + int(s[NODE_COUNT]) * NODE_FIELDS].reshape(-1, NODE_FIELDS).T.copy()
        end = FIRST_PASSAGE + int(s[PASSAGE_COUNT]) * PASSAGE_FIELDS
        passages = s[FIRST_PASSAGE + PASSAGE_FIELDS : end].reshape(-1, PASSAGE_FIELDS).T.copy()
        left, edge, entered, times = passages
        return Contexts(nodes[PARENT], nodes[EDGE], left, edge, entered, times, int(s[NODE]))
