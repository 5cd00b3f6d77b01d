"""Random live ranges with slack, for the tests of planners."""

from __future__ import annotations

from hypothesis import strategies as st

from refsim.memsim.plan import LiveRange, Slack


@st.composite
def problems(draw: st.DrawFn, most: int = 14, largest: int = 300) -> tuple[tuple[LiveRange, ...], Slack]:
    """Live ranges, and slack for some of the pairs that meet: any distance below the size of the lower one."""
    firsts = draw(st.lists(st.integers(0, 8), max_size=most))
    live = tuple(
        LiveRange(f"t{n}", draw(st.integers(1, largest)), first, first + draw(st.integers(0, 5)))
        for n, first in enumerate(firsts)
    )
    pairs = [(i, j) for i, a in enumerate(live) for j, b in enumerate(live) if i != j and a.meets(b)]
    chosen = draw(st.lists(st.sampled_from(pairs), unique=True)) if pairs else []
    return live, {(i, j): draw(st.integers(-20, live[j].nbytes - 1)) for i, j in chosen}
