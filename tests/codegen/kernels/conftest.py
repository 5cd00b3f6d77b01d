"""C kernels on the host: compiled with sanitizers, called the way generated code calls them.

`run_kernels(cases)` prints the struct of each case's KernelCall into one C file, builds it once, and executes row
intervals against an arena in a shared file. Every byte of the arena that is not part of a view of the running case
is poisoned (AddressSanitizer), and filled with a pattern that is checked afterwards.
"""

from __future__ import annotations

import mmap
import random
import shutil
import struct
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import pairwise
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from codegen import toolchain
from emulator import image
from emulator.machine import Machine
from refsim import boards
from refsim.graph import Array, Call, KernelCall, Operator, Rows, Tensor
from refsim.int8ops.numerics import TFLM, Numerics

KERNELS = Path(__file__).resolve().parents[3] / "codegen" / "kernels"
FLAGS = "-std=c99 -Wall -Wextra -Werror -Wno-unused-function -O1 -g1 -fsanitize=address,undefined -fno-sanitize-recover"
C_TYPES = {"i1": "int8_t", "u1": "uint8_t", "i2": "int16_t", "u2": "uint16_t", "i4": "int32_t", "u4": "uint32_t"}
C_TYPES |= {"i8": "int64_t", "f4": "float"}
GUARD = 32
PATTERN = 0xA5

MAIN = """
#include <sanitizer/asan_interface.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>
int main(int argc, char **argv)
{
    uint8_t *arena = mmap(0, ARENA, PROT_READ | PROT_WRITE, MAP_SHARED, open(argv[argc - 1], O_RDWR), 0);
    int32_t ask[3];
    while (read(0, ask, sizeof ask) == sizeof ask) {
        const struct region *r = regions[ask[0]];
        __asan_poison_memory_region(arena, ARENA);
        for (; r->size; r++) __asan_unpoison_memory_region(arena + r->offset, (size_t)r->size);
        layers[ask[0]](arena, ask[1], ask[2]);
        __asan_unpoison_memory_region(arena, ARENA);
        if (write(1, "k", 1) != 1) return 1;
    }
    return 0;
}
"""


@dataclass(frozen=True)
class Case:
    """A kernel to run and how its tensors lie.

    rows: only this interval of output rows, with views that hold just the rows needed.
    cuts: seed of a random partition of the interval into steps; None runs it in one.
    ring: views of inputs and outputs are rings with this many rows more than the largest step needs.
    row_stride_extra: bytes between rows.
    in_place: the output takes the very bytes of this input.
    """

    operator: Operator
    call: Call
    values: Sequence[Array | None]
    numerics: Numerics = TFLM
    rows: Rows | None = None
    cuts: int | None = None
    ring: int | None = None
    row_stride_extra: int = 0
    in_place: int | None = None


@dataclass(frozen=True)
class Place:
    """A tensor in the arena: `struct rs_view` plus how many rows are there."""

    tensor: Tensor
    offset: int
    stride: int
    rows_held: int
    ring: int = 0
    first: int = 0

    def at(self, row: int) -> slice:
        slot = (row - self.first) % self.ring if self.ring else row - self.first
        start = self.offset + slot * self.stride
        return slice(start, start + self.tensor.row_bytes)

    def regions(self) -> Iterator[tuple[int, int]]:
        return ((self.offset + i * self.stride, self.tensor.row_bytes) for i in range(self.rows_held))

    def initialiser(self) -> str:
        return f"{{(int8_t *)arena + {self.offset}, {self.stride}, {self.ring}, {self.first}}}"


