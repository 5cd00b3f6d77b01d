"""The C compilers: clang from the `ziglang` wheel, or arm-none-eabi-gcc. Sources in, ELF out.

An environment variable overrides where each is found: REFSIM_ZIG, REFSIM_GCC (a path, or a command with arguments).
"""

from __future__ import annotations

import contextlib
import os
import shlex
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from codegen.cache import digest, folder, kept
from refsim.boards import Board
from refsim.errors import OutputError, ToolchainError, UsageError

COMMON = (
    *("-std=c99", "-O2", "-g", "-ffreestanding", "-ffunction-sections", "-fdata-sections", "-fno-unwind-tables"),
    *("-fno-asynchronous-unwind-tables", "-ffp-contract=off", "-Wall", "-Wextra", "-Werror"),
)
# The CPU names need their FPU and DSP spelled out in clang, and only there.
CLANG_CPU: Mapping[str, tuple[str, ...]] = {
    "cortex-m0plus": ("-target", "thumb-freestanding-eabi", "-mcpu=cortex_m0plus"),
    "cortex-m3": ("-target", "thumb-freestanding-eabi", "-mcpu=cortex_m3"),
    "cortex-m4": ("-target", "thumb-freestanding-eabihf", "-mcpu=cortex_m4+vfp4d16sp"),
    "cortex-m7": ("-target", "thumb-freestanding-eabihf", "-mcpu=cortex_m7+fp_armv8d16"),
    "cortex-m33": ("-target", "thumb-freestanding-eabihf", "-mcpu=cortex_m33+dsp+fp_armv8d16sp"),
}
GCC_CPU: Mapping[str, tuple[str, ...]] = {
    "cortex-m0plus": ("-mthumb", "-mcpu=cortex-m0plus"),
    "cortex-m3": ("-mthumb", "-mcpu=cortex-m3"),
    "cortex-m4": ("-mthumb", "-mcpu=cortex-m4", "-mfpu=fpv4-sp-d16", "-mfloat-abi=hard"),
    "cortex-m7": ("-mthumb", "-mcpu=cortex-m7", "-mfpu=fpv5-d16", "-mfloat-abi=hard"),
    "cortex-m33": ("-mthumb", "-mcpu=cortex-m33", "-mfpu=fpv5-sp-d16", "-mfloat-abi=hard"),
}
Running = set[subprocess.Popen[str]]  # compilers at work
REMEDY = "install one: pip install 'refsim[toolchain]' (clang), or Debian's package gcc-arm-none-eabi"


