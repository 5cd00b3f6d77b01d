"""The catalogue of boards: what code generation and emulation must know of a chip, with a source for each number.

A board is found by name, or loaded from a Python file that defines one (`FILE.py:NAME`). `flash` and `sram` are
the regions that code is linked to; their sizes are the limits for "fits". Sizes are bytes, clocks Hz.
"""

from __future__ import annotations

import contextlib
import difflib
import importlib.util
import sys
from collections.abc import Mapping
from pathlib import Path

from refsim.board import (
    KIB,
    M0PLUS,
    M3,
    M4,
    M7,
    M33,
    MIB,
    AccessPath,
    Board,
    Cache,
    Core,
    Region,
    flash,
    ram,
)
from refsim.board_checks import complaint
from refsim.chips import nrf52840, rp2040, stm32f2, stm32f4, stm32f7, stm32g0, stm32h7, stm32l4, stm32u5
from refsim.errors import BoardError

__all__ = [
    "BOARDS", "KIB", "M0PLUS", "M3", "M4", "M7", "M33", "MIB", "AccessPath", "Board", "Cache", "Core", "Region", "find",
    "fitting",
]  # fmt: skip


def _generic(name: str, core: Core) -> Board:
    why = "chosen: large enough for any model, so that only correctness is asked"
    return Board(
        name,
        core,
        None,
        flash(16 * MIB, why),
        ram("sram", 0x2000_0000, 16 * MIB, why),
        note="no chip: for correctness only, without latency",
    )


_FAMILIES = (stm32l4, stm32f2, stm32f4, stm32f7, stm32h7, stm32u5, stm32g0, nrf52840, rp2040)

_BOARDS = (
    *(board for family in _FAMILIES for board in family.BOARDS),
    _generic("generic-m0plus", M0PLUS),
    _generic("generic-m3", M3),
    _generic("generic-m4", M4),
    _generic("generic-m7", M7),
    _generic("generic-m33", M33),
)

BOARDS: Mapping[str, Board] = {board.name: board for board in _BOARDS}


def find(name: str) -> Board:
    """The board of that name, or the one that `FILE.py:NAME` defines. Raises BoardError."""
    path, colon, variable = name.rpartition(":")
    if colon and path.endswith(".py"):
        return _from_file(Path(path), variable)
    if name in BOARDS:
        return BOARDS[name]
    near = difflib.get_close_matches(name.lower(), BOARDS, n=1, cutoff=0.4)
    hint = f"did you mean '{near[0]}'? " if near else ""
    raise BoardError(f"unknown board '{name}': {hint}'refsim boards' lists all; FILE.py:NAME loads your own")


def fitting(flash_bytes: int, sram_bytes: int) -> tuple[str, ...]:
    """Names of the real boards whose flash and SRAM hold that many bytes."""
    return tuple(b.name for b in _BOARDS if not b.generic and flash_bytes <= b.flash.size and sram_bytes <= b.sram.size)


def _from_file(path: Path, variable: str) -> Board:
    where = f"board file '{path}'"
    if not path.is_file():
        raise BoardError(f"{where} does not exist: expected FILE.py:NAME with a refsim.boards.Board called NAME")
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None and spec.loader is not None  # the name ends in .py
    module = importlib.util.module_from_spec(spec)
    try:
        with contextlib.redirect_stdout(sys.stderr):  # stdout is for the answer
            spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:  # whatever somebody's file raises is one sentence to the user
        raise BoardError(f"{where} fails with {type(error).__name__}: {error}") from error
    board = getattr(module, variable, None)
    if not isinstance(board, Board):
        raise BoardError(f"{where} defines no refsim.boards.Board called '{variable}'")
    return _checked(board, where)


def _checked(board: Board, where: str) -> Board:
    """The board, once its fields are such that a machine can be built from them."""
    if wrong := complaint(board, {b.core.name for b in _BOARDS}):
        raise BoardError(f"{where}: {wrong}")
    return board