@dataclass
class Arena:
    """Hands out offsets, each block surrounded by guard bytes."""

    size: int = GUARD
    regions: list[tuple[int, int]] = field(default_factory=list)

    def block(self, nbytes: int, align: int, skew: int) -> int:
        offset = -(-self.size // 8) * 8 + skew * align
        self.size = offset + nbytes + GUARD
        return offset


@dataclass(frozen=True)
class Layout:
    """A case with everything placed."""

    case: Case
    kernel: KernelCall
    steps: tuple[Rows, ...]
    inputs: tuple[Place | None, ...]
    outputs: tuple[Place, ...]
    scratch: int

    def regions(self) -> list[tuple[int, int]]:
        places = [p for p in (*self.inputs, *self.outputs) if p is not None]
        blocks = [region for place in places for region in place.regions()]
        return blocks + ([(self.scratch, self.kernel.scratch)] if self.kernel.scratch else [])


def partition(case: Case) -> tuple[Rows, ...]:
    begin, end = case.rows or (0, case.call.y.rows)
    if case.cuts is None:
        return ((begin, end),)
    inner = random.Random(case.cuts).sample(range(begin + 1, end), k=min(3, max(0, end - begin - 1)))
    points = [begin, *sorted(inner), end]
    return tuple(pairwise(points))


def place(case: Case, arena: Arena, tensor: Tensor, needs: Sequence[Rows], skew: int) -> Place:
    """A view that holds what the steps touch: all rows, a window of them, or a ring."""
    size = tensor.nbytes // max(1, tensor.elements)
    stride = tensor.row_bytes + -(-case.row_stride_extra // size) * size
    if case.ring is not None:
        held = max(1, max(high - low for low, high in needs) + case.ring)
        first, ring = min(low for low, _ in needs), held
    elif case.rows is not None:
        first, ring = min(low for low, _ in needs), 0
        held = max(1, max(high for _, high in needs) - first)
    else:
        held, first, ring = tensor.rows, 0, 0
    return Place(tensor, arena.block(held * stride, size, skew), stride, held, ring, first)


def lay_out(case: Case, arena: Arena) -> Layout:
    kernel, steps = case.operator.lower(case.call, case.numerics), partition(case)
    pick = random.Random(case.cuts or 0)
    inputs: list[Place | None] = []
    shared = None if case.in_place is None else case.call.inputs[case.in_place]
    for index, (name, tensor) in enumerate(zip(kernel.views, case.call.inputs, strict=True)):
        if name is None or tensor is None:
            inputs.append(None)
            continue
        twin = next((p for p in inputs if p is not None and p.tensor is tensor is shared), None)
        if twin is not None:
            inputs.append(twin)
            continue
        needs = [case.operator.input_rows(case.call, index, step) for step in steps]
        inputs.append(place(case, arena, tensor, needs, pick.randrange(4)))
    outputs = tuple(place(case, arena, tensor, steps, pick.randrange(4)) for tensor in case.call.outputs)
    if case.in_place is not None:
        taken = inputs[case.in_place]
        assert taken is not None
        outputs = (replace(taken, tensor=case.call.y),)
    return Layout(case, kernel, steps, tuple(inputs), outputs, arena.block(kernel.scratch, 4, 1))


def array(name: str, values: Array) -> str:
    """A constant as the emitter prints it: aligned to a word."""
    flat = np.ascontiguousarray(values).reshape(-1)
    text = ", ".join(float(v).hex() if flat.dtype.kind == "f" else str(v) for v in flat.tolist())
    text = text.replace("-9223372036854775808", "INT64_MIN").replace("-2147483648", "INT32_MIN")
    kind = C_TYPES[flat.dtype.str[1:]]
    return f"static const {kind} {name}[] __attribute__((aligned(4))) = {{{text or '0'}}};"


def function(index: int, layout: Layout) -> str:
    """The layer function of one case and its constants."""
    kernel = layout.kernel
    members = [(n, p.initialiser()) for n, p in zip(kernel.views, layout.inputs, strict=True) if n and p]
    members += [(n, p.initialiser()) for n, p in zip(kernel.outputs, layout.outputs, strict=True)]
    members += [(n, f"layer{index}_{n}") for n in kernel.constants]
    members += [(n, str(v).replace("-2147483648", "INT32_MIN")) for n, v in kernel.literals.items()]
    members += [("scratch", f"(int8_t *)arena + {layout.scratch}")] if kernel.scratch else []
    constants = [array(f"layer{index}_{n}", v) for n, v in kernel.constants.items()]
    fields = ", ".join(f".{n} = {v}" for n, v in members)
    regions = ", ".join(f"{{{offset}, {size}}}" for offset, size in layout.regions())
    return "\n".join(
        [
            *constants,
            f"static const struct region region{index}[] = {{{regions}, {{0, 0}}}};",
            f"static RS_LAYER void layer{index}(uint8_t *arena, int32_t row_begin, int32_t row_end)",
            f"{{ rs_{kernel.kernel}((struct rs_{kernel.kernel}){{{fields}}}, row_begin, row_end); }}",
        ]
    )


def source(layouts: Sequence[Layout], rest: str) -> str:
    """A C file with the layer functions in `layers`, their arena regions in `regions`, and `rest`."""
    headers = sorted({f'#include "{layout.kernel.kernel}.h"' for layout in layouts})
    regions = ", ".join(f"region{i}" for i in range(len(layouts)))
    layers = ", ".join(f"layer{i}" for i in range(len(layouts)))
    return "\n".join(
        [
            *headers,
            "struct region { int32_t offset, size; };",
            *(function(i, layout) for i, layout in enumerate(layouts)),
            f"__attribute__((unused)) static const struct region *const regions[] = {{{regions}}};",
            f"static void (*const layers[])(uint8_t *, int32_t, int32_t) = {{{layers}}};",
            rest,
        ]
    )


def host_compiler() -> str:
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None:
        pytest.skip("no host C compiler")
    return compiler


def build(folder: Path, text: str, dsp: bool) -> Path:
    c_file, program = folder / "cases.c", folder / "cases"
    c_file.write_text(text)
    command = [host_compiler(), *FLAGS.split(), f"-I{KERNELS}", *(["-DRS_EMULATE_DSP"] if dsp else [])]
    done = subprocess.run([*command, "-o", str(program), str(c_file)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return program


def fill(memory: Array, where: Place, value: Array, rows: Rows) -> None:
    lines = np.ascontiguousarray(value).reshape(where.tensor.rows, -1).view(np.uint8)
    for row in range(*rows):
        memory[where.at(row)] = lines[row]


def collect(memory: Array, where: Place, into: Array, rows: Rows) -> None:
    for row in range(*rows):
        into[row] = memory[where.at(row)]


def execute(layout: Layout, memory: Array, ask: Callable[[int, int], None]) -> tuple[Array, ...]:
    """Feed the inputs step by step, so that rings are only ever given what a step may read; whole inputs once."""
    case = layout.case
    whole = case.rows is None and case.ring is None
    memory[:] = PATTERN
    lines = [np.zeros((p.tensor.rows, p.tensor.row_bytes), np.uint8) for p in layout.outputs]
    for step in layout.steps:
        for index, (where, value) in enumerate(zip(layout.inputs, case.values, strict=True)):
            if where is not None and value is not None and not (whole and step != layout.steps[0]):
                fill(memory, where, value, (0, where.tensor.rows) if whole else needed(case, index, step))
        ask(*step)
        for where, into in zip(layout.outputs, lines, strict=True):
            collect(memory, where, into, step)
    check_guards(layout, memory)
    dtypes = [np.dtype(p.tensor.dtype) for p in layout.outputs]
    return tuple(
        into.view(dtype).reshape(p.tensor.shape) for into, dtype, p in zip(lines, dtypes, layout.outputs, strict=True)
    )


def needed(case: Case, index: int, step: Rows) -> Rows:
    return case.operator.input_rows(case.call, index, step)


def check_guards(layout: Layout, memory: Array) -> None:
    outside = np.ones(len(memory), bool)
    for offset, size in layout.regions():
        outside[offset : offset + size] = False
    wrong = np.flatnonzero(outside & (memory != PATTERN))
    assert not len(wrong), f"{layout.kernel.kernel} wrote outside its views, at arena + {wrong[0]}"


def run_all(folder: Path, cases: Sequence[Case], dsp: bool) -> list[tuple[Array, ...]]:
    arenas = [Arena() for _ in cases]
    layouts = [lay_out(case, arena) for case, arena in zip(cases, arenas, strict=True)]
    size = max(-(-arena.size // mmap.PAGESIZE) * mmap.PAGESIZE for arena in arenas)
    program = build(folder, source(layouts, f"#define ARENA {size}\n{MAIN}"), dsp)
    path = folder / "arena"
    path.write_bytes(bytes(size))
    memory = np.memmap(path, np.uint8, "r+")
    with Server(program, path) as server:
        return [execute(layout, memory, partial(server.ask, i)) for i, layout in enumerate(layouts)]


class Server:
    """The built program, which runs one layer function at a time on the arena file when asked over its input."""

    def __init__(self, program: Path, arena: Path) -> None:
        self.process = subprocess.Popen(
            [str(program), str(arena)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={"ASAN_OPTIONS": "detect_leaks=0"},
        )

    def __enter__(self) -> Server:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.communicate()

    def ask(self, case: int, begin: int, end: int) -> None:
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.write(struct.pack("3i", case, begin, end))
        self.process.stdin.flush()
        if self.process.stdout.read(1) != b"k":
            _, complaint = self.process.communicate()
            pytest.fail(f"case {case}, rows {begin}..{end}: {complaint.decode()[:3000]}")


def machine_with_probe(compiler: str, core: str, source: str) -> Machine:
    """A machine whose code is a function `probe` that uses the kernels' headers; skips where there is no compiler."""
    found, board = toolchain.FINDERS[compiler](), boards.find(f"generic-{core.removeprefix('cortex-')}")
    if found is None:
        pytest.skip(f"{compiler} is not installed")
    sources = {path.name: path.read_bytes() for path in KERNELS.glob("rs_*.h")}
    sources["probe.c"] = source.encode()
    return Machine(board, image.load(found.build(sources, core, toolchain.linker_script(board, "probe"))))


@pytest.fixture(scope="session")
def harness() -> ModuleType:
    """This file as a module, for tests that lay cases out but run them elsewhere."""
    return sys.modules[__name__]


RunKernels = Callable[..., list[tuple[Array, ...]]]


@pytest.fixture
def kernel_case() -> type[Case]:
    """The class of a case, since tests cannot import this file."""
    return Case


@pytest.fixture
def run_kernels(tmp_path: Path) -> RunKernels:
    """run_kernels(cases, dsp=False) -> the outputs of each case; rows that were not asked for are zero."""

    def run(cases: Sequence[Case], dsp: bool = False) -> list[tuple[Array, ...]]:
        return run_all(tmp_path, cases, dsp)

    return run


@pytest.fixture
def run_kernel(tmp_path: Path) -> Callable[..., tuple[Array, ...]]:
    """run_kernel(operator, call, values, dsp=False, **fields of Case) -> outputs of the one case."""

    def run(operator: Operator, call: Call, values: Sequence[Array | None], dsp: bool = False, **rest: Any) -> Any:
        return run_all(tmp_path, [Case(operator, call, values, **rest)], dsp)[0]

    return run


@pytest.fixture
def check_kernels(tmp_path: Path) -> Callable[..., None]:
    """check_kernels(cases): each, in several layouts, portable and DSP, equals the operator's reference.

    A case is (operator, call, values) or (operator, call, values, numerics). in_place: each once for every input that
    the output may overwrite, in its bytes.
    """

    def check(cases: Sequence[Sequence[Any]], seed: int = 0, in_place: bool = False) -> None:
        plain = [Case(*case) for case in cases]
        if in_place:
            plain = [replace(c, in_place=i) for c in plain for i in c.operator.overwrites(c.call)]
        wanted = [c.operator.reference(c.call, c.values, c.numerics) for c in plain]
        for dsp in (False, True):
            varied = [vary(case, random.Random(f"{seed} {dsp} {i}")) for i, case in enumerate(plain)]
            found = run_all(tmp_path, varied, dsp)
            for case, outputs, references in zip(varied, found, wanted, strict=True):
                compare(case, outputs, references, dsp)

    return check


def vary(case: Case, pick: random.Random) -> Case:
    """One of the layouts that a Program may give: whole, in steps, rings, rows apart, a window of rows."""
    total = case.call.y.rows
    begin = pick.randrange(total)
    layouts: list[dict[str, Any]] = [
        {},
        {"cuts": pick.randrange(1 << 30)},
        {"cuts": pick.randrange(1 << 30), "row_stride_extra": pick.randrange(1, 9)},
        {"cuts": pick.randrange(1 << 30), "ring": pick.randrange(3)},
        {"rows": (begin, pick.randrange(begin, total) + 1), "cuts": pick.randrange(1 << 30)},
    ]
    return replace(case, **pick.choice(layouts))


def compare(case: Case, outputs: Sequence[Array], references: Sequence[Array], dsp: bool) -> None:
    begin, end = case.rows or (0, case.call.y.rows)
    for found, wanted in zip(outputs, references, strict=True):
        rows = (case.call.y.rows, -1)
        np.testing.assert_array_equal(
            found.reshape(rows)[begin:end],
            wanted.reshape(rows)[begin:end],
            err_msg=f"{case.operator.name} {case.call.attributes} dsp={dsp} rows={case.rows} cuts={case.cuts} "
            f"ring={case.ring} extra={case.row_stride_extra} in_place={case.in_place} "
            f"inputs={[str(t) for t in case.call.inputs]}",
        )
