from __future__ import annotations

from refsim.memsim.runtimes.tinyengine_first_fit import Rectangle, first_fit

TWINS = [Rectangle(0, 0, 2, 80), Rectangle(1, 0, 2, 100)]


def test_equal_lifetimes_share_an_address_as_upstream_does() -> None:
    """facts/memory.md: 'ran it: peak 100 instead of 180'."""
    assert first_fit(TWINS) == (0, 0)


def test_repaired_they_do_not() -> None:
    assert first_fit(TWINS, as_written=False) == (100, 0)


def test_a_rectangle_that_shrank_leaves_three_quarters_to_later_ones() -> None:
    shrinking = Rectangle(0, 0, 6, 400, shrinks=2)
    assert first_fit([shrinking, Rectangle(1, 2, 4, 50)]) == (0, 400)
    assert first_fit([shrinking, Rectangle(1, 3, 4, 50)]) == (0, 100)


def test_of_equals_the_first_is_placed_first() -> None:
    assert first_fit([Rectangle(0, 0, 2, 8), Rectangle(1, 1, 3, 8)]) == (0, 8)
