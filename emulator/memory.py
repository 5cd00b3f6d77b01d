"""The memory of a machine: what is mapped into its engine, and the bytes of it on the host."""

from __future__ import annotations

import ctypes
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from unicorn import unicorn_const as uc

from refsim.boards import Region

PAGE = 1024  # Unicorn maps multiples of this
GUARD = 64 * PAGE  # unmapped bytes on both sides of what lies in a hole

Bytes = NDArray[np.uint8]


class Memory:
    """The mapped regions of one engine."""

    regions: tuple[Region, ...] = ()  # by address

    def __init__(self, engine: Any) -> None:
        self._engine = engine
        self._host: dict[Region, Bytes] = {}

    def map(self, region: Region, *, runs: bool = False) -> Bytes:
        """Add zeroed memory, in which code `runs` or not, and return its bytes.

        Raises ValueError when it overlaps what is mapped.
        """
        for other in self.regions:
            if region.base < other.end and other.base < region.end:
                raise ValueError(f"region '{region.name}' overlaps '{other.name}'")
        if region.base % PAGE or region.size % PAGE:
            raise ValueError(f"region '{region.name}' is not a multiple of {PAGE} bytes")
        host = np.zeros(region.size, np.uint8)
        rights = uc.UC_PROT_READ | (uc.UC_PROT_WRITE if region.writable else 0) | (uc.UC_PROT_EXEC if runs else 0)
        self._engine.mem_map_ptr(region.base, region.size, rights, ctypes.c_void_p(host.ctypes.data))
        self._host[region] = host
        self.regions = tuple(sorted((*self.regions, region), key=lambda r: r.base))
        return host

    def hole(self, region: Region) -> Region:
        """`region`, moved down until unmapped memory lies on both sides."""
        while near := [r for r in self.regions if region.base - GUARD < r.end and r.base < region.end + GUARD]:
            region = replace(region, base=min(r.base for r in near) - GUARD - region.size)
        return region

    def holding(self, address: int, size: int) -> Region | None:
        """The region that holds all these bytes."""
        return next((r for r in self.regions if r.base <= address and address + size <= r.end), None)

    def host(self, region: Region) -> Bytes:
        """The bytes of a mapped region, not a copy."""
        return self._host[region]

    def part(self, address: int, size: int) -> Bytes:
        """Some bytes of a mapped region, not a copy."""
        region = self.holding(address, size)
        assert region is not None
        return self._host[region][address - region.base :][:size]
