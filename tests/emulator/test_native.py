"""Compiled callbacks are kept by the text of every file that they were compiled from."""

from __future__ import annotations

import ast
import importlib
from pathlib import Path

import pytest

from emulator import native

FOLDER = Path(native.__file__).parent


def reads_native(path: Path) -> bool:
    """Whether a file imports the decorators."""
    tree = ast.parse(path.read_text())
    found = (a for n in ast.walk(tree) if isinstance(n, ast.ImportFrom) and n.module == "emulator" for a in n.names)
    return any(alias.name == "native" for alias in found)


@pytest.mark.parametrize("path", sorted(filter(reads_native, FOLDER.rglob("*.py"))), ids=lambda p: p.stem)
def test_whatever_a_compiled_function_refers_to_is_in_the_digest(path: Path) -> None:
    """Its own file, and the homes of the compiled functions that it calls."""
    sources = native.sources()
    module = importlib.import_module(".".join(("emulator", *path.relative_to(FOLDER).with_suffix("").parts)))
    compiled = [f for f in vars(module).values() if hasattr(f, "py_func")]
    homes = {Path(f.py_func.__code__.co_filename) for f in compiled}
    assert homes <= sources.keys()
    assert not compiled or path in sources
    assert FOLDER / "native.py" in sources


def test_the_digest_hangs_on_the_observers_of_memory_and_blocks() -> None:
    names = {path.stem for path in native.sources()}
    assert {"native", "hooks", "memory_timing", "accesses", "loads_and_stores", "registers"} <= names
    assert {"cache_lines", "block_accesses"} <= names


def test_the_digest_hangs_on_what_native_code_takes_constants_from() -> None:
    """Codes of steps from `address_values`; causes, which say how long a record is, from `refsim.board`."""
    names = {path.stem for path in native.sources()}
    assert {"address_values", "address_slices", "board"} <= names
