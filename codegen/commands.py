"""The verb of this package: generate. Nothing heavy is imported before it runs."""

from __future__ import annotations

import argparse

from refsim.cli import HOLDS, Command, print_json
from refsim.commands import add_numerics, load_model

DEFAULT_BOARD = "nucleo-l4r5zi"


def add_board(parser: argparse.ArgumentParser) -> None:
    text = f"a name that 'refsim boards' prints, or FILE.py:NAME (default {DEFAULT_BOARD})"
    parser.add_argument("--board", default=DEFAULT_BOARD, metavar="B", help=text)


def add_planner(parser: argparse.ArgumentParser) -> None:
    text = "memory planner: greedy_by_size, first_fit, or the smallest of them (default)"
    parser.add_argument("--planner", default="smallest", metavar="P", help=text)
    text = "latency (default), sram (stream rows wherever that saves memory), or balanced (where it costs little)"
    parser.add_argument("--optimize", default="latency", metavar="O", help=text)


def _configure(parser: argparse.ArgumentParser) -> None:
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
        "generate",
        "C sources that build by themselves, with header, Makefile and CMakeLists.txt",
        _configure,
        _generate,
        ("refsim generate model.tflite --board nucleo-l4r5zi -o generated",),
    ),
)
