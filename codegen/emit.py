"""Program -> a folder of C that builds by itself. Prints what the Program says and decides nothing.

`emit` gives the files as a mapping, which the toolchain compiles as it is and `generate` writes to disk.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib.resources import files
from typing import Any

from codegen.constants import Constants
from codegen.toolchain import CLANG_CPU, GCC_CPU
from refsim import __version__
from refsim.boards import Board
from refsim.errors import PlanError
from refsim.graph import KernelCall, Tensor
from refsim.int8ops.numerics import Numerics
from refsim.memsim.plan import ALIGNMENT
from refsim.memsim.program import Body, Loop, Program, Step, View, walk

C_TYPES = {
    **{name: f"{name}_t" for name in ("int8", "uint8", "int16", "int32", "int64")},
    "int4": "int8_t",  # one value a byte
    "float32": "float",
    "bool": "uint8_t",
}


@dataclass(frozen=True)
class Sources:
    """Generated C: relative path -> content, and what the emulator needs to find its way in the ELF.

    `constant_parts` has, by symbol, the bytes of each constant by what they hold; `shared_bytes` more there would be if
    layers with equal constants did not share them.
    """

    prefix: str
    files: Mapping[str, bytes]
    symbols: Mapping[tuple[Any, ...], str]
    constant_bytes: int
    constant_parts: Mapping[str, Mapping[str, int]]
    shared_bytes: int

    def symbol(self, step: Step) -> str:
        """The function that computes a step."""
        return self.symbols[_key(step)]

    @property
    def entry(self) -> str:
        return f"{self.prefix}_run"


def identifier(name: str) -> str:
    """A C identifier for a model's name, which nobody has checked."""
    word = re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")[:40].rstrip("_")
    return word if word and word[0].isalpha() else f"model_{word}".rstrip("_")


def emit(
    program: Program, calls: Sequence[KernelCall], numerics: Numerics, board: Board, toolchain: str = "gcc"
) -> Sources:
    """The generated folder. `calls` are those of the Program's graph, node by node (`lifetime.lower`).

    `toolchain` (gcc or zig) is what the Makefile uses unless told otherwise.
    """
    return _Printer(program, calls, numerics, board, toolchain).sources()


