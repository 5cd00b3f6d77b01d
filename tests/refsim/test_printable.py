from __future__ import annotations

import pytest

from refsim.printable import printable, size

HOSTILE = ("a\nb", "\x1b[31mred\x1b[0m", "\x00", "\ud800", "\u202egnp.exe", "tab\tbell\a", "\u2028", "\ue000")


@pytest.mark.parametrize("name", HOSTILE)
def test_what_a_terminal_would_obey_becomes_an_escape(name: str) -> None:
    shown = printable(name)
    assert shown.isprintable()
    shown.encode()
    assert shown.encode("ascii").decode("unicode_escape") == name  # nothing is lost


def test_ordinary_names_stay_as_they_are() -> None:
    assert printable("block_1/conv2d [bold]<b>") == "block_1/conv2d [bold]<b>"
    assert printable("Größe 模型") == "Größe 模型"


@pytest.mark.parametrize("length", [79, 80, 81, 1_000_000])
def test_long_names_keep_both_ends_of_what_was_looked_at(length: int) -> None:
    shown = printable("a" * (length - 1) + "z")
    assert len(shown) == min(length, 80)
    assert ("…" in shown) == (length > 80)
    assert shown.startswith("aaa")


def test_sizes_change_unit_where_people_expect_it() -> None:
    assert [size(n) for n in (0, 1023, 1024, 1536, 1_024_000)] == ["0 B", "1,023 B", "1.0 KiB", "1.5 KiB", "0.98 MiB"]
