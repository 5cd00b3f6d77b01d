"""The catalogue of boards: what code generation and emulation must know of a chip, with a source for each number.

A board is found by name, or loaded from a Python file that defines one (`FILE.py:NAME`). `flash` and `sram` are
the regions that code is linked to; their sizes are the limits for "fits". Sizes are bytes, clocks Hz.
"""

from __future__ import annotations

import difflib
import importlib.util
import itertools
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from refsim.errors import BoardError

KIB = 1024
MIB = 1024 * KIB


@dataclass(frozen=True, slots=True)
class Region:
    """A range of memory, [base, base + size)."""

    name: str
    base: int
    size: int
    writable: bool
    source: str

    @property
    def end(self) -> int:
        return self.base + self.size

    def __contains__(self, address: int) -> bool:
        return self.base <= address < self.end


@dataclass(frozen=True, slots=True)
class Core:
    """A processor as far as compilers and emulation care. `fpu` is none, sp or dp."""

    name: str
    architecture: str
    dsp: bool  # the ARMv7E-M / v8-M DSP extension: SMLAD, SXTB16, SMMULR...
    fpu: str
    thumb2: bool = True  # 32-bit encodings, IT, CBZ


@dataclass(frozen=True, slots=True)
class Board:
    """A chip on a board. `clock_hz` None: no latency. `nj_per_cycle` None: no sourced figure, no energy."""

    name: str
    core: Core
    clock_hz: int | None
    flash: Region
    sram: Region
    regions: tuple[Region, ...] = ()  # the others; code is not linked there
    nj_per_cycle: float | None = None
    nj_source: str = ""
    sources: tuple[str, ...] = ()
    note: str = ""

    @property
    def generic(self) -> bool:
        return self.clock_hz is None

    @property
    def memory(self) -> tuple[Region, ...]:
        return (self.flash, self.sram, *self.regions)


M0PLUS = Core("cortex-m0plus", "armv6-m", False, "none", thumb2=False)
M3 = Core("cortex-m3", "armv7-m", False, "none")
M4 = Core("cortex-m4", "armv7e-m", True, "sp")
M7 = Core("cortex-m7", "armv7e-m", True, "dp")
M7_SINGLE = replace(M7, fpu="sp")
M33 = Core("cortex-m33", "armv8-m.main", True, "sp")


def _ram(name: str, base: int, size: int, source: str) -> Region:
    return Region(name, base, size, True, source)


def _flash(size: int, source: str, base: int = 0x0800_0000) -> Region:
    return Region("flash", base, size, False, source)


def _generic(name: str, core: Core) -> Board:
    why = "chosen: large enough for any model, so that only correctness is asked"
    return Board(
        name,
        core,
        None,
        _flash(16 * MIB, why),
        _ram("sram", 0x2000_0000, 16 * MIB, why),
        note="no chip: for correctness only, without latency",
    )


_ENERGY = "MLPerf Tiny v1.2 energy runs, middle of the published networks"

