"""What memory adds to a machine's cycles: caches, flash wait states and prefetch, followed natively access by access.

An observer outside the machine. The paths of the board (`refsim.board.AccessPath`) say which accesses go where. Fetches
are followed here, data by `emulator.block_accesses` or, where every access counts, by `emulator.accesses`. Stalls are
kept by the address of the instruction that waits and by cause, in units of 1/256 cycle.

All state lies in one int64 array:

    header | paths | stall records | a map, halfword -> record, for each code region | tags of caches

A tag is line + 1, 0 where the way is empty; those of a set are ordered by use, the latest first. Code goes round in few
lines, and hits nearly always: where it has a cache of many ways, each way has the time of its last use instead, and a
table says in which way each line is. Code regions are those of `emulator.hooks`, in the same order.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from numba import carray  # type: ignore[attr-defined]

from emulator import hooks, native
from emulator.counts import Int64s
from emulator.machine import Machine
from refsim import board as boards
from refsim.board import AccessPath, Board, Cache

CAUSES = (*boards.CAUSES, "mispredict", "bus")

# Words of the header. CHANCE: the state of the random sequence.
COUNTER, RECORDS, CHANCE, PATHS = range(4)
FIRST_PATH = 8

# Words of a path. STATE is the address of the whole array; LAST the line that was reached last.
STATE, START, STOP, SHIFT, SETS, WAYS, TAGS, MISS, NEXT, LAST, CAUSE, WRITES, BUFFER = range(13)
# AHEAD: units that a prefetch takes; ENTERED: the first address fetched of the line LAST; DATA: no fetches; STREAMS: a
# line that follows a whole one never waits, and one set holds all lines, so that a row of as many pushes out the rest.
# WHERE: of line 0 in the table of ways; 0 where the cache has none.
RANDOM, AHEAD, ENTERED, DATA, STREAMS, WHERE = range(13, 19)
PATH_FIELDS = 19
MAX_PATHS = 16
FIRST_RECORD = FIRST_PATH + PATH_FIELDS * MAX_PATHS

FIELDS = 1 + len(CAUSES)  # words of a record: the address of an instruction, and its stalls
CAPACITY = 1 << 18
FIRST_MAP = FIRST_RECORD + FIELDS * CAPACITY

UNITS = 256  # of a cycle

FEW_WAYS = 4  # which are gone through faster than looked up
BEYOND = 1024  # bytes behind the end of a path that a block which begins there may reach


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
def _reach_by_chance(t: Any, p: Any, line: int, miss: int) -> Any:
    """The same for a cache that replaces any way of a set: an empty one, else the next in a random sequence."""
    tag = line + 1
    first = p[TAGS] + (line & p[SETS] - 1) * p[WAYS]
    goes = -1
    for way in range(first, first + p[WAYS]):
        held = t[way]
        if held == tag:
            return 0
        if held == 0:
            goes = way
    if goes < 0:
        t[CHANCE] ^= t[CHANCE] << 13 & 0xFFFF_FFFF  # Marsaglia, Xorshift RNGs, 2003: of 32 bits, (13, 17, 5)
        t[CHANCE] ^= t[CHANCE] >> 17
        t[CHANCE] ^= t[CHANCE] << 5 & 0xFFFF_FFFF
        goes = first + t[CHANCE] % p[WAYS]
    t[goes] = tag
    return miss


@native.njit
def _use(t: Any, p: Any, way: int) -> None:
    """Make a way of a timed cache its latest; the clock stands before the first way."""
    clock = p[TAGS]
    t[clock] += 1
    t[way] = t[clock]


@native.njit
def _reach_timed(t: Any, p: Any, line: int, miss: int) -> Any:
    """The same for a cache whose ways have times. A set: the times of all, then their tags."""
    way = t[p[WHERE] + line]
    if way:
        _use(t, p, way)
        return 0
    ways = p[WAYS]
    way = p[TAGS] + 1 + (line & p[SETS] - 1) * 2 * ways
    for other in range(np.uint64(way), np.uint64(way + ways)):
        if t[other] < t[way]:
            way = np.int64(other)
    if t[way + ways]:
        t[p[WHERE] + t[way + ways] - 1] = 0
    t[way + ways] = line + 1
    t[p[WHERE] + line] = way
    _use(t, p, way)
    return miss


@native.njit
def _reach(t: Any, p: Any, line: int) -> Any:
    """Units that an access to a line waits; the line is in the cache afterwards."""
    if line == p[LAST] and p[BUFFER]:
        return 0
    follows = line == p[LAST] + 1
    miss = p[NEXT] if follows else p[MISS]
    if follows and p[AHEAD]:  # it began with the line before, whose code ran at a halfword a cycle
        miss = max(miss, p[AHEAD] - ((line << p[SHIFT]) - p[ENTERED]) * UNITS // 2)
    p[LAST] = line
    if p[WAYS] == 0:
        return miss
    if p[RANDOM]:
        return _reach_by_chance(t, p, line, miss)
    if p[WHERE]:
        return _reach_timed(t, p, line, miss)
    first = p[TAGS] + (line & p[SETS] - 1) * p[WAYS]
    moved = line + 1
    for way in range(np.uint64(first), np.uint64(first + p[WAYS])):  # unsigned: numba would look for negative ones
        held = t[way]
        t[way] = moved
        if held == line + 1:
            return 0
        moved = held
    return miss


@native.njit
def reached(t: Any, p: Any, address: int, nbytes: int) -> Any:
    """Units that an access to these bytes waits; all their lines are in the cache afterwards."""
    line = address >> p[SHIFT]
    end = address + nbytes - 1 >> p[SHIFT]
    units = _reach(t, p, line)
    while line < end:
        line += 1
        units += _reach(t, p, line)
    return units


@native.njit
def serve(t: Any, path: int, pc: int, address: int, nbytes: int, elements: int) -> None:
    """Charge the instruction at `pc` what the path at `path` answers to its access to `elements` of `nbytes`."""
    p = t[path : path + PATH_FIELDS]
    if p[WAYS]:
        nbytes, elements = nbytes * elements, 1
    units = 0
    for _ in range(elements):
        units += reached(t, p, address, nbytes)
        address += nbytes
    if units:
        charge(t, pc, p[CAUSE], units)


@native.njit
def _are_there(t: Any, p: Any, line: int, last: int) -> Any:
    """Use the lines of a timed cache if it holds them all; whether it does."""
    if line == p[LAST] and p[BUFFER]:
        line += 1
    begin, end = np.uint64(p[WHERE] + line), np.uint64(p[WHERE] + last + 1)
    for place in range(begin, end):
        if t[place] == 0:
            return False
    clock = t[p[TAGS]]
    for place in range(begin, end):
        clock += 1
        t[np.uint64(t[place])] = clock
    t[p[TAGS]] = clock
    p[LAST] = last
    return True


@native.cfunc(native.OnBlock)
def _on_block(engine: Any, start: Any, length: Any, user: Any) -> None:
    """The fetch of a block's lines."""
    p = carray(user, (PATH_FIELDS,), np.int64)
    t = native.words(p[STATE])
    address: Any = np.int64(start)
    shift, ways, tags, mask = p[SHIFT], p[WAYS], p[TAGS], p[SETS] - 1
    line = address >> shift
    last = (address + np.int64(length) - 1) >> shift
    if p[WHERE] and _are_there(t, p, line, last):
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
                units = _reach(t, p, line)
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
        places, end = _places(FIRST_MAP + sum(region.size // 2 for region in machine.regions), board)
        self._state = np.zeros(end, np.int64)  # touched lazily
        machine.attached.append(self._state)  # other observers charge to it
        self._state[[COUNTER, RECORDS, CHANCE, PATHS]] = machine.counter.state_address, 1, 1, len(board.paths)
        for n, path in enumerate(board.paths):
            first = FIRST_PATH + n * PATH_FIELDS
            words = _words(path, caches.get(path.cache), places.get(path.cache, NOWHERE))
            self._state[first : first + PATH_FIELDS] = [self._state.ctypes.data, *words]
            if path.kind == "fetch":
                machine.observe_blocks(_on_block, self._state[first:], path.base, path.end - 1)

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


class _Place(NamedTuple):
    """Where a cache's tags begin, and the entry of line 0 in its table of ways, if it has one."""

    tags: int
    where: int = 0


NOWHERE = _Place(0)


def _places(place: int, board: Board) -> tuple[dict[str, _Place], int]:
    """The place of each cache's state, from `place` on, and where they end."""
    found = {}
    for cache in board.caches:
        paths = [path for path in board.paths if path.cache == cache.name]
        found[cache.name] = _Place(place)
        place += 1 + 2 * cache.sets * cache.ways
        if cache.ways > FEW_WAYS and not cache.random and any(path.kind == "fetch" for path in paths):
            first = min(path.base for path in paths) // cache.line
            found[cache.name] = found[cache.name]._replace(where=place - first)
            place += (max(path.end for path in paths) + BEYOND) // cache.line + 1 - first
    return found, place


def _words(path: AccessPath, cache: Cache | None, place: _Place) -> list[int]:
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
