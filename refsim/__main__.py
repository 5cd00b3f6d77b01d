"""The command `refsim`, also as `python -m refsim`. Holds next to nothing, so that Ctrl-C is ours from the start."""

from __future__ import annotations

import os
import signal
import sys
from types import FrameType

INTERRUPTED = 130
AGAIN_S, SOON_S = 0.4, 0.01
COMPILED = ("_raw_object_cache_notify", "_raw_object_cache_getbuffer")  # called by LLVM; numba needs what they do


def _interrupt(number: int, frame: FrameType | None) -> None:
    """Raise KeyboardInterrupt, and again a little later: raised inside a C library's callback it would be lost."""
    if hasattr(signal, "setitimer"):
        within = _is_within(frame, COMPILED)
        signal.setitimer(signal.ITIMER_REAL, SOON_S if within else AGAIN_S)
        if within:
            return
    raise KeyboardInterrupt


def _is_within(frame: FrameType | None, names: tuple[str, ...]) -> bool:
    while frame is not None and frame.f_code.co_name not in names:
        frame = frame.f_back
    return frame is not None


def _unraisable(lost: sys.UnraisableHookArgs) -> None:
    if not isinstance(lost.exc_value, KeyboardInterrupt):
        sys.__unraisablehook__(lost)


def main() -> int:
    """The exit status."""
    try:
        sys.unraisablehook = _unraisable
        signal.signal(signal.SIGINT, _interrupt)
        if hasattr(signal, "SIGALRM"):
            signal.signal(signal.SIGALRM, _interrupt)
        # The matrices here are small: a second thread costs more than it brings. Results do not depend on it.
        os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
        from refsim import cli

        status = cli.main()
    except KeyboardInterrupt:
        status = INTERRUPTED
    if status == INTERRUPTED:
        # Everything is cleaned up. A plain exit would at times end by a signal instead: Python remembers an
        # interrupt that passed through its own exec() even when it was caught.
        os._exit(INTERRUPTED)
    return status


if __name__ == "__main__":
    sys.exit(main())
