"""Program + Board -> C -> ELF."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from codegen.analysis import analyze
    from codegen.build import generate

__all__ = ["analyze", "generate"]

_HOME = {"analyze": "codegen.analysis", "generate": "codegen.build"}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'codegen' has no attribute '{name}'")
    from importlib import import_module

    return getattr(import_module(_HOME[name]), name)
