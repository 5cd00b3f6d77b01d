"""Values of registers as steps of a program: each is computed from earlier ones, or read where the code begins.

`calculated` gives what an instruction leaves in the register that it writes, of those that form addresses.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import NamedTuple

from capstone import arm

WORD = 0xFFFF_FFFF

# What a step does. With x the value a and y the value b << shift: REGISTER number `constant`; SUM x + y + constant;
# LOAD the value of `nbytes` there; ACCESS what may wait there; the others x op y.
REGISTER, SUM, LOAD, ACCESS, DIFFERENCE, AND, OR, XOR, CLEAR, PRODUCT, RIGHT, RIGHT_SIGNED = range(12)


class Step(NamedTuple):
    """One step; `a` and `b` are numbers of earlier ones, from 1; 0 stands for the value 0."""

    code: int
    a: int = 0
    b: int = 0
    shift: int = 0
    constant: int = 0
    nbytes: int = 0
    signed: int = 0  # of a LOAD
    elements: int = 0  # of an ACCESS
    writes: int = 0  # of an ACCESS
    pc: int = 0  # of an ACCESS: the address of its instruction


Value = int | None  # the number of a step; None: not known
ZERO = 0


class Values:
    """Steps, each once, and what adds to them."""

    def __init__(self) -> None:
        self.steps: list[Step] = []
        self._numbers: dict[Step, int] = {}

    def number(self, step: Step) -> int:
        """The number of a step; a sum that changes nothing is the value itself."""
        if step == Step(SUM, step.a):
            return step.a
        if step not in self._numbers:
            self.steps.append(step)
            self._numbers[step] = len(self.steps)
        return self._numbers[step]

    def sum(self, a: Value, b: Value = ZERO, shift: int = 0, constant: int = 0) -> Step | None:
        """a + (b << shift) + constant; where there is room for it, what `a` sums up is taken in."""
        if a is None or b is None:
            return None
        if not a and not shift:
            a, b = b, ZERO
        inner = self.steps[a - 1] if a else Step(SUM)
        if inner.code == SUM and not (b and inner.b):
            constant += inner.constant
            a, b, shift = inner.a, b or inner.b, shift if b else inner.shift
        return Step(SUM, a, b, shift if b else 0, constant & WORD)

    def constant(self, value: int) -> int:
        return self.number(Step(SUM, constant=value & WORD))

    def known(self, value: Value) -> int | None:
        """The constant that a value is."""
        step = self.steps[value - 1] if value else Step(SUM) if value == ZERO else None
        return step.constant if step and step == Step(SUM, constant=step.constant) else None

    def numbered(self, step: Step | None) -> Value:
        return None if step is None else self.number(step)

    def of_two(self, code: int, x: Value, y: Value, by: int = 0) -> Value:
        """The number of x op (y << by)."""
        return None if x is None or y is None else self.number(Step(code, x, y, by))


Operands = Sequence[Value]  # the target, where it is an operand too, and the others
Rule = Callable[[Values, Operands, int], Value]  # `by`: bits that the last operand is shifted to the left


def _copy(values: Values, given: Operands, by: int) -> Value:
    return given[-1]


def _add(values: Values, given: Operands, by: int) -> Value:
    known = values.known(given[-1])
    return values.numbered(
        values.sum(given[-2], given[-1], by) if known is None else values.sum(given[-2], constant=known << by)
    )


def _subtract(values: Values, given: Operands, by: int) -> Value:
    known = values.known(given[-1])
    if known is None:
        return values.of_two(DIFFERENCE, given[-2], given[-1], by)
    return values.numbered(values.sum(given[-2], constant=-(known << by)))


def _subtract_from(values: Values, given: Operands, by: int) -> Value:
    return None if by else values.of_two(DIFFERENCE, given[-1], given[-2])


def _invert(values: Values, given: Operands, by: int) -> Value:
    return values.of_two(DIFFERENCE, values.constant(-1), given[-1], by)


def _combine(code: int, values: Values, given: Operands, by: int) -> Value:
    return values.of_two(code, given[-2], given[-1], by)


def _mask(mask: int, values: Values, given: Operands, by: int) -> Value:
    return values.of_two(AND, given[-1], values.constant(mask))


def _extend(above: int, values: Values, given: Operands, by: int) -> Value:
    """`above`: bits above the sign."""
    top = values.numbered(values.sum(ZERO, given[-1], above))
    return values.of_two(RIGHT_SIGNED, top, values.constant(above))


def _shift_left(values: Values, given: Operands, by: int) -> Value:
    known = values.known(given[-1])
    return None if known is None or known > 31 else values.numbered(values.sum(ZERO, given[-2], known))


def _shift_right(code: int, values: Values, given: Operands, by: int) -> Value:
    known = values.known(given[-1])
    return None if known is None or known > 31 else values.of_two(code, given[-2], given[-1])


def _set_top(values: Values, given: Operands, by: int) -> Value:
    """MOVT."""
    known, top = values.known(given[0]), values.known(given[-1])
    if known is not None and top is not None:
        return values.constant(known & 0xFFFF | top << 16)
    low = values.of_two(AND, given[0], values.constant(0xFFFF))
    return values.of_two(OR, low, given[-1], 16)


def _field(values: Values, given: Operands, by: int) -> Value:
    """UBFX: of `width` bits from `lowest` on."""
    _, source, lowest, width = given
    mask = values.constant((1 << (values.known(width) or 0)) - 1)
    return values.of_two(AND, values.of_two(RIGHT, source, lowest), mask)


def _multiply_add(values: Values, given: Operands, by: int) -> Value:
    """MLA."""
    return values.numbered(values.sum(values.of_two(PRODUCT, given[1], given[2]), given[3]))


def _multiply_subtract(values: Values, given: Operands, by: int) -> Value:
    """MLS."""
    return values.of_two(DIFFERENCE, given[3], values.of_two(PRODUCT, given[1], given[2]))


RULES: Mapping[str, Rule] = {
    **dict.fromkeys(("mov", "movs"), _copy),  # capstone calls one encoding MOVS
    **dict.fromkeys(("add", "addw"), _add),
    **dict.fromkeys(("sub", "subw"), _subtract),
    "rsb": _subtract_from,
    "mvn": _invert,
    "and": partial(_combine, AND),
    "orr": partial(_combine, OR),
    "eor": partial(_combine, XOR),
    "bic": partial(_combine, CLEAR),
    "mul": partial(_combine, PRODUCT),
    "mla": _multiply_add,
    "mls": _multiply_subtract,
    "uxtb": partial(_mask, 0xFF),
    "uxth": partial(_mask, 0xFFFF),
    "sxtb": partial(_extend, 24),
    "sxth": partial(_extend, 16),
    "lsl": _shift_left,
    "lsr": partial(_shift_right, RIGHT),
    "asr": partial(_shift_right, RIGHT_SIGNED),
    "movt": _set_top,
    "ubfx": _field,
}


def calculated(values: Values, name: str, given: Operands, shift: tuple[int, int]) -> Value:
    """What instruction `name` leaves in the one register that it writes; `shift` as in `Instruction`."""
    how, by = shift
    rule = RULES.get(name)
    if rule is None or len(given) < 2 or how not in (arm.ARM_SFT_INVALID, arm.ARM_SFT_LSL):
        return None
    return rule(values, given, by)
