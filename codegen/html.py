"""A report as one HTML page that needs nothing else: no script, no font, no picture from outside.

Every text is escaped by the template; only pictures go in as they are, and `refsim.memsim.svg` escapes those.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files

from refsim import __version__
from refsim.printable import printable

LONGEST = 400  # characters of a name or sentence


@dataclass(frozen=True, slots=True)
class Fact:
    """A line of the summary; `good` is None where nothing is judged."""

    label: str
    text: str
    good: bool | None = None


@dataclass(frozen=True, slots=True)
class Cell:
    """`bar` is a share of the longest bar of its column; `strong` marks the largest."""

    text: str
    bar: float | None = None
    good: bool | None = None
    strong: bool = False


@dataclass(frozen=True, slots=True)
class Table:
    """`columns` are headings, with "#" in front where numbers stand to the right; `note` is said below.

    A `folded` table shows its rows when its title is clicked.
    """

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    note: str = ""
    folded: bool = False


@dataclass(frozen=True, slots=True)
class Figure:
    """Pictures that belong together, beside each other where there is room."""

    title: str
    pictures: tuple[str, ...]  # SVG documents
    note: str = ""


@dataclass(frozen=True, slots=True)
class Page:
    """A report from top to bottom; `holds` colours the headline."""

    title: str
    subtitle: str
    headline: str
    holds: bool | None
    facts: tuple[Fact, ...]
    shortfall: tuple[str, ...]
    sections: tuple[Figure | Table, ...]


def html(page: Page) -> bytes:
    """The page as a file."""
    from jinja2 import Environment, StrictUndefined
    from markupsafe import Markup

    text = (files("codegen") / "templates" / "report.html.j2").read_text("utf-8")
    environment = Environment(undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, autoescape=True)
    environment.filters["clean"] = lambda words: printable(str(words), LONGEST)
    environment.filters["picture"] = Markup
    environment.tests["figure"] = lambda section: isinstance(section, Figure)
    return environment.from_string(text).render(page=page, version=__version__).encode()


def bars(values: Sequence[int | None], texts: Sequence[str] | None = None) -> list[Cell]:
    """A column of numbers with bars, the largest marked; None is empty."""
    most = max((value or 0 for value in values), default=0)
    shown = texts or [f"{value:,}" if value else "" for value in values]
    return [
        Cell(text, value / most if value and most else None, strong=bool(most) and value == most)
        for value, text in zip(values, shown, strict=True)
    ]
