"""Program + Board -> C -> ELF."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from codegen.build import generate

__all__ = ["generate"]


def __getattr__(name: str) -> Any:
    if name != "generate":
        raise AttributeError(f"module 'codegen' has no attribute '{name}'")
    from codegen.build import generate

    return generate
