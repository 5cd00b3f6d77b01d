"""Values that measured silicon decided, where no manual gives them: declared beside the value, counted and published.

A module of `refsim.chips` or `emulator.cores` lists them in `FITTED`. In a chip `name` is WHERE.FIELD: WHERE is the
cause of access paths (`flash_read.wait`), kind and cause where one kind is meant (`read:flash_read.wait`), the name of
a cache (`dcache.ways`) or `board`. In a core it is the name of a constant of the module.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from refsim.board import Board


@dataclass(frozen=True, slots=True)
class Fitted:
    """A free parameter; its value stands where it is used. `low`, `high`, `step`: what a datasheet could hold."""

    name: str
    low: float
    high: float
    step: float
    unit: str
    mechanism: str
    boards: tuple[str, ...] = ()  # whose measured rows may decide it; none: all boards of the core
    networks: tuple[str, ...] = ()  # whose rows did


def value(board: Board, name: str) -> float:
    """A board's value of a chip's parameter. Raises LookupError where it has none, ValueError where it has several."""
    where, _, field = name.rpartition(".")
    found = {getattr(part, field) for part in _parts(board) if where in _names(part)}
    if not found:
        raise LookupError(f"{board.name} has no '{where}' that '{name}' could be of")
    if len(found) > 1 or None in found:
        raise ValueError(f"'{name}' of {board.name} is not one number: {sorted(map(str, found))}")
    return float(found.pop())


def substituted(board: Board, name: str, number: float) -> Board:
    """The board with another value of a chip's parameter."""
    where, _, field = name.rpartition(".")
    change: dict[str, Any] = {field: number}
    caches = tuple(replace(c, **change) if where in _names(c) else c for c in board.caches)
    paths = tuple(replace(p, **change) if where in _names(p) else p for p in board.paths)
    board = replace(board, caches=caches, paths=paths)
    return replace(board, **change) if where == "board" else board


def _parts(board: Board) -> tuple[Any, ...]:
    return (board, *board.caches, *board.paths)


def _names(part: Any) -> tuple[str, ...]:
    """What a parameter may call a part of a board."""
    if isinstance(part, Board):
        return ("board",)
    return (part.cause, f"{part.kind}:{part.cause}") if hasattr(part, "cause") else (part.name,)