@dataclass(frozen=True, slots=True)
class Toolchain:
    """A compiler and its linker, as commands; `version` goes into reports and cache keys."""

    name: str
    version: str
    compiler: tuple[str, ...]
    linker: tuple[str, ...]
    cpu: Mapping[str, tuple[str, ...]]
    environment: Mapping[str, str]

    def flags(self, core: str) -> tuple[str, ...]:
        return (*self.cpu[core], *COMMON)

    def _run(self, command: Sequence[str | Path], where: Path, what: str, running: Running) -> None:
        with subprocess.Popen(
            [str(word) for word in command],
            cwd=where,
            env={**os.environ, **self.environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            start_new_session=True,  # so that what the driver starts can be ended with it
        ) as process:
            running.add(process)
            _, text = process.communicate()
        running.discard(process)
        if process.returncode:
            lines = [line for line in text.splitlines() if "error" in line] or text.splitlines()
            raise ToolchainError(f"{self.version} could not {what}: {lines[0] if lines else 'no message'}")

    def compile(self, source: str, sources: Mapping[str, bytes], core: str, running: Running | None = None) -> Path:
        """The object of `source`; its headers are found among `sources` (relative path -> content)."""
        running = set() if running is None else running
        headers = [part for name in sorted(sources) if name.endswith(".h") for part in (name, sources[name])]
        key = digest(self.version, *self.compiler[1:], *self.flags(core), source, sources[source], *headers)

        def make(path: Path) -> None:
            with tempfile.TemporaryDirectory(prefix="refsim-") as scratch:
                write_tree(Path(scratch), sources)
                mapped = (f"-ffile-prefix-map={scratch}=.", "-fdebug-compilation-dir=.")
                extra = mapped if self.name == "zig" else mapped[:1]
                flags = (*self.flags(core), *extra, "-I.", "-Ikernels")
                command = [*self.compiler, *flags, "-c", source, "-o", path]
                self._run(command, Path(scratch), f"compile {source}", running)

        return kept(key, ".o", make)

    def link(self, objects: Sequence[Path], script: str) -> Path:
        """The ELF of objects under a linker script, unused sections left out."""
        key = digest(self.version, *self.linker[1:], script, *(path.name for path in objects))

        def make(path: Path) -> None:
            with tempfile.TemporaryDirectory(prefix="refsim-") as scratch:
                text = Path(scratch) / "link.ld"
                text.write_text(script)
                self._run([*self.linker, "-T", text, *objects, "-o", path], Path(scratch), "link", set())

        return kept(key, ".elf", make)

    def build(self, sources: Mapping[str, bytes], core: str, script: str) -> Path:
        """Compile every .c of `sources` and link them."""
        names = sorted((n for n in sources if n.endswith(".c")), key=lambda n: -len(sources[n]))
        running: Running = set()
        with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
            try:
                objects = list(pool.map(lambda name: self.compile(name, sources, core, running), names))
            except BaseException:  # an interrupt must not wait for compilers
                pool.shutdown(wait=False, cancel_futures=True)
                for process in tuple(running):
                    _end(process)
                raise
        return self.link(objects, script)


def _end(process: subprocess.Popen[str]) -> None:
    """Kill a compiler and all that it started."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        if hasattr(os, "killpg"):
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()


def write_tree(where: Path, files: Mapping[str, bytes]) -> None:
    """Write relative paths under a folder."""
    for name, data in files.items():
        path = where / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


def linker_script(board: Board, entry: str) -> str:
    """Code, then constants, at the board's flash; data and bss in its SRAM."""
    flash, sram = board.flash, board.sram
    return f"""ENTRY({entry})
MEMORY
{{
  FLASH (rx) : ORIGIN = 0x{flash.base:08x}, LENGTH = {flash.size}
  SRAM (rw) : ORIGIN = 0x{sram.base:08x}, LENGTH = {sram.size}
}}
SECTIONS
{{
  .text : {{ *(.text .text.*) }} > FLASH
  .rodata : {{ *(.rodata .rodata.*) }} > FLASH
  .data : {{ *(.data .data.*) }} > SRAM
  .bss (NOLOAD) : {{ *(.bss .bss.* COMMON) }} > SRAM
  /DISCARD/ : {{ *(.ARM.exidx* .ARM.extab* .comment .note*) }}
}}
"""


def _first_line(command: Sequence[str], environment: Mapping[str, str]) -> str | None:
    """What a command prints first, or None when it cannot be run."""
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=60,
            env={**os.environ, **environment},
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.splitlines()[0] if done.returncode == 0 and done.stdout else None


def _override(variable: str) -> tuple[str, ...] | None:
    """The command in an environment variable; a relative path holds where the user stands, not where compilers run."""
    try:
        words = shlex.split(os.environ.get(variable, ""), posix=os.name != "nt")
    except ValueError:  # an open quotation
        words = [os.environ[variable]]
    if not words:
        return None
    return (os.path.abspath(words[0]) if os.path.dirname(words[0]) else words[0], *words[1:])


def _zig_command() -> tuple[str, ...] | None:
    if override := _override("REFSIM_ZIG"):
        return override
    spec = find_spec("ziglang")
    if spec is not None and spec.submodule_search_locations:
        zig = Path(spec.submodule_search_locations[0]) / ("zig.exe" if os.name == "nt" else "zig")
        if zig.exists():
            return (str(zig),)
    return None


def _gcc_command() -> tuple[str, ...] | None:
    if override := _override("REFSIM_GCC"):
        return override
    found = shutil.which("arm-none-eabi-gcc")
    return (found,) if found else None


@cache
def zig() -> Toolchain | None:
    """clang of the ziglang wheel, or None."""
    command = _zig_command()
    if command is None:
        return None
    caches = str(folder() / "zig")
    environment = {"ZIG_GLOBAL_CACHE_DIR": caches, "ZIG_LOCAL_CACHE_DIR": caches}
    version = _zig_version(command, environment)
    if version is None:
        return None
    return Toolchain("zig", version, (*command, "cc"), (*command, "ld.lld", "--gc-sections"), CLANG_CPU, environment)


def _zig_version(command: Sequence[str], environment: Mapping[str, str]) -> str | None:
    """Of zig and its clang. Asking the wheel's takes longer than a plan does: kept by its file's size and time.

    What a user names may be a script whose file stays while another zig comes: that one is asked every time.
    """
    if os.environ.get("REFSIM_ZIG"):
        return _asked_zig_version(command, environment)

    def make(path: Path) -> None:
        path.write_text(_asked_zig_version(command, environment) or "", "utf-8")

    file = os.stat(command[0])
    key = digest("zig version", command[0], str(file.st_size), str(file.st_mtime_ns))
    with contextlib.suppress(OSError, OutputError):
        known = kept(key, ".version", make).read_text("utf-8", "replace")
        if known.startswith("zig "):
            return known
    return _asked_zig_version(command, environment)


def _asked_zig_version(command: Sequence[str], environment: Mapping[str, str]) -> str | None:
    clang, own = (_first_line((*command, *words), environment) for words in (("cc", "--version"), ("version",)))
    return f"zig {own}, {clang}" if clang and own else None


@cache
def gcc() -> Toolchain | None:
    """arm-none-eabi-gcc, or None."""
    command = _gcc_command()
    version = _first_line((*command, "--version"), {}) if command else None
    if command is None or version is None:
        return None
    linker = (*command, "-nostdlib", "-Wl,--gc-sections,--build-id=none")
    return Toolchain("gcc", version, command, linker, GCC_CPU, {})


FINDERS = {"zig": zig, "gcc": gcc}


def find(name: str | None = None) -> Toolchain:
    """The toolchain asked for, else the first there is. Raises ToolchainError when there is none."""
    if name is not None and name not in FINDERS:
        raise UsageError(f"toolchain '{name}' is not known: expected one of {', '.join(FINDERS)}")
    wanted = [name] if name else list(FINDERS)
    for each in wanted:
        if (toolchain := FINDERS[each]()) is not None:
            return toolchain
    asked = f"toolchain '{name}' was not found" if name else "no C compiler for Cortex-M was found"
    raise ToolchainError(f"{asked}: expected {' or '.join(wanted)}; {REMEDY}")
