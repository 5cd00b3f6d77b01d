"""Names from models, which nobody has checked, as text that is harmless in terminals, SVG and HTML."""

from __future__ import annotations

LONGEST = 80  # characters
KIB = 1024


def printable(name: str, longest: int = LONGEST) -> str:
    """The name on one line: control, format and private characters as escapes; the middle cut where it is too long.

    Markup is left as it is: who prints into HTML or Rich escapes it there.
    """
    shown = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in name[: 4 * LONGEST])
    if len(name) <= 4 * LONGEST and len(shown) <= longest:
        return shown
    tail = longest // 3
    return f"{shown[: longest - tail - 1]}…{shown[-tail:] if tail else ''}"


def size(nbytes: float) -> str:
    """Bytes for people: plain below a KiB, then KiB, from 1000 of them on MiB."""
    if abs(nbytes) < KIB:
        return f"{nbytes:,.0f} B"
    kib = nbytes / KIB
    return f"{kib:,.1f} KiB" if abs(kib) < 1000 else f"{kib / KIB:,.2f} MiB"
