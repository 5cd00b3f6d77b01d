"""Model files -> Graph."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from refsim.errors import ModelError, UnsupportedError

if TYPE_CHECKING:
    from refsim.graph import Graph

MOST_BYTES = 2**31  # of a file; a flatbuffer's offsets reach no further


def load(path: str | Path) -> Graph:
    """The network in a model file, chosen by its identifier, then by its suffix.

    Raises ModelError when the file is missing or damaged, UnsupportedError when refsim cannot compute what it asks for.
    """
    from refsim.importers.tflite import IDENTIFIER, read_tflite

    path = Path(path)
    data = _contents(path)
    if path.suffix.lower() == ".onnx" and data[4:8] != IDENTIFIER:
        raise UnsupportedError(f"'{path}' is an ONNX model, which refsim does not read; convert it to .tflite")
    return read_tflite(data, path.stem)


def _contents(path: Path) -> bytes:
    """The bytes of a regular file of reasonable size: a device or a pipe might never end."""
    expected = "expected the path of a .tflite file"
    try:
        if path.is_dir():
            raise ModelError(f"'{path}' is a folder; {expected}")
        if not path.exists():
            raise ModelError(f"there is no model file '{path}'; {expected}")
        if not path.is_file():
            raise ModelError(f"'{path}' is not a regular file; {expected}")
        if (size := path.stat().st_size) > MOST_BYTES:
            raise ModelError(f"'{path}' has {size} bytes; expected a .tflite file of at most {MOST_BYTES}")
        return path.read_bytes()
    except (OSError, ValueError) as error:  # ValueError: a name that no file system takes
        reason = getattr(error, "strerror", None) or error
        raise ModelError(f"model file {str(path)!r} cannot be read: {reason}; {expected}") from error
