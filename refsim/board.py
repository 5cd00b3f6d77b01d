"""What a board is: its core, its memories, and how accesses reach them. Sizes are bytes, clocks Hz, waits cycles."""

from __future__ import annotations

from dataclasses import dataclass, replace

KIB = 1024
MIB = 1024 * KIB

KINDS = ("fetch", "read", "write")  # of accesses
CAUSES = ("flash_fetch", "flash_read", "instruction_cache", "data_cache")  # of waits for memory


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
    dual_issue: bool = False  # two instructions a cycle
    mispredict: int = 0  # cycles of a branch that was predicted wrongly; 0: branches are not predicted


@dataclass(frozen=True, slots=True)
class Cache:
    """A set-associative cache, which writes allocate too; the line used least recently goes, or one by chance."""

    name: str
    size: int
    line: int
    ways: int
    source: str
    random: bool = False  # any line of a set goes

    @property
    def sets(self) -> int:
        return self.size // (self.line * self.ways)


@dataclass(frozen=True, slots=True)
class AccessPath:
    """How accesses of one kind (fetch, read, write) to [base, end) are served; addresses on no path never wait.

    An access waits `wait` cycles beyond a single-cycle memory's unless its line is at hand: in `cache`, or without
    one (and with `buffered`) in the buffer of the last `width` bytes. `next_wait` is for the line that follows the
    last one, which a prefetch has under way; it is more where the prefetch takes `prefetch` cycles from the first
    fetch of a line and the code of that line less, at a halfword a cycle. `cause`, one of CAUSES, is the heading under
    which waits are reported.
    """

    kind: str
    base: int
    end: int
    width: int
    wait: float
    cause: str
    source: str
    cache: str = ""
    next_wait: float | None = None
    buffered: bool = True
    prefetch: float | None = None


@dataclass(frozen=True, slots=True)
class Bank:
    """A block of SRAM that the bus matrix has to switch to: the first load of a burst waits `wait` cycles."""

    base: int
    end: int
    wait: float
    source: str


@dataclass(frozen=True, slots=True)
class Board:
    """A chip on a board. `clock_hz` None: no latency. `nj_per_cycle` None: no sourced figure, no energy.

    `cycles_error_pct`: how far estimated cycles may be from silicon's (docs/accuracy.md); None: not calibrated.
    """

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
    caches: tuple[Cache, ...] = ()
    paths: tuple[AccessPath, ...] = ()
    banks: tuple[Bank, ...] = ()
    cycles_error_pct: float | None = None

    @property
    def generic(self) -> bool:
        return self.clock_hz is None

    @property
    def memory(self) -> tuple[Region, ...]:
        return (self.flash, self.sram, *self.regions)


M0PLUS = Core("cortex-m0plus", "armv6-m", False, "none", thumb2=False)
M3 = Core("cortex-m3", "armv7-m", False, "none")
M4 = Core("cortex-m4", "armv7e-m", True, "sp")
M7 = Core("cortex-m7", "armv7e-m", True, "dp", dual_issue=True, mispredict=8)  # 8: jnk0le/random, cortex_m7.md
M7_SINGLE = replace(M7, fpu="sp")
M33 = Core("cortex-m33", "armv8-m.main", True, "sp")


def ram(name: str, base: int, size: int, source: str) -> Region:
    return Region(name, base, size, True, source)


def flash(size: int, source: str, base: int = 0x0800_0000) -> Region:
    return Region("flash", base, size, False, source)


ENERGY = "MLPerf Tiny v1.2 energy runs, middle of the published networks"