@dataclass(frozen=True)
class _Printer:
    program: Program
    calls: Sequence[KernelCall]
    numerics: Numerics
    board: Board
    toolchain: str

    @cached_property
    def prefix(self) -> str:
        return identifier(self.program.graph.name)

    @cached_property
    def constants(self) -> Constants:
        return Constants(self.prefix)

    @cached_property
    def layers(self) -> Mapping[tuple[Any, ...], Mapping[str, Any]]:
        """Every distinct (node, views) that the Program calls, and how it is printed."""
        found: dict[tuple[Any, ...], Mapping[str, Any]] = {}
        for step in walk(self.program.body):
            if _key(step) not in found:
                found[_key(step)] = self._layer(len(found), step)
        return found

    def _layer(self, number: int, step: Step) -> Mapping[str, Any]:
        node = self.program.graph.nodes[step.node]
        call = self.program.graph.call(node)
        kernel = self.calls[step.node].kernel
        shapes = " ".join(f"{list(t.shape)}" for t in call.inputs if t is not None and t.data is None)
        return {
            "name": f"{self.prefix}_layer_{number:03d}_{node.operator.name}",
            "kernel": kernel,
            "comment": f"{comment(node.name or node.operator.name)}: {shapes} -> {list(call.y.shape)}",
            "fields": tuple(self._fields(step)),
        }

    def _fields(self, step: Step) -> Iterator[str]:
        call = self.calls[step.node]
        for field, view in zip((*call.views, *call.outputs), (*step.reads, *step.writes), strict=True):
            if field is not None and view is not None:
                yield f".{field} = {self._view(view)}"
        for field, array in call.constants.items():
            yield f".{field} = {self.constants.name(field, array)}"
        for field, value in call.literals.items():
            yield f".{field} = {literal(value)}"
        if call.scratch > (0 if step.scratch is None else self.program.buffers[step.scratch].nbytes):
            node = self.program.graph.nodes[step.node]
            raise PlanError(f"step '{node.name or node.operator.name}' needs {call.scratch} bytes of scratch")
        if step.scratch is not None:
            yield f".scratch = (int8_t *)arena + {self.program.placed.offsets[step.scratch]}"

    def _view(self, view: View) -> str:
        place = self.program.address(view)
        return f"{{(int8_t *)arena + {place}, {view.row_stride}, {view.ring_rows}, {view.first_row}}}"

    def _calls(self, body: Body, turns: str = "0", depth: int = 0) -> Iterator[str]:
        for item in body:
            if isinstance(item, Loop):
                turn = f"turn{depth}"
                yield f"for (int32_t {turn}_ = 0; {turn}_ < {item.times}; ++{turn}_) {{"
                if any(step.advance for step in walk(item.body)):  # else it would be an unused variable
                    yield f"    const int32_t {turn} = {turns} * {item.times} + {turn}_;"
                yield from (f"    {line}" for line in self._calls(item.body, turn, depth + 1))
                yield "}"
            else:
                yield from self._call(item, turns)

    def _call(self, step: Step, turns: str) -> Iterator[str]:
        name = self.layers[_key(step)]["name"]
        moved = f" + {turns} * {step.advance}" if step.advance and turns != "0" else ""
        begin, end = (f"{row}{moved}" for row in step.rows)
        if step.direction > 0:
            yield f"{name}(arena, {begin}, {end});"
        else:
            yield f"for (int32_t row = {end}; row > {begin}; --row) {{"
            yield f"    {name}(arena, row - 1, row);"
            yield "}"

    def _ports(self) -> Iterator[Mapping[str, Any]]:
        graph = self.program.graph
        for kind, views in (("input", self.program.inputs), ("output", self.program.outputs)):
            for n, view in enumerate(views):
                tensor = graph.tensors[view.tensor]
                yield {
                    "comment": f"{kind} {n}, '{comment(tensor.name)}': {tensor}",
                    "macro": f"{self.prefix.upper()}_{kind.upper()}_{n}",
                    "function": f"{self.prefix}_{kind}_{n}",
                    "ctype": C_TYPES[tensor.dtype],
                    "offset": self.program.address(view),
                    "nbytes": tensor.nbytes,
                    **_quantisation(tensor),
                }

    def sources(self) -> Sources:
        layers = tuple(self.layers.values())
        kernels = tuple(sorted({layer["kernel"] for layer in layers}))
        weights_h, weights_c = self.constants.header(), self.constants.source()
        made = {**kernel_files(kernels), "weights.h": weights_h, "weights.c": weights_c}
        names = {
            "prefix": self.prefix,
            "PREFIX": self.prefix.upper(),
            "title": comment(self.program.graph.name),
            "version": __version__,
            "numerics": self.numerics.name,
            "oracle": self.numerics.oracle,
            "macs": self.program.graph.macs,
            "constants": self.constants.nbytes,
            "arena_bytes": self.program.arena_bytes,
            "alignment": ALIGNMENT,
            "ports": tuple(self._ports()),
            "kernels": kernels,
            "layers": layers,
            "calls": tuple(self._calls(self.program.body)),
            "core": self.board.core.name,
            "toolchain": self.toolchain,
            "gcc_cpu": " ".join(GCC_CPU[self.board.core.name]),
            "clang_cpu": " ".join(CLANG_CPU[self.board.core.name]),
        }
        for name in ("model.h", "model.c", "arena.c"):
            made[name] = render(name, names)
        objects = sorted(name for name in made if name.endswith(".c"))
        names |= {"sources": objects, "objects": " ".join(name[:-2] + ".o" for name in objects)}
        for name in ("Makefile", "CMakeLists.txt"):
            made[name] = render(name, names)
        symbols = {key: layer["name"] for key, layer in self.layers.items()}
        shared = self._unshared_bytes() - self.constants.nbytes
        texts = dict(sorted(made.items()))
        return Sources(self.prefix, texts, symbols, self.constants.nbytes, self.constants.parts, shared)

    def _unshared_bytes(self) -> int:
        """Of all nodes' constants, each with its own."""
        nodes = {step.node for step in walk(self.program.body)}
        return sum(array.nbytes for n in nodes for array in self.calls[n].constants.values())


def _key(step: Step) -> tuple[Any, ...]:
    return step.node, step.reads, step.writes, step.scratch


def _quantisation(tensor: Tensor) -> Mapping[str, Any]:
    if tensor.quant is None or tensor.quant.per_channel:
        return {"scale": None}
    text = f"{tensor.scale:.9g}"
    return {"scale": text if "." in text or "e" in text else text + ".0", "zero_point": tensor.zero_point}


def literal(value: int) -> str:
    """An int32 literal; the smallest has no literal of its own in C."""
    return "(-2147483647 - 1)" if value == -(2**31) else str(int(value))


def comment(name: str) -> str:
    """A tensor's or model's name, harmless inside a C comment."""
    return re.sub(r"[^A-Za-z0-9_./: \[\]-]", "_", name)[:120]


def render(name: str, values: Mapping[str, Any]) -> bytes:
    """A template of `codegen/templates`, filled in."""
    from jinja2 import Environment, StrictUndefined

    text = (files("codegen") / "templates" / f"{name}.j2").read_text("utf-8")
    environment = Environment(
        undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True, autoescape=False
    )
    return environment.from_string(text).render(values).encode()


def kernel_files(kernels: Sequence[str]) -> dict[str, bytes]:
    """The kernels' headers and sources with everything that they include, under `kernels/`."""
    folder = files("codegen") / "kernels"
    found: dict[str, bytes] = {}
    waiting = ["rs_view.h", "rs_memory.c", *(f"{kernel}.h" for kernel in kernels)]
    while waiting:
        name = waiting.pop()
        if f"kernels/{name}" in found or not (folder / name).is_file():
            continue
        data = (folder / name).read_bytes()
        found[f"kernels/{name}"] = data
        waiting += re.findall(r'^\s*#\s*include "([a-z0-9_]+\.h)"', data.decode(), re.MULTILINE)
        waiting.append(name[:-2] + ".c")
    return found
