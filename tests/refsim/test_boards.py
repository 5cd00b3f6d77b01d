"""The catalogue of boards: complete, consistent, sourced; errors say what to do."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from refsim import boards
from refsim.board_checks import complaint
from refsim.boards import BOARDS, KIB, MIB, Board
from refsim.errors import BoardError

EVERY = pytest.mark.parametrize("board", BOARDS.values(), ids=BOARDS)


def test_the_boards_that_others_depend_on_exist() -> None:
    assert {
        "nucleo-l4r5zi",
        "stm32f412",
        "disco-f746ng",
        "nucleo-h743zi",
        "nucleo-h7a3zi",
        "nucleo-u575zi",
        "nucleo-g0b1re",
        "nrf52840-dk",
        "rp2040",
        *(f"generic-{core}" for core in ("m0plus", "m3", "m4", "m7", "m33")),
    } <= set(BOARDS)


@pytest.mark.parametrize(
    ("name", "core", "mhz", "flash", "sram", "base"),
    [
        ("nucleo-l4r5zi", "cortex-m4", 120, 2 * MIB, 640 * KIB, 0x2000_0000),
        ("stm32f412", "cortex-m4", 100, 1 * MIB, 256 * KIB, 0x2000_0000),
        ("disco-f746ng", "cortex-m7", 216, 1 * MIB, 320 * KIB, 0x2000_0000),
        ("nucleo-h743zi", "cortex-m7", 480, 2 * MIB, 512 * KIB, 0x2400_0000),
        ("nucleo-h7a3zi", "cortex-m7", 280, 2 * MIB, 1 * MIB, 0x2400_0000),
        ("nucleo-u575zi", "cortex-m33", 160, 2 * MIB, 768 * KIB, 0x2000_0000),
        ("nucleo-g0b1re", "cortex-m0plus", 64, 512 * KIB, 144 * KIB, 0x2000_0000),
        ("nrf52840-dk", "cortex-m4", 64, 1 * MIB, 256 * KIB, 0x2000_0000),
        ("rp2040", "cortex-m0plus", 133, 2 * MIB, 264 * KIB, 0x2000_0000),
    ],
)
def test_published_sizes_and_clocks(name: str, core: str, mhz: int, flash: int, sram: int, base: int) -> None:
    board = boards.find(name)
    assert (board.core.name, board.clock_hz, board.flash.size) == (core, mhz * 1_000_000, flash)
    start = {"nrf52840-dk": 0, "rp2040": 0x1000_0000}.get(name, 0x0800_0000)
    assert (board.sram.size, board.sram.base, board.flash.base) == (sram, base, start)


@EVERY
def test_every_number_has_a_source(board: Board) -> None:
    assert all(region.source for region in board.memory)
    assert board.generic or board.sources
    assert all(part.source for part in (*board.caches, *board.paths))
    assert (board.nj_per_cycle is None) == (not board.nj_source)


@EVERY
def test_regions_are_whole_kibibytes_and_do_not_overlap(board: Board) -> None:
    ordered = sorted(board.memory, key=lambda r: r.base)
    assert all(r.base % KIB == 0 and r.size % KIB == 0 and r.size > 0 for r in ordered)
    assert all(a.end <= b.base for a, b in pairwise(ordered))
    assert board.sram.writable and not board.flash.writable


@EVERY
def test_access_paths_lie_in_one_cache_line_each_and_name_a_cache_of_the_board(board: Board) -> None:
    caches = {cache.name: cache for cache in board.caches}
    for path in board.paths:
        assert path.kind in ("fetch", "read", "write") and 0 <= path.base < path.end <= 1 << 32
        assert path.width & (path.width - 1) == 0 and (not path.cache or path.cache in caches)
    for cache in board.caches:
        assert cache.sets * cache.ways * cache.line == cache.size and cache.line & (cache.line - 1) == 0


def test_chips_without_sourced_energy_have_none() -> None:
    for name in ("stm32f412", "disco-f746ng", "nucleo-h743zi", "nucleo-g0b1re", "nrf52840-dk", "rp2040"):
        assert BOARDS[name].nj_per_cycle is None


def test_generic_boards_have_room_and_no_latency() -> None:
    for board in (b for b in BOARDS.values() if b.generic):
        assert board.name.startswith("generic-")
        assert board.flash.size == board.sram.size == 16 * MIB
        assert board.clock_hz is None and board.nj_per_cycle is None


def test_unknown_board_suggests_the_nearest_and_the_list() -> None:
    with pytest.raises(BoardError) as raised:
        boards.find("nucleo-l4r5")
    assert "did you mean 'nucleo-l4r5zi'?" in str(raised.value)
    assert "refsim boards" in str(raised.value)


@pytest.mark.parametrize("name", ["", "zzzzzz", ":", "x.py", "\0"])
def test_nonsense_is_an_unknown_board(name: str) -> None:
    with pytest.raises(BoardError, match="unknown board"):
        boards.find(name)


def test_fitting_names_real_boards_that_hold_both() -> None:
    assert boards.fitting(1_100_000, 300 * KIB) == (
        "nucleo-l4r5zi", "nucleo-l4r5zi-20mhz", "nucleo-h743zi", "nucleo-h7a3zi", "nucleo-u575zi"
    )  # fmt: skip
    assert "stm32f412" in boards.fitting(1 * MIB, 256 * KIB)
    assert "stm32f412" not in boards.fitting(1 * MIB, 256 * KIB + 1)
    assert boards.fitting(16 * MIB, 0) == ()


MINE = """
from dataclasses import replace
from refsim.boards import find
mine = replace(find("stm32f412"), name="mine", clock_hz=84_000_000)
overlapping = replace(mine, sram=replace(mine.flash, writable=True))
odd = replace(mine, sram=replace(mine.sram, size=1000))
stopped = replace(mine, clock_hz=0)
foreign = replace(mine, core=replace(mine.core, name="cortex-m85"))
nothing = 7
"""


def test_board_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    path.write_text(MINE)
    assert boards.find(f"{path}:mine") == replace(BOARDS["stm32f412"], name="mine", clock_hz=84_000_000)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("absent", "defines no refsim.boards.Board called 'absent'"),
        ("nothing", "defines no refsim.boards.Board called 'nothing'"),
        ("overlapping", "regions 'flash' and 'flash' overlap"),
        ("odd", "region 'sram' is not a multiple of 1 KiB"),
        ("stopped", "clock_hz is 0: expected a positive number"),
        ("foreign", "core 'cortex-m85' is not one that refsim emulates"),
    ],
)
def test_board_file_that_cannot_be_used(tmp_path: Path, name: str, text: str) -> None:
    path = tmp_path / "mine.py"
    path.write_text(MINE)
    with pytest.raises(BoardError, match=text):
        boards.find(f"{path}:{name}")


@pytest.mark.parametrize("body", ["1/0", "import sys; sys.exit(3)", "this is no python", "raise KeyboardInterrupt"[:5]])
def test_board_file_that_fails_is_one_sentence(tmp_path: Path, body: str) -> None:
    path = tmp_path / "broken.py"
    path.write_text(body)
    with pytest.raises(BoardError, match="fails with"):
        boards.find(f"{path}:mine")
    with pytest.raises(BoardError, match="does not exist"):
        boards.find(f"{tmp_path / 'absent.py'}:mine")


TIMED = """
from dataclasses import replace
from refsim.board import AccessPath, Bank, Cache
from refsim.boards import find, ram
L4 = find("generic-m4")
C = Cache("c", 4096, 32, 4, "test")
P = AccessPath("fetch", 0x0800_0000, 0x0820_0000, 16, 4, "flash_fetch", "test")
B = Bank(0x2000_0000, 0x2001_0000, 1, "test")
far = replace(P, base=0x0820_0000, end=0x0830_0000)

