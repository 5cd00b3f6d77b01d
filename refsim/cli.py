"""The command `refsim`. Packages contribute verbs through the entry-point group `refsim.commands`.

An entry point names a tuple of `Command`. Modules that hold them import nothing heavy: `refsim --help` loads all.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any, NoReturn

from refsim import __version__
from refsim.errors import Fault, InputError, RefsimError, UsageError

if TYPE_CHECKING:
    from rich.console import Console

GROUP = "refsim.commands"
HOLDS, FAILED, BAD_INPUT, BUG, INTERRUPTED = 0, 1, 2, 3, 130


@dataclass(frozen=True)
class Command:
    """A verb: `configure` adds its arguments, `run` does it and returns the exit status."""

    name: str
    summary: str
    configure: Callable[[argparse.ArgumentParser], None]
    run: Callable[[argparse.Namespace], int]
    examples: tuple[str, ...] = ()


class Parser(argparse.ArgumentParser):
    """argparse, with its complaints in our form."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message}; see '{self.prog} --help'")


def commands() -> tuple[Command, ...]:
    """Every installed verb, by name."""
    found = [command for entry in entry_points(group=GROUP) for command in entry.load()]
    return tuple(sorted(found, key=lambda command: command.name))


def parser() -> argparse.ArgumentParser:
    """The whole command line."""
    top = Parser(prog="refsim", description="int8 networks on Cortex-M: the right answer, memory and cycles, offline.")
    top.add_argument("--version", action="version", version=f"refsim {__version__}")
    verbs = top.add_subparsers(dest="verb", metavar="VERB", required=True, parser_class=Parser)
    for command in commands():
        examples = "\n".join(["examples:", *(f"  {line}" for line in command.examples)]) if command.examples else None
        sub = verbs.add_parser(
            command.name,
            help=command.summary,
            description=command.summary,
            epilog=examples,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        command.configure(sub)
        sub.add_argument("--json", action="store_true", help="one JSON object on stdout, nothing else there")
        sub.set_defaults(run=command.run)
    return top


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command line; returns the exit status and never raises but SystemExit of --help."""
    as_json = False
    try:
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, io.TextIOWrapper):
                stream.reconfigure(errors="replace")  # a table's marks are not in every character set
        arguments = parser().parse_args(argv)
        as_json = arguments.json
        status = int(arguments.run(arguments))
        sys.stdout.flush()
        return status
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        _discard_output()
        return HOLDS
    except OSError as error:
        _discard_output()
        return _complain(f"writing the answer failed: {error.strerror or error}; is the disk full?", BAD_INPUT)
    except MemoryError:
        return _complain("this machine has too little memory for that; try a smaller model or board", BAD_INPUT)
    except InputError as error:
        return _complain(str(error), BAD_INPUT)
    except Fault as fault:
        if as_json:
            print_json({"fault": str(fault)})
        return _complain(str(fault), FAILED)
    except RefsimError as error:
        return _complain(f"{error} (a bug of refsim: please report it)", BUG)
    except Exception as error:
        traceback.print_exc()
        return _complain(f"{type(error).__name__}: {error} (a bug of refsim: please report it with the above)", BUG)


def _discard_output() -> None:
    """What is left in the buffer must not fail again at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def console() -> Console:
    """Rich's console on stdout, for which a closed pipe is no failure."""
    from rich.console import Console

    class Piped(Console):
        def on_broken_pipe(self) -> None:
            raise BrokenPipeError

    return Piped()


def _complain(sentence: str, status: int) -> int:
    print("error: " + " ".join(sentence.split()), file=sys.stderr)
    return status


def print_json(report: Mapping[str, Any]) -> None:
    """The one object of `--json`."""
    json.dump(report, sys.stdout, indent=2, allow_nan=False)
    sys.stdout.write("\n")
