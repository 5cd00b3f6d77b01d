"""What firmware prints, from whichever device, in the order in which it was printed."""

from __future__ import annotations

LONGEST = 1 << 20  # bytes that are kept


class Console:
    """Bytes so far; after LONGEST the rest is counted only."""

    def __init__(self) -> None:
        self._bytes = bytearray()
        self.total = 0

    def write(self, data: bytes) -> None:
        self.total += len(data)
        self._bytes += data[: max(LONGEST - len(self._bytes), 0)]

    @property
    def text(self) -> str:
        """As UTF-8; line ends as newlines, other control characters as escapes, so that terminals stay unharmed."""
        told = bytes(self._bytes).decode("utf-8", "replace").replace("\r\n", "\n").replace("\n\r", "\n")
        return "".join(c if c.isprintable() or c in "\n\t" else c.encode("unicode_escape").decode() for c in told)
