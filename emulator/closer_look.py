"""What `refsim profile` tells beyond its tables: one function's instructions, a trace, and stacks for flame graphs."""

from __future__ import annotations

import argparse
import itertools
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from emulator import annotate, flame, flame_picture, trace
from emulator.annotate import Annotation
from emulator.observed import Observed
from refsim import files
from refsim.errors import UsageError

if TYPE_CHECKING:
    from rich.console import Console


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the user asked for; file names are None where nothing is to be written."""

    annotate: str | None = None
    trace: str | None = None
    flame: str | None = None

    @property
    def calls(self) -> bool:
        """Whether calls must be followed while the code runs."""
        return self.trace is not None or self.flame is not None


def wanted(arguments: argparse.Namespace) -> Wanted:
    """Raises UsageError where one file would replace another, or what is profiled."""
    named = {"what is profiled": arguments.subject, "--trace": arguments.trace, "--flame": arguments.flame}
    places = [(flag, name, os.path.realpath(name)) for flag, name in named.items() if name]
    for (first, _, a), (second, name, b) in itertools.combinations(places, 2):
        if a == b:
            raise UsageError(f"{second} {name} would replace {first}: expected a file of its own")
    return Wanted(arguments.annotate, arguments.trace, arguments.flame)


def look(asked: Wanted, observed: Observed | None, sources: Mapping[str, bytes] | None = None) -> Annotation | None:
    """Write the files, and return the annotation. `sources`: texts by path, as the compiler knew them.

    Raises UsageError for a function that is not there or did not run, OutputError.
    """
    if observed is None:
        return None
    found = None if asked.annotate is None else annotate.annotate(observed, asked.annotate, sources)
    if asked.trace is not None:
        files.write(asked.trace, trace.as_bytes(observed))
    if asked.flame is not None:
        drawn = asked.flame.lower().endswith(".svg")
        files.write(asked.flame, (flame_picture.picture if drawn else flame.text)(observed).encode())
    return found


def as_json(found: Annotation | None) -> dict[str, Any]:
    """What is added to the profile's object."""
    return {} if found is None else {"annotation": annotate.as_json(found)}


def print_look(found: Annotation | None, console: Console) -> None:
    if found is not None:
        console.print()
        annotate.print_annotation(found, console)
