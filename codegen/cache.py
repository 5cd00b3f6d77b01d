"""Compiled objects, kept by the content that they were made from."""

from __future__ import annotations

import atexit
import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path

from refsim.errors import OutputError, ToolchainError


@cache
def folder() -> Path:
    """Where objects are kept: $REFSIM_CACHE, else the user's cache folder, else a temporary one."""
    home = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    wanted = Path(os.environ.get("REFSIM_CACHE") or Path(home) / "refsim").absolute()  # compilers run elsewhere
    try:
        wanted.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=wanted):
            return wanted
    except OSError:
        scratch = tempfile.mkdtemp(prefix="refsim-")
        atexit.register(shutil.rmtree, scratch, ignore_errors=True)
        return Path(scratch)


def digest(*parts: bytes | str) -> str:
    """One name for all parts; their lengths count, so that parts cannot run into each other."""
    state = hashlib.sha256()
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        state.update(len(data).to_bytes(8, "little"))
        state.update(data)
    return state.hexdigest()


def kept(key: str, suffix: str, make: Callable[[Path], None]) -> Path:
    """The file of that key; when it is not there, `make` writes it under a temporary name, then it is renamed.

    Raises OutputError when the folder cannot be written.
    """
    path = folder() / "objects" / key[:2] / (key + suffix)
    if path.exists():
        return path
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=path.parent) as scratch:
            fresh = Path(scratch) / path.name
            make(fresh)
            if not fresh.exists():
                raise ToolchainError(
                    f"the compiler ended well and wrote nothing: expected {path.suffix[1:]} code of it"
                )
            os.replace(fresh, path)
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise OutputError(
            f"compiled code cannot be kept in '{folder()}' ({reason}): set REFSIM_CACHE to another folder"
        ) from error
    return path


def size() -> tuple[int, int]:
    """(files, bytes) in the cache."""
    sizes = [p.stat().st_size for p in (folder() / "objects").glob("*/*") if p.is_file()]
    return len(sizes), sum(sizes)
