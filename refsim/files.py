"""Results are written under a temporary name and renamed, so that an interruption leaves nothing half-written."""

from __future__ import annotations

import errno
import os
import shutil
import stat
import tempfile
from collections.abc import Mapping
from pathlib import Path

from refsim.errors import OutputError


def _refused(path: str | Path, error: OSError) -> OutputError:
    reason = error.strerror or type(error).__name__
    return OutputError(f"'{path}' cannot be written ({reason}): expected a place that you may write to; give another")


def _replace(target: Path, data: bytes) -> None:
    target = Path(os.path.realpath(target))  # a link stays a link
    if target.is_symlink():  # what is left of links in a circle
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
    scratch = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        scratch.write_bytes(data)
        if target.exists():
            scratch.chmod(stat.S_IMODE(target.stat().st_mode))
        os.replace(scratch, target)
    finally:
        scratch.unlink(missing_ok=True)


def write(path: str | Path, data: bytes) -> None:
    """Write or replace a file. Devices and pipes are not replaced. Raises OutputError."""
    target = Path(path)
    try:
        if not str(path) or (target.exists() and not target.is_file()):
            raise OutputError(f"'{path}' is not a regular file: expected the name of a file to write; give another")
        _replace(target, data)
    except OSError as error:
        raise _refused(path, error) from None


def write_folder(path: str | Path, files: Mapping[str, bytes], mark: str) -> None:
    """Write files (relative path -> content) as a folder, which appears whole.

    A folder that is there already must be empty or hold `mark`, one of our files; other files in it stay.
    Raises OutputError.
    """
    target = Path(path)
    try:
        if target.exists():
            _refill(target, files, mark)
        else:
            _create(target, files)
    except OSError as error:
        raise _refused(path, error) from None


def _create(target: Path, files: Mapping[str, bytes]) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    try:
        for name, data in files.items():
            (scratch / name).parent.mkdir(parents=True, exist_ok=True)
            (scratch / name).write_bytes(data)
        scratch.chmod(0o777 & ~_umask())
        os.rename(scratch, target)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _umask() -> int:
    mask = os.umask(0o022)
    os.umask(mask)
    return mask


def _refill(target: Path, files: Mapping[str, bytes], mark: str) -> None:
    if not target.is_dir():
        raise OutputError(f"'{target}' is a file: expected a folder; give another name")
    if any(target.iterdir()) and not (target / mark).is_file():
        raise OutputError(f"'{target}' holds other files and no {mark}: expected an empty or new folder; give another")
    for name, data in files.items():
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        _replace(target / name, data)
