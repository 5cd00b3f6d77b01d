"""Every exception of the project, as one tree.

RefsimError
├── InputError            what the user gave cannot be used: one sentence, exit status 2
│   ├── UsageError        a flag or its value
│   ├── ModelError        a model file that is damaged or not a model
│   ├── UnsupportedError  a valid model that asks for what refsim does not have
│   ├── BoardError        an unknown or unusable board
│   ├── ImageError        a firmware image that cannot be run
│   ├── ToolchainError    no compiler, or one that failed
│   └── OutputError       a result that cannot be written
├── Fault                 emulated code did what the hardware would not allow: exit status 1
└── VerificationError     a Graph, Plan or Program breaks its own rules: a bug, exit status 3
    ├── GraphError
    └── PlanError
"""

from __future__ import annotations


class RefsimError(Exception):
    """Root of the tree; its text is one whole sentence."""


class InputError(RefsimError):
    """What the user gave cannot be used. Text: what, which, expected, remedy."""


class UsageError(InputError):
    """A flag, or the value of one, that makes no sense."""


class ModelError(InputError):
    """A model file that is missing, damaged or of another format."""


class UnsupportedError(InputError):
    """A valid model that asks for an operator, type or shape that refsim does not have."""


class BoardError(InputError):
    """An unknown board, or a board file that does not define one."""


class ImageError(InputError):
    """A firmware image that cannot be loaded or does not fit its board."""


class ToolchainError(InputError):
    """No usable C compiler, or a compiler that refused our code."""


class OutputError(InputError):
    """A file or folder that cannot be written."""


class Fault(RefsimError):
    """Emulated code made an access or executed an instruction that the board does not allow."""


class VerificationError(RefsimError):
    """One of our own data structures breaks its invariants."""


class GraphError(VerificationError):
    """A Graph that is not well formed."""


class PlanError(VerificationError):
    """A memory plan or Program in which live data would be overwritten."""
