"""The lines that are at hand along a path of accesses: in a cache, or in the buffer of the last one.

A state is one int64 array; `t` is the array and `p` the words of a path in it. A tag is line + 1, 0 where the way is
empty; those of a set are ordered by use, the latest first. Code goes round in few lines, and hits nearly always: where
it has a cache of many ways, each way has the time of its last use instead, and a table says in which way each line is.
Such a cache's state is its clock, then by set the times of all ways and their tags.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from emulator import native
from refsim.board import Board

UNITS = 256  # of a cycle
CHANCE = 2  # the word of the array with the state of the random sequence

# Words of a path. STATE is the address of the whole array; LAST the line that was reached last.
STATE, START, STOP, SHIFT, SETS, WAYS, TAGS, MISS, NEXT, LAST, CAUSE, WRITES, BUFFER = range(13)
# AHEAD: units that a prefetch takes; ENTERED: the first address fetched of the line LAST; DATA: no fetches; STREAMS: a
# line that follows a whole one never waits, and one set holds all lines, so that a row of as many pushes out the rest.
# WHERE: of line 0 in the table of ways, which may be less than 0; 0 where the cache has none.
RANDOM, AHEAD, ENTERED, DATA, STREAMS, WHERE = range(13, 19)
PATH_FIELDS = 19

FEW_WAYS = 4  # which are gone through faster than looked up
BEYOND = 1024  # bytes behind the end of a path that a block which begins there may reach


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
def reach(t: Any, p: Any, line: int) -> Any:
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
    units = reach(t, p, line)
    while line < end:
        line += 1
        units += reach(t, p, line)
    return units


@native.njit
def are_there(t: Any, p: Any, line: int, last: int) -> Any:
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


class Place(NamedTuple):
    """Where a cache's tags begin, and the entry of line 0 in its table of ways, if it has one."""

    tags: int
    where: int = 0


NOWHERE = Place(0)


def places_of(place: int, board: Board) -> tuple[dict[str, Place], int]:
    """The place of each cache's state, from `place` on, and where they end."""
    found = {}
    for cache in board.caches:
        paths = [path for path in board.paths if path.cache == cache.name]
        found[cache.name] = Place(place)
        place += 1 + 2 * cache.sets * cache.ways
        if cache.ways > FEW_WAYS and not cache.random and any(path.kind == "fetch" for path in paths):
            first = min(path.base for path in paths) // cache.line
            found[cache.name] = found[cache.name]._replace(where=place - first)
            place += (max(path.end for path in paths) + BEYOND) // cache.line + 1 - first
    return found, place