def caches(**changed):
    return replace(L4, caches=(replace(C, **changed),))

def paths(**changed):
    return replace(L4, caches=(C,), paths=(replace(P, **changed),))

def banks(**changed):
    return replace(L4, banks=(replace(B, **changed),))

mine = """


@pytest.mark.parametrize(
    "board",
    [
        "replace(L4, caches=(C,), paths=(replace(P, cache='c'), far, replace(P, kind='read')), banks=(B,))",
        "paths(wait=2.5, next_wait=0, prefetch=3)",
        "replace(L4, nj_per_cycle=0.1, cycles_error_pct=3)",
    ],
)
def test_board_with_memories_of_its_own_is_taken(tmp_path: Path, board: str) -> None:
    path = tmp_path / "mine.py"
    path.write_text(TIMED + board)
    assert boards.find(f"{path}:mine").core.name == "cortex-m4"


@pytest.mark.parametrize(
    ("board", "text"),
    [
        ("caches(size=0)", "cache 'c' of 0 bytes is not a power of two of sets"),
        ("caches(size=3072)", "cache 'c' of 3072 bytes is not a power of two of sets"),
        ("caches(size='4K')", "cache 'c' of 4K bytes"),
        ("caches(line=24)", "cache 'c' has lines of 24 bytes: expected a power of two"),
        ("caches(line=0)", "cache 'c' has lines of 0 bytes"),
        ("caches(ways=0)", "cache 'c' has 0 ways"),
        ("replace(L4, caches=(C, C))", "cache name 'c' is empty or used twice"),
        ("replace(L4, caches=('c',))", "caches is not a tuple of refsim.board.Cache"),
        ("paths(kind='execute')", "path 0: kind is 'execute': expected one of fetch, read, write"),
        ("paths(cause='rain')", "path 0: cause is 'rain': expected one of flash_fetch"),
        ("paths(cache='none')", "path 0: cache is 'none': expected one of '', c"),
        ("paths(wait=-1)", "path 0: wait is -1: expected cycles from 0"),
        ("paths(wait=None)", "path 0: wait is None"),
        ("paths(wait=float('nan'))", "path 0: wait is nan"),
        ("paths(wait='4')", "path 0: wait is 4"),
        ("paths(next_wait=-2)", "path 0: next_wait is -2"),
        ("paths(prefetch=float('inf'))", "path 0: prefetch is inf"),
        ("paths(width=3)", "path 0 is 3 bytes wide: expected a power of two"),
        ("paths(end=0x0800_0000)", "path 0: .* is no range of addresses"),
        ("paths(base=-4)", "path 0: .* is no range of addresses"),
        ("replace(L4, paths=(P, replace(P, base=0x0810_0000)))", "paths 0 and 1, both of fetch, overlap"),
        ("replace(L4, paths=[P])", "paths is not a tuple of refsim.board.AccessPath"),
        ("banks(wait=-1)", "bank 0: wait is -1"),
        ("banks(base=0x2002_0000)", "bank 0: .* is no range of addresses"),
        ("replace(L4, banks=(B, B))", "banks 0 and 1 overlap"),
        ("replace(L4, regions=(ram('x', 0x4000_0000, 1024, 'test'),))", "region 'x' overlaps peripherals"),
        ("replace(L4, regions=tuple(ram('x', n << 20, 1024, 'test') for n in range(40)))", "42 regions of memory"),
        ("replace(L4, sram=replace(L4.sram, writable=False))", "sram 'sram' is not writable"),
        ("replace(L4, core=replace(L4.core, fpu='quad'))", "core has fpu 'quad'"),
        ("replace(L4, core=replace(L4.core, mispredict=-5))", "core has mispredict -5"),
        ("replace(L4, clock_hz='120')", "clock_hz is 120: expected a positive number"),
        ("replace(L4, clock_hz=float('inf'))", "clock_hz is inf: expected a positive number"),
        ("replace(L4, cycles_error_pct=-1)", "cycles_error_pct is -1"),
        ("replace(L4, nj_per_cycle='x')", "nj_per_cycle is x"),
        ("replace(L4, name='\\x1b[31m')", "expected a printable text"),
    ],
)
def test_board_whose_memories_cannot_be(tmp_path: Path, board: str, text: str) -> None:
    path = tmp_path / "mine.py"
    path.write_text(TIMED + board)
    with pytest.raises(BoardError, match=text):
        boards.find(f"{path}:mine")


def test_what_a_board_file_prints_is_no_answer(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "mine.py"
    path.write_text("print('told')\n" + MINE)
    boards.find(f"{path}:mine")
    assert capsys.readouterr() == ("", "told\n")


@EVERY
def test_boards_of_the_catalogue_fulfil_what_is_asked_of_others(board: Board) -> None:
    assert complaint(board, {b.core.name for b in BOARDS.values()}) is None


def test_import_is_cheap() -> None:
    code = "import sys, refsim.boards; print([m for m in ('numpy', 'numba', 'unicorn') if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "[]"
