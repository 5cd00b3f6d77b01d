"""Callbacks compiled by numba and handed to Unicorn by address: the decorators, and what they need of the C side.

What one callback was compiled with lies in several files: they read each other's state at fixed places. numba looks at
one file's time only before it takes a kept callback, so they are kept apart by the text of all these files: those that
decorate a function with `native.njit` or `native.cfunc`, and those that they import constants from.
"""

from __future__ import annotations

import ctypes
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar, cast

import numba
import numpy as np
from llvmlite import ir  # type: ignore[import-untyped]
from numba import carray, types  # type: ignore[attr-defined]
from numba.core import config
from numba.extending import intrinsic
from unicorn import arm_const as arm, unicorn_const as uc
from unicorn.unicorn_py3.unicorn import uclib

from codegen import cache

F = TypeVar("F", bound=Callable[..., Any])

OnBlock = types.void(types.voidptr, types.uint64, types.uint32, types.voidptr)


def sources() -> dict[Path, bytes]:
    """The files that native code is compiled from, with their texts; this one among them."""
    here = Path(__file__)
    texts = {path: path.read_bytes() for path in sorted(here.parent.rglob("*.py"))}
    native = {path: text for path, text in texts.items() if path == here or b"\n@native." in text}
    others = {path for text in native.values() for path in _imported(text.decode("utf-8"))}
    return native | {path: path.read_bytes() for path in sorted(others)}


def _imported(text: str) -> Iterator[Path]:
    """The files of this project that a file imports from."""
    root = Path(__file__).parents[1]
    for package, names in re.findall(r"^from ((?:emulator|refsim)[\w.]*) import (.+)$", text, re.MULTILINE):
        folder = root.joinpath(*package.split("."))
        places = [folder.with_suffix(".py"), *(folder / f"{name.split()[0]}.py" for name in names.split(","))]
        yield from (path for path in places if path.is_file())


# Where callbacks of exactly this code are kept.
FOLDER = str(cache.folder() / f"native-{cache.digest(numba.__version__, *sources().values())[:16]}")


def _keep(decorate: Callable[[bool], Any]) -> Any:
    """What a decorator of numba makes, kept in FOLDER; where nothing can be written, made in every process."""
    before, config.CACHE_DIR = config.CACHE_DIR, FOLDER  # type: ignore[attr-defined]
    try:
        return decorate(True)
    except RuntimeError:
        return decorate(False)
    finally:
        config.CACHE_DIR = before  # type: ignore[attr-defined]


def njit(function: F) -> F:
    """`numba.njit`, kept."""
    return cast(F, _keep(lambda keep: numba.njit(function, cache=keep)))


def cfunc(signature: Any) -> Callable[[Callable[..., Any]], Any]:
    """`numba.cfunc`, kept."""
    return lambda function: _keep(lambda keep: numba.cfunc(signature, cache=keep)(function))


def add(engine: Any, kind: int, callback: Any, user: int, first: int = 1, last: int = 0) -> int:
    """`uc_hook_add` with a native callback and the address of its data, for all addresses or for those to `last`.

    Returns the hook, for `remove`.
    """
    handle = ctypes.c_size_t()
    status = uclib.uc_hook_add(
        engine._uch,
        ctypes.byref(handle),
        kind,
        ctypes.c_void_p(callback.address),
        ctypes.c_void_p(user),
        ctypes.c_uint64(first),
        ctypes.c_uint64(last),
    )
    assert status == uc.UC_ERR_OK, status
    return handle.value or 0


def remove(engine: Any, hook: int) -> None:
    """`uc_hook_del`."""
    status = uclib.uc_hook_del(engine._uch, ctypes.c_size_t(hook))
    assert status == uc.UC_ERR_OK, status


def address_of(function: Any) -> int:
    """Where a function of Unicorn's library lies."""
    return ctypes.cast(function, ctypes.c_void_p).value or 0


READ_REGISTER = address_of(uclib.uc_reg_read)

# r0 to pc, as capstone calls them, and Unicorn's numbers of them.
REGISTERS = ("r0", "r1", "r2", "r3", "r4", "r5", "r6", "r7", "r8", "sb", "sl", "fp", "ip", "sp", "lr", "pc")
REGISTER_NUMBERS = [getattr(arm, f"UC_ARM_REG_{name.upper()}") for name in REGISTERS]

STOP = address_of(uclib.uc_emu_stop)


def _pointer_code(typing: Any, address: Any) -> Any:
    """An integer as a pointer."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.inttoptr(args[0], ir.IntType(8).as_pointer())

    return types.voidptr(types.int64), generate


pointer: Any = intrinsic(_pointer_code)


def _loads(bits: int) -> Any:
    """An intrinsic that reads a number of `bits` at a host address."""

    def code(typing: Any, address: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            place = builder.inttoptr(args[0], ir.IntType(bits).as_pointer())
            return builder.zext(builder.load(place, align=1), ir.IntType(64))

        return types.int64(types.int64), generate

    return intrinsic(code)


byte: Any = _loads(8)
halfword: Any = _loads(16)
word: Any = _loads(32)


@njit
def words(address: int) -> Any:
    """The int64 array of a state that begins at a host address; whoever reads it knows where it ends."""
    return carray(pointer(address), (1 << 40,), np.int64)


@njit
def last_instruction(host: int, size: int) -> int:
    """The offset of the last instruction in `size` bytes of Thumb code: 0b111xx with xx not 0 begins a 32-bit one."""
    last = 0
    offset = 0
    while offset < size:
        last = offset
        offset += 4 if halfword(host + offset) >= 0xE800 else 2
    return last


def _call_code(typing: Any, function: Any, argument: Any) -> Any:
    """Call the C function at address `function` with one pointer."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        kind = ir.FunctionType(ir.IntType(32), [ir.IntType(64)])
        builder.call(builder.inttoptr(args[0], kind.as_pointer()), [args[1]])
        return context.get_dummy_value()

    return types.void(types.int64, types.int64), generate


call: Any = intrinsic(_call_code)


def _call_observer_code(typing: Any, function: Any, engine: Any, start: Any, length: Any, user: Any) -> Any:
    """Call the native callback on blocks at address `function`; `user` is the address of its data."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        place = ir.IntType(8).as_pointer()
        kind = ir.FunctionType(ir.VoidType(), [place, ir.IntType(64), ir.IntType(32), place])
        callback = builder.inttoptr(args[0], kind.as_pointer())
        builder.call(callback, [*args[1:4], builder.inttoptr(args[4], place)])
        return context.get_dummy_value()

    return types.void(types.int64, types.voidptr, types.uint64, types.uint32, types.int64), generate


call_observer: Any = intrinsic(_call_observer_code)


def _access_register_code(typing: Any, function: Any, engine: Any, register: Any, place: Any) -> Any:
    """Call `uc_reg_read` at address `function`."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        place = ir.IntType(8).as_pointer()
        kind = ir.FunctionType(ir.IntType(32), [place, ir.IntType(32), place])
        builder.call(builder.inttoptr(args[0], kind.as_pointer()), args[1:])
        return context.get_dummy_value()

    return types.void(types.int64, types.voidptr, types.int32, types.voidptr), generate


access_register: Any = intrinsic(_access_register_code)
