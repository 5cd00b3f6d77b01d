"""What this machine has for refsim: compilers, the emulator, the oracles, and the object cache."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from codegen import cache, toolchain

PACKAGES = ("numpy", "numba", "unicorn", "capstone", "pyelftools", "rich", "tflite-micro", "ai-edge-litert")


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def diagnose() -> dict[str, Any]:
    """Everything, as `doctor --json` prints it; `usable` when code can be compiled."""
    found = {name: find() for name, find in toolchain.FINDERS.items()}
    files, nbytes = cache.size()
    return {
        "usable": any(found.values()),
        "toolchains": [
            {
                "name": name,
                "version": tool.version if tool else None,
                "command": " ".join(tool.compiler) if tool else None,
                "remedy": None if tool else toolchain.REMEDY,
            }
            for name, tool in found.items()
        ],
        "packages": {"python": platform.python_version(), **{name: _version(name) for name in PACKAGES}},
        "cache": {"folder": str(cache.folder()), "files": files, "bytes": nbytes},
    }
