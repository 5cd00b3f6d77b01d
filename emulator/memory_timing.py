"""What memory adds to a machine's cycles: caches, flash wait states and prefetch, followed natively access by access.

An observer outside the machine. The paths of the board (`refsim.board.AccessPath`) say which accesses go where. Fetches
are followed here, data by `emulator.block_accesses` or, where every access counts, by `emulator.accesses`. Stalls are
kept by the address of the instruction that waits and by cause, in units of 1/256 cycle.

All state lies in one int64 array:

    header | paths | stall records | a map, halfword -> record, for each code region | caches

Code regions are those of `emulator.hooks`, in the same order; the rest is `emulator.cache_lines`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numba import carray  # type: ignore[attr-defined]

from emulator import hooks, native
from emulator.cache_lines import (
    BUFFER,
    CAUSE,
    CHANCE,
    ENTERED,
    LAST,
    NOWHERE,
    PATH_FIELDS,
    SETS,
    SHIFT,
    STATE,
    STREAMS,
    TAGS,
    UNITS,
    WAYS,
    WHERE,
    Place,
    are_there,
    places_of,
    reach,
    reached,
)
from emulator.counts import Int64s
from emulator.machine import Machine
from refsim import board as boards
from refsim.board import AccessPath, Cache

CAUSES = (*boards.CAUSES, "mispredict", "bus")

# Words of the header, CHANCE of `emulator.cache_lines` among them.
COUNTER, RECORDS, _, PATHS = range(4)
FIRST_PATH = 8

MAX_PATHS = 16
FIRST_RECORD = FIRST_PATH + PATH_FIELDS * MAX_PATHS

FIELDS = 1 + len(CAUSES)  # words of a record: the address of an instruction, and its stalls
CAPACITY = 1 << 18
FIRST_MAP = FIRST_RECORD + FIELDS * CAPACITY


@native.njit
def charge(t: Any, address: int, cause: int, units: int) -> None:
    """Add to the record of the instruction at `address`; the first record takes what lies in no code region."""
    s = native.words(t[COUNTER])
    record = 0
    region = hooks.region_of(s, address)
    if region:
        slot = FIRST_MAP + s[region + hooks.MAP] - hooks.FIRST_MAP + (address - s[region + hooks.BASE]) // 2
        record = t[slot]
        if record == 0 and t[RECORDS] < CAPACITY:
            record = t[RECORDS]
            t[RECORDS] = record + 1
            t[slot] = record
            t[FIRST_RECORD + record * FIELDS] = address
    t[FIRST_RECORD + record * FIELDS + 1 + cause] += units


@native.njit
def serve(t: Any, path: int, pc: int, address: int, nbytes: int, elements: int) -> None:
    """Charge the instruction at `pc` what the path at `path` answers to its access to `elements` of `nbytes`."""
    p = t[path : path + PATH_FIELDS]
    if p[WAYS]:  # its lines come once, whatever words of them
        nbytes, elements = nbytes * elements, 1
    units = 0
    for _ in range(elements):
        units += reached(t, p, address, nbytes)
        address += nbytes
    if units:
        charge(t, pc, p[CAUSE], units)


@native.cfunc(native.OnBlock)
def _on_block(engine: Any, start: Any, length: Any, user: Any) -> None:
    """The fetch of a block's lines."""
    p = carray(user, (PATH_FIELDS,), np.int64)
    t = native.words(p[STATE])
    address: Any = np.int64(start)
    shift, ways, tags, mask = p[SHIFT], p[WAYS], p[TAGS], p[SETS] - 1
    line = address >> shift
    last = (address + np.int64(length) - 1) >> shift
    if line == last == p[LAST] and p[BUFFER]:
        return
    if p[WHERE] and are_there(t, p, line, last):
        p[ENTERED] = max(address, last << shift)
        return
    ordered = ways and p[WHERE] == 0
    second = line + 1
    while line <= last:
        first = max(address, line << shift)
        if line != p[LAST] or not p[BUFFER]:
            if ordered and t[tags + (line & mask) * ways] == line + 1:  # used last of its set: nothing moves
                p[LAST] = line
            else:
                units = reach(t, p, line)
                if units:
                    charge(t, first, p[CAUSE], units)
            p[ENTERED] = first
        if line == second and p[STREAMS] and last - ways > line:  # those between leave no trace
            line = last - ways
            p[LAST] = line
            p[ENTERED] = line << shift
        line += 1


@dataclass(frozen=True, slots=True, eq=False)
class Stalls:
    """Units so far by instruction address, records x CAUSES."""

    address: Int64s
    units: Int64s

    def __sub__(self, earlier: Stalls) -> Stalls:
        units = self.units.copy()
        units[: len(earlier.units)] -= earlier.units
        return replace(self, units=units)


class MemoryTiming:
    """Follows the accesses of one machine along its board's paths, from now on."""

    def __init__(self, machine: Machine) -> None:
        board = machine.board
        assert len(board.paths) <= MAX_PATHS
        caches = {cache.name: cache for cache in board.caches}
        places, end = places_of(FIRST_MAP + sum(region.size // 2 for region in machine.regions), board)
        self._state = np.zeros(end, np.int64)  # touched lazily
        machine.observers.attached.append(self._state)  # other observers charge to it
        self._state[[COUNTER, RECORDS, CHANCE, PATHS]] = machine.counter.state_address, 1, 1, len(board.paths)
        for n, path in enumerate(board.paths):
            first = FIRST_PATH + n * PATH_FIELDS
            words = _words(path, caches.get(path.cache), places.get(path.cache, NOWHERE))
            self._state[first : first + PATH_FIELDS] = [self._state.ctypes.data, *words]
            if path.kind == "fetch":
                machine.observers.blocks(_on_block, self._state[first:], path.base, path.end - 1)

    @property
    def state_address(self) -> int:
        """Where the state lies, for native observers that charge instructions too."""
        return int(self._state.ctypes.data)

    @property
    def total(self) -> int:
        """Units so far, of all instructions and causes."""
        end = FIRST_RECORD + int(self._state[RECORDS]) * FIELDS
        return int(self._state[FIRST_RECORD:end].reshape(-1, FIELDS)[:, 1:].sum())

    def stalls(self) -> Stalls:
        """Units so far."""
        end = FIRST_RECORD + int(self._state[RECORDS]) * FIELDS
        columns = self._state[FIRST_RECORD:end].reshape(-1, FIELDS).T.copy()
        return Stalls(columns[0], columns[1:].T)


def _words(path: AccessPath, cache: Cache | None, place: Place) -> list[int]:
    line = path.width if cache is None else cache.line
    ways = 0 if cache is None else cache.ways
    sets = 1 if cache is None else cache.sets
    miss, following = (round(UNITS * n) for n in (path.wait, path.wait if path.next_wait is None else path.next_wait))
    ahead = round(UNITS * (path.prefetch or 0))
    streams = sets == 1 and following <= 0 and ahead <= line * UNITS // 2 and not (cache and cache.random)
    last = -2  # no line, and not the one before the first
    return [
        path.base, path.end, line.bit_length() - 1, sets, ways, place.tags, miss, following, last,
        CAUSES.index(path.cause), int(path.kind == "write"), int(path.buffered),
        int(cache is not None and cache.random), ahead, 0, int(path.kind != "fetch"), int(streams), place.where,
    ]  # fmt: skip
