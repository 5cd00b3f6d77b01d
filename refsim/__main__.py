"""The command `refsim`, also as `python -m refsim`. Holds next to nothing, so that Ctrl-C is ours from the start."""

from __future__ import annotations

import sys


def main() -> int:
    """The exit status."""
    try:
        from refsim import cli

        return cli.main()
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
