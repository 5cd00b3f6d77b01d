"""Reading a flatbuffer that nobody vouches for: every offset and length is checked before it is followed.

Layout (https://flatbuffers.dev/internals): the file begins with the offset of its root table and a four-byte
identifier; a table begins with the signed distance back to its vtable, which holds, per slot, where in the table
the field lies (0: absent). Strings, vectors and sub-tables are reached through an unsigned offset from the place
where that offset stands; strings and vectors begin with their length. All numbers are little-endian.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from typing import Any

from refsim.errors import ModelError
from refsim.graph import Slot

FORMATS: Mapping[str, str] = {
    "bool": "?",
    "int8": "b",
    "uint8": "B",
    "int16": "h",
    "uint16": "H",
    "int32": "i",
    "uint32": "I",
    "int64": "q",
    "uint64": "Q",
    "float32": "f",
}
MOST_TABLES = 65_536  # in one vector; published networks for microcontrollers stay below 1,000
OVERLAP = 2  # decoded bytes may be this many times the file's, since writers may share a vector between tables


class Flatbuffer:
    """The bytes of one file and how many of them were decoded so far, which bounds the memory they can claim."""

    def __init__(self, data: bytes, name: str) -> None:
        self.data = data
        self.name = name
        self._decoded = 0

    def damaged(self, what: str) -> ModelError:
        return ModelError(f"model '{self.name}' is damaged or cut short: {what}; convert or copy it again")

    def require(self, start: int, size: int) -> None:
        """Raise ModelError unless `size` bytes lie at `start`."""
        if start < 0 or size < 0 or start + size > len(self.data):
            raise self.damaged(f"it refers to {size} bytes at offset {start}, and has {len(self.data)} in all")

    def spend(self, size: int) -> None:
        """Count bytes that are about to be copied; raise ModelError when parts of the file overlap too often."""
        self._decoded += size
        if self._decoded > OVERLAP * len(self.data):
            raise self.damaged("its vectors overlap each other")

    def number(self, kind: str, position: int) -> Any:
        form = "<" + FORMATS[kind]
        self.require(position, struct.calcsize(form))
        return struct.unpack_from(form, self.data, position)[0]

    def follow(self, position: int) -> int:
        """Where the unsigned offset at `position` leads."""
        return position + int(self.number("uint32", position))

    def vector(self, position: int, size: int) -> tuple[int, int]:
        """First byte and element count of the vector that `position` refers to; elements take `size` bytes."""
        start = self.follow(position)
        count = int(self.number("uint32", start))
        self.require(start + 4, count * size)
        return start + 4, count

    def root(self, identifier: bytes) -> Table:
        """The root table; raises ModelError unless the file carries `identifier`."""
        if self.data[4:8] != identifier:
            raise ModelError(
                f"model '{self.name}' is not a TensorFlow Lite model: its bytes 4 to 7 are {self.data[4:8]!r},"
                f" expected {identifier!r}; pass a .tflite file written by tf.lite.TFLiteConverter"
            )
        return Table(self, self.follow(0))


class Table:
    """A table of the file, its fields read by slot."""

    __slots__ = ("_file", "_position", "_vtable", "_vtable_size")

    def __init__(self, file: Flatbuffer, position: int) -> None:
        self._file = file
        self._position = position
        self._vtable = position - int(file.number("int32", position))
        self._vtable_size = int(file.number("uint16", self._vtable))
        file.require(self._vtable, self._vtable_size)

    def has(self, slot: Slot) -> bool:
        return self._where(slot.index) is not None

    def read(self, slot: Slot) -> Any:
        """The field as a number, str, memoryview (`bytes`), Table, or tuple of numbers or Tables.

        The slot's default when absent; an absent vector is empty. Raises ModelError for what leaves the file.
        """
        position = self._where(slot.index)
        if position is None:
            return slot.default or () if slot.type.endswith("[]") else slot.default
        if slot.type in FORMATS:
            return self._file.number(slot.type, position)
        if slot.type in READERS:
            return READERS[slot.type](self._file, position)
        return _numbers(self._file, position, slot.type.removesuffix("[]"))

    def _where(self, index: int) -> int | None:
        entry = 4 + 2 * index
        if entry + 2 > self._vtable_size:
            return None
        offset = int(self._file.number("uint16", self._vtable + entry))
        return self._position + offset if offset else None


def _numbers(file: Flatbuffer, position: int, kind: str) -> tuple[Any, ...]:
    size = struct.calcsize("<" + FORMATS[kind])
    start, count = file.vector(position, size)
    file.spend(count * size)
    return struct.unpack_from(f"<{count}{FORMATS[kind]}", file.data, start)


def _bytes(file: Flatbuffer, position: int) -> memoryview:
    start, count = file.vector(position, 1)
    return memoryview(file.data)[start : start + count]


def _string(file: Flatbuffer, position: int) -> str:
    """The text; what a terminal or a C file would not print becomes U+FFFD."""
    raw = _bytes(file, position)
    file.spend(len(raw))
    text = bytes(raw).decode("utf-8", "replace")
    return text if text.isprintable() else "".join(c if c.isprintable() else "\ufffd" for c in text)


def _table(file: Flatbuffer, position: int) -> Table:
    return Table(file, file.follow(position))


def _tables(file: Flatbuffer, position: int) -> tuple[Table, ...]:
    start, count = file.vector(position, 4)
    if count > MOST_TABLES:
        raise file.damaged(f"a vector lists {count} tables, expected at most {MOST_TABLES}")
    return tuple(_table(file, start + 4 * k) for k in range(count))


READERS: Mapping[str, Callable[[Flatbuffer, int], Any]] = {
    "bytes": _bytes,
    "string": _string,
    "table": _table,
    "table[]": _tables,
}
