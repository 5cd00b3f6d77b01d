"""What predictions ask of a board, of weights and of quantisations: few, cheap questions."""

from __future__ import annotations

from functools import cache
from math import exp
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from refsim.board import Board, Cache
from refsim.graph import Tensor
from refsim.int8ops.fixedpoint import activation_bounds
from refsim.passes import FUSED_ACTIVATION

Counted = tuple[str, tuple[float, ...]]  # the path that a kernel takes, and what it does there

_RELU, _RELU6 = FUSED_ACTIVATION["relu"], FUSED_ACTIVATION["relu6"]
_LEAST, _MOST = 2.0**-23, 0.5  # real multipliers of rs_requantize.h's fast form
_WITHIN_16_BITS = 1 << 16  # of a channel's absolute weights, so that a sum of theirs leaves 24 bits to it
_SAMPLED = 16  # channels that are looked at first
GUARD = 16 << 10  # bytes in front of the arena


class Reach(NamedTuple):
    """A cache that accesses go through; `size` 0 where there is none."""

    size: int = 0
    line: int = 32
    ways: int = 1
    random: bool = False

    def gone(self, held: float, passing: float = 0.0, spread: int = 1) -> float:
        """The share of `held` bytes, gone through turn after turn, that has left the cache by the next one.

        `passing` bytes are used once a turn. `spread`: only one set in so many is used. Where the line used least
        recently goes, a set that takes one line too many loses all; where chance decides, a line outlives n others
        with a probability of (1 - 1 / lines) ** n.
        """
        room, used = self.size / spread, held + passing
        if self.size == 0 or held <= 0:
            return 0.0
        if not self.random:
            return min(1.0, max(0.0, used - room) * (self.ways + 1) / used)
        share = 1.0
        for _ in range(12):
            share = 1 - exp((-share * held - passing) / room)
        return share

    def clash(self, held: float, other: float) -> float:
        """The share of `held` bytes in a row that `other` bytes in a row, somewhere else, drive out of sets that they
        share: where lines of the first take all ways of a set and one of the second comes, all go. Nobody knows the
        addresses before linking, so this is what is to be expected."""
        way = self.size / self.ways
        full = held - (self.ways - 1) * way
        if self.random or full <= 0 or held > self.size:
            return 0.0
        return min(1.0, full * min(other / way, 1.0) * (self.ways + 1) / held)

    def lines(self, nbytes: float) -> float:
        return nbytes / self.line if self.size else 0.0


class Traits(NamedTuple):
    """Of a board: whether kernels have the DSP extension, and the caches of code, of reads from flash and from SRAM.

    `shared`: code and what is read from flash are in one cache. `joined`: so is what is read from flash and from SRAM.
    `near`: bytes of the arena that lie in front of the SRAM that is reached through a cache.
    """

    dsp: bool
    code: Reach
    flash: Reach
    sram: Reach
    shared: bool
    joined: bool
    near: int

    def far(self, live: int) -> float:
        """The share of tensors of `live` bytes that lies in cached SRAM, the nearer memory being full of them."""
        return max(0.0, 1 - self.near / live) if self.sram.size and live else 0.0


@cache
def traits_of(board: Board) -> Traits:
    code, flash = (_cached(board, kind, board.flash.base) for kind in ("fetch", "read"))
    sram = _cached(board, "read", board.sram.end - 4)
    shared, joined = flash is not None and code == flash, flash is not None and sram == flash
    return Traits(board.core.dsp, _reach(code), _reach(flash), _reach(sram), shared, joined, _near(board))


def _near(board: Board) -> int:
    """The arena begins behind a guard (`emulator.validation`)."""
    starts = [
        p.base for p in board.paths if p.kind == "read" and p.cache and board.sram.base <= p.base < board.sram.end
    ]
    return max(0, min(starts, default=0) - board.sram.base - GUARD)


def _cached(board: Board, kind: str, address: int) -> Cache | None:
    for path in board.paths:
        if path.kind == kind and path.base <= address < path.end and path.cache:
            return next(c for c in board.caches if c.name == path.cache)
    return None


def _reach(found: Cache | None) -> Reach:
    return Reach() if found is None else Reach(found.size, found.line, found.ways, found.random)


def bounds(activation: int, y: Tensor) -> tuple[int, int]:
    """Clamp of an output by its fused activation."""
    assert y.quant is not None
    zero = y.quant.zero_point[0]
    if activation == 0:
        return (-128, 127)
    if activation == _RELU:
        return (zero, 127)
    if activation == _RELU6 and 6.0 / y.quant.scale[0] + zero >= 128:
        return (zero, 127)
    return activation_bounds(activation, y.quant.scale[0], zero, y.dtype)


def pairable(w: Tensor) -> bool:
    """Whether two channels' weights fit in 16 bits, and a second channel's sum in 24: the rule of `conv2d.in_pairs`."""
    if is_heavy(w):
        return False
    if w.data is None or w.data.min() > -128:
        return True
    rows = w.data.reshape(w.shape[0], -1)
    return not ((rows[:-1:2] < 0) & (rows[1::2] == -128)).any()


def is_heavy(w: Tensor) -> bool:
    """Whether a second channel's sum may need more than 24 bits: a rule of `conv2d.in_pairs` and of
    `fully_connected.block`, first on a few channels."""
    channels = w.shape[0]
    if w.elements // channels * 127 < _WITHIN_16_BITS or w.data is None:
        return False
    odd = w.data.reshape(channels, -1)[1::2]
    some = _heaviest(odd[:: -(-len(odd) // _SAMPLED) or 1])
    if 0.8 * _WITHIN_16_BITS <= some < _WITHIN_16_BITS:
        some = _heaviest(odd)
    return some >= _WITHIN_16_BITS


def _heaviest(rows: NDArray[np.int8]) -> int:
    return int(np.abs(rows).view(np.uint8).sum(axis=1, dtype=np.uint32).max(initial=0))


def scales_suit(x: Tensor, w: Tensor, y: Tensor) -> bool:
    """Whether all real multipliers are such that outputs can be requantised in few instructions."""
    assert x.quant is not None and w.quant is not None and y.quant is not None
    ratio, scales = x.quant.scale[0] / y.quant.scale[0], w.quant.scale
    return min(scales) * ratio >= _LEAST and max(scales) * ratio < _MOST
