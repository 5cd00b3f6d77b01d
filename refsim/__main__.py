"""The command `refsim`, also as `python -m refsim`. Holds next to nothing, so that Ctrl-C is ours from the start."""

from __future__ import annotations

import os
import sys

INTERRUPTED = 130


def main() -> int:
    """The exit status."""
    try:
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
