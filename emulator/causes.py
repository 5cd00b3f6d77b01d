"""What cycles are spent on, in plain words: one table for every report."""

from __future__ import annotations

from collections.abc import Mapping

WORDS: Mapping[str, str] = {
    "issue": "instructions, one cycle each",
    "load_store": "loads and stores",
    "branch": "taken branches",
    "hazard": "waits for a register",
    "pairing": "nothing to pair with",
    "fetch": "late instruction words",
    "divide": "division",
    "float": "floating point",
    "mispredict": "mispredicted branches",
    "flash_fetch": "flash instruction fetches",
    "flash_read": "flash data reads",
    "instruction_cache": "instruction cache misses",
    "data_cache": "data cache misses",
    "bus": "switches of the bus",
}
WORK = "issue"  # the one that is no stall
BAR = 20


def words(cause: str) -> str:
    """A cause for people."""
    return WORDS.get(cause, cause.replace("_", " "))


def told(by_cause: Mapping[str, int]) -> list[str]:
    """Where cycles went at a glance, most first: a line with share, bar, cycles and words for each cause."""
    total = sum(by_cause.values())
    found = []
    for cause, cycles in sorted(by_cause.items(), key=lambda item: -item[1]):
        share = cycles / total if total else 0.0
        found.append(f"{share:5.1%} {'█' * round(BAR * share):<{BAR}} {cycles:>14,}  {words(cause)}")
    return found