_BOARDS = (
    Board(
        "nucleo-l4r5zi",
        M4,
        120_000_000,
        _flash(2 * MIB, "ST DS12023, RM0432 section 3.3"),
        _ram("sram", 0x2000_0000, 640 * KIB, "ST RM0432 section 2.2: SRAM1, SRAM2, SRAM3 contiguous"),
        (_ram("sram2-alias", 0x1000_0000, 64 * KIB, "ST RM0432 section 2.2: SRAM2 on the code bus"),),
        0.365,
        f"{_ENERGY}: 0.32 to 0.41 (1.8 V, LDO)",
        ("clock: ST DS12023",),
    ),
    Board(
        "stm32f412",
        M4,
        100_000_000,
        _flash(1 * MIB, "ST DS11139 (STM32F412xG)"),
        _ram("sram", 0x2000_0000, 256 * KIB, "ST DS11139"),
        sources=("clock: ST DS11139",),
    ),
    Board(
        "disco-f746ng",
        M7_SINGLE,
        216_000_000,
        _flash(1 * MIB, "ST DS10916, RM0385 section 3.3: AXIM interface"),
        _ram("sram", 0x2000_0000, 320 * KIB, "ST RM0385 section 2.3: DTCM 64 KB, SRAM1 240 KB, SRAM2 16 KB contiguous"),
        (
            Region("flash-itcm", 0x0020_0000, 1 * MIB, False, "ST RM0385 section 3.3: ITCM interface to flash"),
            _ram("itcm", 0x0000_0000, 16 * KIB, "ST RM0385 section 2.3"),
        ),
        sources=("clock: ST DS10916",),
    ),
    Board(
        "nucleo-h743zi",
        M7,
        480_000_000,
        _flash(2 * MIB, "ST DS12110, RM0433 section 4.3"),
        _ram("axi-sram", 0x2400_0000, 512 * KIB, "ST RM0433 section 2.3; the survey's limit of 512 KB"),
        (
            _ram("itcm", 0x0000_0000, 64 * KIB, "ST RM0433 section 2.3"),
            _ram("dtcm", 0x2000_0000, 128 * KIB, "ST RM0433 section 2.3"),
            _ram("sram1-3", 0x3000_0000, 288 * KIB, "ST RM0433 section 2.3"),
            _ram("sram4", 0x3800_0000, 64 * KIB, "ST RM0433 section 2.3"),
        ),
        sources=("clock: ST DS12110, revision V",),
        note="the chip has about 1 MB of SRAM in several regions; code is linked to the 512 KB of AXI SRAM",
    ),
    Board(
        "nucleo-h7a3zi",
        M7,
        280_000_000,
        _flash(2 * MIB, "ST DS13195, RM0455 section 4.3"),
        _ram("axi-sram", 0x2400_0000, 1 * MIB, "ST RM0455 section 2.3: AXI-SRAM1, 2 and 3 contiguous"),
        (
            _ram("itcm", 0x0000_0000, 64 * KIB, "ST RM0455 section 2.3"),
            _ram("dtcm", 0x2000_0000, 128 * KIB, "ST RM0455 section 2.3"),
            _ram("ahb-sram", 0x3000_0000, 128 * KIB, "ST RM0455 section 2.3"),
            _ram("srd-sram", 0x3800_0000, 32 * KIB, "ST RM0455 section 2.3"),
        ),
        0.515,
        f"{_ENERGY}: 0.44 to 0.59 (3.0 to 3.3 V, SMPS)",
        ("clock: ST DS13195",),
    ),
    Board(
        "nucleo-u575zi",
        M33,
        160_000_000,
        _flash(2 * MIB, "ST DS13737, RM0456 section 7.3"),
        _ram("sram", 0x2000_0000, 768 * KIB, "ST RM0456 section 2.3: SRAM1, SRAM2, SRAM3 contiguous"),
        (_ram("sram4", 0x2800_0000, 16 * KIB, "ST RM0456 section 2.3"),),
        0.155,
        f"{_ENERGY}: 0.14 to 0.17 (1.8 V, SMPS)",
        ("clock: ST DS13737",),
    ),
    Board(
        "nucleo-g0b1re",
        M0PLUS,
        64_000_000,
        _flash(512 * KIB, "ST DS13560, RM0444 section 3.3"),
        _ram("sram", 0x2000_0000, 144 * KIB, "ST DS13560, RM0444 section 2.2: parity check off"),
        sources=("clock: ST DS13560",),
    ),
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
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:  # whatever somebody's file raises is one sentence to the user
        raise BoardError(f"{where} fails with {type(error).__name__}: {error}") from error
    board = getattr(module, variable, None)
    if not isinstance(board, Board):
        raise BoardError(f"{where} defines no refsim.boards.Board called '{variable}'")
    return _checked(board, where)


def _checked(board: Board, where: str) -> Board:
    """The board, once its fields are such that a machine can be built from them."""
    regions = sorted(board.memory, key=lambda r: r.base)
    for r in regions:
        if r.base % KIB or r.size % KIB or r.size <= 0 or not 0 <= r.base <= r.end <= 1 << 32:
            raise BoardError(f"{where}: region '{r.name}' is not a multiple of 1 KiB inside 4 GiB")
    for a, b in itertools.pairwise(regions):
        if a.end > b.base:
            raise BoardError(f"{where}: regions '{a.name}' and '{b.name}' overlap")
    if board.clock_hz is not None and not board.clock_hz > 0:
        raise BoardError(f"{where}: clock_hz is {board.clock_hz}: expected a positive number, or None for no latency")
    if board.core.name not in {b.core.name for b in _BOARDS}:
        raise BoardError(f"{where}: core '{board.core.name}' is not one that refsim emulates")
    return board
