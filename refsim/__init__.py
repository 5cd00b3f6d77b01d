"""refsim: the right answer, the memory and the cycles of int8 networks on Cortex-M, without hardware."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from refsim.importers import load
    from refsim.interpreter import run

__all__ = ["__version__", "load", "run"]
__version__ = "0.1.0"

_LAZY = {"load": "refsim.importers", "run": "refsim.interpreter"}


def __getattr__(name: str) -> Any:
    """Import numpy and the rest only when somebody asks for them: `refsim --help` does not."""
    if name not in _LAZY:
        raise AttributeError(f"module 'refsim' has no attribute '{name}'")
    from importlib import import_module

    return getattr(import_module(_LAZY[name]), name)
