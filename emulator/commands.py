"""The verbs of this package: validate, profile, doctor. Nothing heavy is imported before one runs."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from codegen.commands import add_board, add_planner
from refsim import files
from refsim.cli import FAILED, HOLDS, Command, console, print_json
from refsim.commands import add_numerics, add_seed, load_model, natural, positive

DEFAULT_MODEL = "zoo:ds-cnn"


def add_toolchain(parser: argparse.ArgumentParser) -> None:
    text = "zig (clang, the default when it is there) or gcc (arm-none-eabi-gcc)"
    parser.add_argument("--toolchain", metavar="T", help=text)


@contextmanager
def progress() -> Iterator[Callable[[str, int, int], None]]:
    """A progress bar on stderr; nothing where stderr is no terminal."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("reading the model", total=None)
        yield lambda what, done, total: bar.update(task, description=what, completed=done, total=total)


def _configure_validate(parser: argparse.ArgumentParser) -> None:
    text = f"a .tflite file, or zoo:NAME (default {DEFAULT_MODEL})"
    parser.add_argument("model", metavar="MODEL", nargs="?", default=DEFAULT_MODEL, help=text)
    add_board(parser)
    text = "random inputs, besides all lowest, all highest and all zero point (default 3)"
    parser.add_argument("--count", type=natural, default=3, metavar="N", help=text)
    add_seed(parser)
    add_numerics(parser)
    add_toolchain(parser)
    add_planner(parser)
    parser.add_argument("--csv", metavar="F.csv", help="write the layers there too")


def _validate(arguments: argparse.Namespace) -> int:
    from emulator.validation import validate
    from refsim import boards, report
    from refsim.int8ops import numerics

    board, rules = boards.find(arguments.board), numerics.find(arguments.numerics)
    with progress() as show:
        found = validate(
            load_model(arguments.model),
            board,
            numerics=rules,
            toolchain=arguments.toolchain,
            planner=arguments.planner,
            optimize=arguments.optimize,
            transforms=arguments.transforms,
            count=arguments.count,
            seed=arguments.seed,
            progress=show,
        )
    if arguments.csv:
        files.write(arguments.csv, report.as_csv(found).encode())
    if arguments.json:
        print_json({**report.as_json(found), "model": arguments.model})
    else:
        report.print_report(found, console())
    return HOLDS if found.holds else FAILED


def _configure_profile(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("image", metavar="IMAGE", help="firmware: ELF, Intel HEX or raw binary")
    add_board(parser)
    parser.add_argument("--base", metavar="A", help="where a raw binary lies (default: the board's flash)")
    parser.add_argument("--entry", required=True, metavar="S", help="the function to measure: a symbol or an address")
    text = "stop the reset handler after so many (default 20000000)"
    parser.add_argument("--boot-instructions", type=natural, default=20_000_000, metavar="N", help=text)
    text = "give up on the function after so many (default 2000000000)"
    parser.add_argument("--max-instructions", type=positive, default=2_000_000_000, metavar="N", help=text)


def _profile(arguments: argparse.Namespace) -> int:
    from emulator import profiler
    from refsim import boards

    board = boards.find(arguments.board)
    with progress() as show:
        show("running the firmware", 0, 1)
        found = profiler.profile_file(
            arguments.image,
            board,
            entry=arguments.entry,
            base=arguments.base,
            boot_instructions=arguments.boot_instructions,
            max_instructions=arguments.max_instructions,
        )
    if arguments.json:
        print_json(profiler.as_json(found))
    else:
        profiler.print_profile(found, console())
    return HOLDS


def _configure_doctor(parser: argparse.ArgumentParser) -> None:
    pass


def _doctor(arguments: argparse.Namespace) -> int:
    from emulator.doctor import diagnose

    found = diagnose()
    if arguments.json:
        print_json(found)
    else:
        _print_doctor(found)
    return HOLDS if found["usable"] else FAILED


def _print_doctor(found: dict[str, Any]) -> None:
    for row in found["toolchains"]:
        print(f"{row['name']:<10} {row['version'] or 'not found: ' + row['remedy']}")
    for name, version in found["packages"].items():
        print(f"{name:<10} {version or 'not installed'}")
    cache = found["cache"]
    print(f"{'cache':<10} {cache['folder']}: {cache['files']} objects, {cache['bytes']:,} bytes")
    print("ready" if found["usable"] else "no compiler: 'refsim validate' cannot work; 'refsim run' can")


COMMANDS = (
    Command(
        "validate",
        "reference against generated code on an emulated board: exact? how fast? does it fit?",
        _configure_validate,
        _validate,
        ("refsim validate", "refsim validate model.tflite --board disco-f746ng --toolchain gcc --json"),
    ),
    Command(
        "profile",
        "where the cycles of a firmware's function go",
        _configure_profile,
        _profile,
        ("refsim profile firmware.bin --board nucleo-l4r5zi --base 0x08000000 --entry 0x0800668c",),
    ),
    Command("doctor", "compilers, versions and caches of this machine", _configure_doctor, _doctor),
)
