"""The verbs of this package: analyze, generate. Nothing heavy is imported before it runs."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from refsim import files
from refsim.cli import FAILED, HOLDS, Command, console, print_json
from refsim.commands import add_numerics, load_model
from refsim.errors import UsageError

if TYPE_CHECKING:
    from codegen.analysis import Analysis

DEFAULT_BOARD = "nucleo-l4r5zi"
# Those of refsim.memsim.planners, whose import would load numpy for --help.
PLANNER_NAMES = ("smallest", "greedy_by_size", "first_fit", "tflm_greedy", "linear", "hill_climb", "optimal")


def add_board(parser: argparse.ArgumentParser) -> None:
    text = f"a name that 'refsim boards' prints, or FILE.py:NAME (default {DEFAULT_BOARD})"
    parser.add_argument("--board", default=DEFAULT_BOARD, metavar="B", help=text)


def add_planner(parser: argparse.ArgumentParser) -> None:
    text = f"memory planner: {', '.join(PLANNER_NAMES)} (default {PLANNER_NAMES[0]}, the best of the fast ones)"
    parser.add_argument("--planner", default=PLANNER_NAMES[0], metavar="P", help=text)
    add_optimize(parser)


def add_optimize(parser: argparse.ArgumentParser) -> None:
    text = "latency (default), sram (stream rows wherever that saves memory), or balanced (where it costs little)"
    parser.add_argument("--optimize", default="latency", metavar="O", help=text)
    text = "none, or some of order,inplace,overlap,patch,stream: overrides what --optimize would choose from"
    parser.add_argument("--transforms", metavar="LIST", help=text)


def _configure_analyze(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", metavar="MODEL", help="a .tflite file, or zoo:NAME")
    text = "say whether it fits there: a name that 'refsim boards' prints, or FILE.py:NAME"
    parser.add_argument("--board", metavar="B", help=text)
    text = "refsim, tflm, cmsis-nn, x-cube-ai or tinyengine; may be repeated (default: all)"
    parser.add_argument("--runtime", action="append", metavar="R", help=text)
    add_optimize(parser)
    add_numerics(parser)
    text = "what measures refsim's flash: zig (clang, the default when it is there) or gcc (arm-none-eabi-gcc)"
    parser.add_argument("--toolchain", metavar="T", help=text)
    parser.add_argument("--svg", metavar="F.svg", help="write the picture of refsim's memory plan there")


def _analyze(arguments: argparse.Namespace) -> int:
    from codegen.analysis import analyze, as_json
    from refsim import boards
    from refsim.int8ops import numerics

    board = boards.find(arguments.board) if arguments.board else None
    rules = numerics.find(arguments.numerics)
    found = analyze(
        load_model(arguments.model),
        board,
        arguments.runtime,
        numerics=rules,
        optimize=arguments.optimize,
        transforms=arguments.transforms,
        toolchain=arguments.toolchain,
    )
    if arguments.svg:
        _draw(found, arguments.svg)
    if arguments.json:
        print_json({**as_json(found), "model": arguments.model})
    else:
        _show(found)
    return HOLDS if found.holds else FAILED


def _draw(found: Analysis, path: str) -> None:
    from refsim.memsim.picture import plan_svg

    if found.program is None:
        raise UsageError(f"--svg '{path}': there is no memory plan to draw, as refsim cannot take '{found.model}'")
    files.write(path, plan_svg(found.program.placed, found.model).encode())


def _show(found: Analysis) -> None:

    from codegen.analysis_table import print_analysis

    print_analysis(found, console())
    for need in found.needs.values():
        if need.without_flash:
            print(f"{need.runtime}: flash is not known: {need.without_flash}", file=sys.stderr)


def _configure_generate(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", metavar="MODEL", help="a .tflite file, or zoo:NAME")
    parser.add_argument(
        "-o", "--output", required=True, metavar="DIR", help="a new or empty folder, or an earlier result"
    )
    add_board(parser)
    add_numerics(parser)
    text = "what the Makefile uses: gcc (arm-none-eabi-gcc, the default) or zig (clang)"
    parser.add_argument("--toolchain", default="gcc", metavar="T", help=text)
    add_planner(parser)


def _generate(arguments: argparse.Namespace) -> int:
    from codegen.build import generate
    from refsim import boards
    from refsim.int8ops import numerics

    board, rules = boards.find(arguments.board), numerics.find(arguments.numerics)
    graph = load_model(arguments.model)
    made = generate(
        graph,
        board,
        arguments.output,
        numerics=rules,
        toolchain=arguments.toolchain,
        planner=arguments.planner,
        optimize=arguments.optimize,
        transforms=arguments.transforms,
    )
    names = sorted(made.sources.files)
    if arguments.json:
        print_json(
            {
                "model": arguments.model,
                "board": board.name,
                "numerics": rules.name,
                "folder": arguments.output,
                "entry": made.sources.entry,
                "arena": made.program.arena_bytes,
                "constants": made.sources.constant_bytes,
                "files": [*names, "memory.svg"],
            }
        )
    else:
        print(f"{arguments.output}: {len(names)} files, call {made.sources.entry}(arena) as model.h says")
        print(f"arena {made.program.arena_bytes:,} bytes, constants {made.sources.constant_bytes:,} bytes")
    return HOLDS


COMMANDS = (
    Command(
        "analyze",
        "parameters, MACs, peak SRAM and flash, per layer and for several runtimes",
        _configure_analyze,
        _analyze,
        (
            "refsim analyze zoo:mcunet-vww0 --board stm32f412",
            "refsim analyze model.tflite --runtime refsim --runtime tflm --json",
        ),
    ),
    Command(
        "generate",
        "C sources that build by themselves, with header, Makefile and CMakeLists.txt",
        _configure_generate,
        _generate,
        ("refsim generate model.tflite --board nucleo-l4r5zi -o generated",),
    ),
)
