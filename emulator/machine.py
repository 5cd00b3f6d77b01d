"""A board's processor and memory over Unicorn: it runs code and names faults. Functional only; timing observes it.

    machine = Machine(boards.find("nucleo-l4r5zi"), image.load("model.elf"))
    machine.write(address, data)
    result = machine.call(machine.image.address("model_run"), (arena,), stops={0x0800_1234}, on_stop=compare)
    machine.read(address, 16), machine.stack_used, machine.instructions
    before = machine.counts(); ...; machine.counts() - before  # what ran; emulator.timing says how long it took
    machine.check_instructions()  # a Fault when an executed instruction is not in the board's core

Flash and SRAM of the board are mapped, nothing else: an access elsewhere is a Fault, one sentence long. What a chip has
besides (timers, exceptions, a debugger's console) is a `Supervisor`: see `emulator.devices`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any

import numpy as np
from unicorn import arm_const as arm, unicorn_const as uc
from unicorn.unicorn_py3.unicorn import Uc, UcError

from emulator import faults, hooks, instructions
from emulator.counts import Counts
from emulator.image import Image
from emulator.memory import PAGE, Memory
from emulator.observers import Observers
from emulator.supervisor import Supervisor
from refsim.boards import Board, Region
from refsim.errors import Fault, ImageError

SLICE = 1 << 18  # blocks between two returns to Python, where a pending Ctrl-C is raised: about 10 ms
NEVER = 0xFFFF_FFFE  # an `until` that no code reaches
PAINT = 0xA5
DEFAULT_STACK = 64 * PAGE
DEFAULT_LIMIT = 20_000_000_000

MODELS = {
    "cortex-m0plus": arm.UC_CPU_ARM_CORTEX_M0,
    "cortex-m3": arm.UC_CPU_ARM_CORTEX_M3,
    "cortex-m4": arm.UC_CPU_ARM_CORTEX_M4,
    "cortex-m7": arm.UC_CPU_ARM_CORTEX_M7,
    "cortex-m33": arm.UC_CPU_ARM_CORTEX_M33,
}

ERASED = 0xFF  # a byte of flash that nothing was written to
YIELD, WFE, WFI = b"\x10\xbf", b"\x20\xbf", b"\x30\xbf"
HINTS = (YIELD, WFE, WFI)  # Unicorn refuses or stops at them, the core goes on
RETURNS = 0xFFFF_FF00  # a branch to here or above ends an exception [ARMv7-M ARM, B1.5.8]
ARGUMENTS = (arm.UC_ARM_REG_R0, arm.UC_ARM_REG_R1, arm.UC_ARM_REG_R2, arm.UC_ARM_REG_R3)
PRESERVED = {  # what a function gives back as it was [AAPCS32, 6.1.1]
    **{f"r{n}": getattr(arm, f"UC_ARM_REG_R{n}") for n in range(4, 12)},
    "sp": arm.UC_ARM_REG_SP,
}
THUMB_BIT = 1 << 5  # of the CPSR
EXCEPTION_RETURN = 8  # QEMU's EXCP_EXCEPTION_EXIT
PROCESS_STACK = 2  # of CONTROL


class Machine:
    """One processor with its memory. Not to be shared between threads.

    `memory` replaces the mapped regions (default: the board's flash and SRAM).
    """

    spoiled: tuple[str, ...] = ()  # registers that the last call should have preserved, and did not
    supervisor: Supervisor | None = None
    stack_limit = 0  # below it a firmware's stack may not go; 0 where that is not known

    def __init__(self, board: Board, image: Image | None = None, *, memory: Sequence[Region] | None = None) -> None:
        self.board = board
        self.image = image or Image("nothing", ())
        self._engine: Any = Uc(uc.UC_ARCH_ARM, uc.UC_MODE_THUMB)
        self._engine.ctl_set_cpu_model(MODELS[board.core.name])
        self._memory = Memory(self._engine)
        self._stack: Region | None = None
        self._refused: faults.Access | None = None
        self._interrupt: int | None = None
        for region in (board.flash, board.sram) if memory is None else memory:
            host = self._memory.map(region, runs=True)
            if not region.writable:
                host[:] = ERASED
        landing = self._memory.hole(Region("landing", 0x1F80_0000, PAGE, False, ""))
        self._memory.map(landing, runs=True)
        self._landing = landing.base  # where calls return to
        self._counter = hooks.Counter(self._engine, [(r.base, self._memory.host(r)) for r in self.regions])
        self.observers = Observers(self._engine, self._counter)
        self._engine.hook_add(uc.UC_HOOK_MEM_INVALID, self._on_refused)
        self._engine.hook_add(uc.UC_HOOK_INTR, self._on_interrupt)
        if image is not None:
            self.load(image)

    @property
    def regions(self) -> tuple[Region, ...]:
        """What is mapped, by address."""
        return self._memory.regions

    def map(self, region: Region) -> None:
        """Add zeroed memory for data; code cannot run there. Raises ValueError when it overlaps what is mapped."""
        self._memory.map(region)
        self._counter.show_again()

    def load(self, image: Image) -> None:
        """Write an image's segments where they run and where a programmer puts them. Raises ImageError."""
        self.image = image
        for segment in image.segments:
            for address in {segment.address, segment.load_address}:
                size = segment.size if address == segment.address else len(segment.data)
                if size and self._memory.holding(address, size) is None:
                    have = ", ".join(f"{r.name} {r.base:#010x}-{r.end:#010x}" for r in self.regions if r.source)
                    raise ImageError(
                        f"image '{image.name}' puts {size} bytes at {address:#010x}, outside the memory of "
                        f"{self.board.name} ({have}): check the board and the base address"
                    )
                self.write(address, segment.data.ljust(size, b"\0"))

    def read(self, address: int, size: int) -> bytes:
        """Bytes of mapped memory. Raises Fault where nothing is mapped."""
        region = self._memory.holding(address, size)
        if region is None:
            raise faults.outside("reading", self.regions, address, size)
        return self._memory.part(address, size).tobytes()

    def write(self, address: int, data: bytes) -> None:
        """Put bytes into mapped memory, flash included. Raises Fault where nothing is mapped."""
        region = self._memory.holding(address, len(data))
        if region is None:
            raise faults.outside("writing", self.regions, address, len(data))
        if data:
            self._engine.mem_write(address, bytes(data))
            ran = self._counter.saw_code(address, len(data))
            if ran:  # Unicorn would go on with what it translated
                self._engine.ctl_flush_tb()
            if ran or not region.writable:
                self._counter.show_again()

    def use_stack(self, base: int, size: int) -> None:
        """The full-descending stack of later calls, [base, base + size); mapped unless it lies in mapped memory."""
        self._stack = Region("stack", base, size, True, "")
        if self._memory.holding(base, size) is None:
            self.map(self._stack)

    def call(
        self,
        function: int,
        args: Sequence[int] = (),
        *,
        stops: Collection[int] = (),
        on_stop: Callable[[int], None] | None = None,
        max_instructions: int = DEFAULT_LIMIT,
        sp: int | None = None,
    ) -> int:
        """Call a function by the AAPCS and return r0. `args` are 32-bit words; from the fifth they go on the stack.

        Its stack is the machine's own, or goes down from `sp`; only of its own it is known how much was used.

        Before the instruction at each of `stops` runs, `on_stop(address)` is called; a stop works where a block
        begins: at a function's entry, a branch target, or the instruction after a call.
        Raises Fault, and KeyboardInterrupt within some milliseconds of Ctrl-C.
        """
        sp = self._push((self._own_stack() if sp is None else sp) & ~7, args[4:])
        for register, value in zip(ARGUMENTS, args, strict=False):
            self._engine.reg_write(register, value & 0xFFFF_FFFF)
        self._engine.reg_write(arm.UC_ARM_REG_SP, sp)
        self._engine.reg_write(arm.UC_ARM_REG_LR, self._landing | 1)
        before = {name: self._engine.reg_read(register) for name, register in PRESERVED.items()}
        self.run(function, {*stops, self._landing}, self._landing, on_stop, max_instructions)
        self.spoiled = tuple(n for n, r in PRESERVED.items() if self._engine.reg_read(r) != before[n])
        return int(self._engine.reg_read(arm.UC_ARM_REG_R0))

    def _own_stack(self) -> int:
        """Its top, after all of it was painted."""
        if self._stack is None:
            free = self._memory.hole(Region("stack", 0x3FF0_0000, DEFAULT_STACK, True, ""))
            self.use_stack(free.base, free.size)
        assert self._stack is not None
        self._paint(self._stack)
        return self._stack.end

    def boot(self, sp: int, pc: int, max_instructions: int) -> None:
        """Run from reset, as a rule until the instructions run out. Raises LimitReached then, Fault for the rest."""
        self._engine.reg_write(arm.UC_ARM_REG_SP, sp)
        self._engine.reg_write(arm.UC_ARM_REG_LR, 0xFFFF_FFFF)  # its value at reset [ARMv7-M ARM, B1.5.5]
        self.run(pc, (), None, None, max_instructions)

    def run(
        self,
        pc: int,
        stops: Collection[int],
        last: int | None,
        on_stop: Callable[[int], None] | None = None,
        max_instructions: int = DEFAULT_LIMIT,
    ) -> None:
        """Execute from `pc` until the stop `last` is reached. Raises Fault; also when the instructions run out."""
        counter, watch = self._counter, self.supervisor
        asked, own = {address & ~1 for address in stops}, set() if watch is None else set(watch.stops)
        counter.flag(asked | own)
        counter.begin(max_instructions)
        over, blocks = False, SLICE
        while True:
            if watch is not None and not over:
                pc, blocks = watch.before(pc)
            self._step(pc, blocks, over)
            for callback in self.observers.pausing:
                callback()
            reason, at = counter.reason
            pc, over = self._pc, False
            if reason == hooks.STOPPED:
                if at == last:
                    counter.end()
                    return
                if on_stop is not None and at in asked:
                    on_stop(at)
                if watch is not None and at in own:
                    pc = watch.stopped(at)
                over = pc == at
            elif reason in faults.STOPS:
                raise faults.stopped(reason, max_instructions, self.where(pc), self.registers)
            elif pc | 1 == NEVER | 1:
                raise self.fault(f"a jump to {pc:#010x}, where nothing is, {self.where(counter.last)}")

    def _step(self, pc: int, blocks: int, over: bool) -> None:
        """Run until something stops the engine; `over` runs the first block even if it is a stop."""
        self._refused = self._interrupt = None
        self._counter.resume(blocks, over=over)
        try:
            self._engine.emu_start(pc | 1, NEVER)
            while self._counter.reason[0] == hooks.FRESH:
                block = self._counter.looked_at()
                for look in self.observers.looking:
                    look(*block)
                self._engine.emu_start(self._pc | 1, NEVER)
        except UcError:
            if self._is_hint():
                self._hinted()
            elif not self._returned():
                raise self.fault(self._explain()) from None
            return
        if self._interrupt is not None:
            self._trapped(self._interrupt)
        elif self._counter.reason[0] == hooks.RUNNING and self._is_hint():
            self._hinted()

    def _trapped(self, number: int) -> None:
        if self._pc >= RETURNS and self._returned():
            return
        if self.supervisor is None or not self.supervisor.trap(number):
            if self._pc >= RETURNS:
                raise self.fault(f"a jump to {self._pc:#010x}, where no code can be, {self.where(self._counter.last)}")
            raise self.fault(f"{faults.EXCEPTIONS.get(number, f'exception {number}')} {self.where(self._pc)}")

    def _returned(self) -> bool:
        """Whether the engine gave up at a branch that ends an exception, and the supervisor did so."""
        return self._pc >= RETURNS and self.supervisor is not None and self.supervisor.trap(EXCEPTION_RETURN)

    def _hinted(self) -> None:
        pc = self._pc
        if self.supervisor is not None and self.read(pc - 2, 2) != YIELD:
            self.supervisor.slept(pc)

    def holding(self, address: int, size: int) -> Region | None:
        """The mapped region that holds all these bytes."""
        return self._memory.holding(address, size)

    def host_address(self, region: Region) -> int:
        """Where the bytes of a mapped region lie on the host, for native observers."""
        return int(self._memory.host(region).ctypes.data)

    @property
    def engine(self) -> Any:
        """The Unicorn engine."""
        return self._engine

    @property
    def counter(self) -> hooks.Counter:
        """The counter of its blocks, for native observers."""
        return self._counter

    def register(self, name: str) -> int:
        """A register by its name in lower case, as r0, sp, msp, control, xpsr."""
        return int(self._engine.reg_read(getattr(arm, f"UC_ARM_REG_{name.upper()}")))

    def set_register(self, name: str, value: int) -> None:
        self._engine.reg_write(getattr(arm, f"UC_ARM_REG_{name.upper()}"), value & 0xFFFF_FFFF)

    @property
    def registers(self) -> str:
        """All registers in one line."""
        return faults.registers({name: self.register(name) for name in faults.REGISTERS})

    def fault(self, what: str, kind: type[Fault] = Fault) -> Fault:
        """A Fault with the registers as they are."""
        sp = self.register("sp")
        region = self._memory.holding(self.stack_limit, 4)
        below = region is not None and region.base <= sp < self.stack_limit
        if below and not self.register("control") & PROCESS_STACK and not what.startswith("stack overflow"):
            what = f"stack overflow: sp is {self.stack_limit - sp} bytes below the stack's limit; {what}"
        return kind(f"{what}; {self.registers}")

    @property
    def _pc(self) -> int:
        return int(self._engine.reg_read(arm.UC_ARM_REG_PC))

    def _is_hint(self) -> bool:
        """Whether the engine gave up at a hint: it ended the block, and the pc is already beyond it."""
        pc = self._pc
        ended_block = self._refused is None and self._counter.last < pc
        return ended_block and self._memory.holding(pc - 2, 2) is not None and self.read(pc - 2, 2) in HINTS

    def _push(self, sp: int, words: Sequence[int]) -> int:
        sp -= (4 * len(words) + 7) & ~7
        self.write(sp, np.array([w & 0xFFFF_FFFF for w in words], "<u4").tobytes())
        return sp

    def _paint(self, stack: Region) -> None:
        self._memory.part(stack.base, stack.size)[:] = PAINT

    @property
    def stack_used(self) -> int:
        """Bytes of stack that the last call wrote to, from the top to the lowest one (high-water mark)."""
        if self._stack is None:
            return 0
        touched = np.flatnonzero(self._memory.part(self._stack.base, self._stack.size) != PAINT)
        return self._stack.size - int(touched[0]) if touched.size else 0

    @property
    def instructions(self) -> int:
        """Instructions executed so far, those that an IT block skips included."""
        return self._counter.instructions

    def counts(self) -> Counts:
        """Executions of each block so far."""
        return self._counter.snapshot()

    def check_instructions(self) -> None:
        """Raise Fault when an executed instruction is not in the board's core, which Unicorn would not notice."""
        for address, data in self.executed():
            if missing := instructions.unknown(self.board.core, address, data):
                raise Fault(
                    f"'{missing.text}' {self.where(missing.address)} is not in {self.board.core.name}: {missing.why}"
                )

    def executed(self) -> list[tuple[int, bytes]]:
        """Address and code of every block that ran."""
        counts = self.counts()
        ran = np.flatnonzero(counts.count)
        return [(int(counts.start[i]), self.read(int(counts.start[i]), int(counts.size[i]))) for i in ran]

    def _on_refused(self, engine: Any, kind: int, address: int, size: int, value: int, data: Any) -> bool:
        self._refused = faults.Access(kind, address, size)
        return False

    def _on_interrupt(self, engine: Any, number: int, data: Any) -> None:
        self._interrupt = number
        engine.emu_stop()

    def where(self, pc: int) -> str:
        """Function and address of an instruction, in words."""
        return faults.where(self.image, pc)

    def _explain(self) -> str:
        """Why the engine gave up."""
        pc, last = self._pc, self._counter.last
        if self._refused is not None:
            place = self.where(last if self._refused.fetches else pc)
            return faults.refused(self._refused, place, self.regions, self._stack, self.register("sp"))
        if not self._engine.reg_read(arm.UC_ARM_REG_CPSR) & THUMB_BIT:
            return f"a branch to {pc:#010x} without the Thumb bit, {self.where(last)}"
        return f"an undefined instruction {self.where(pc)}"
