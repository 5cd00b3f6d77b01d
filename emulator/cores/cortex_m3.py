"""Cortex-M3: the Cortex-M4's pipeline with slower multiplications and less chaining. Costs at zero wait states.

Sources: [T] Arm Cortex-M3 technical reference manual, instruction set summary. [J] jnk0le/random, "pipeline cycle
test", cortex_m3m4.md, measured on STM32F103. [P] pqm3's benchmarks, measured on an STM32F207 at zero wait states
(golden/measured/pqm.csv).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from emulator.cores import cortex_m4
from emulator.placed import Placed
from emulator.timing import Charge

MULTIPLY: Mapping[str, int] = {  # cycles beyond the first; ranges by operand size: the middle
    "mla": 1, "mls": 1,  # 2 [T]
    "smull": 3, "umull": 3,  # 3 to 5 [T]
    "smlal": 4, "umlal": 4,  # 4 to 7 [T]
}  # fmt: skip

# Pre- and post-indexed loads follow no load without a gap, and such stores take 1 only when not after a load [J].
VARIANT = cortex_m4.Variant(MULTIPLY, chains_indexed=False)


def block(code: Sequence[Placed], before: Sequence[Placed], jumped: bool) -> list[Charge]:
    """Charges by `emulator.timing.Model`."""
    return cortex_m4.block(code, before, jumped, VARIANT)
