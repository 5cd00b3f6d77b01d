"""Which core an ELF file was built for, and whether a board has it: Arm's build attributes (ABI addenda32, 3)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from refsim.board import Core

# Tag_CPU_arch -> (what it is called, the architectures of cores that run it)
_BASE = frozenset(("armv6-m", "armv7-m", "armv7e-m", "armv8-m.main"))
_MAIN = frozenset(("armv7-m", "armv7e-m", "armv8-m.main"))
ARCHITECTURES: Mapping[int, tuple[str, frozenset[str]]] = {
    10: ("ARMv7", _MAIN),
    11: ("ARMv6-M", _BASE),
    12: ("ARMv6S-M", _BASE),
    13: ("ARMv7E-M", frozenset(("armv7e-m", "armv8-m.main"))),
    16: ("ARMv8-M Baseline", frozenset(("armv8-m.main",))),
    17: ("ARMv8-M Mainline", frozenset(("armv8-m.main",))),
    21: ("ARMv8.1-M Mainline", frozenset()),
}
OTHER_PROFILES: Mapping[int, str] = {ord("A"): "application", ord("R"): "real-time"}
HARD_FLOAT = 0x400  # EF_ARM_ABI_FLOAT_HARD of e_flags


@dataclass(frozen=True, slots=True)
class Target:
    """What an image was built for; None where the file does not say."""

    architecture: int | None = None
    profile: int | None = None
    hard_float: bool = False

    def why_not(self, core: Core) -> str:
        """Why code for this target cannot run on a core; empty where it can."""
        if self.profile is not None and self.profile in OTHER_PROFILES:
            return f"is for an Arm core of the {OTHER_PROFILES[self.profile]} profile"
        if self.architecture is not None:
            called, runs_on = ARCHITECTURES.get(
                self.architecture, (f"Arm architecture {self.architecture}", frozenset())
            )
            if core.architecture not in runs_on:
                return f"is for {called}"
        if self.hard_float and core.fpu == "none":
            return "passes arguments in floating-point registers"
        return ""


UNKNOWN = Target()


def target_of(elf: Any) -> Target:
    """The target of an ELF file, by its build attributes and flags."""
    found = dict(_attributes(elf.get_section_by_name(".ARM.attributes")))
    return Target(
        found.get("TAG_CPU_ARCH"), found.get("TAG_CPU_ARCH_PROFILE"), bool(elf.header["e_flags"] & HARD_FLOAT)
    )


def _attributes(section: Any) -> Iterator[tuple[str, Any]]:
    if section is None or not hasattr(section, "iter_subsections"):
        return
    for vendor in section.iter_subsections():
        for scope in vendor.iter_subsubsections():
            for attribute in scope.iter_attributes():
                yield attribute.tag, attribute.value
