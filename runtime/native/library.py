"""The shared library, found beside this file and called through ctypes, which releases the GIL."""

from __future__ import annotations

import ctypes
import sys
from functools import cache
from pathlib import Path

from textgate.errors import BundleError, ConfigError, TextgateError

VERSION = 1  # of the interface and of a model's bytes
# As in setup.py. With another dot before it, ".so" is not taken for a module of Python.
_NAMES = {"win32": "textgate_engine.dll", "darwin": "libtextgate_engine.dylib"}
NAME = _NAMES.get(sys.platform, f"libtextgate_engine.{VERSION}.so")

NO_MEMORY = 1
_BEST = -1
_SETS = 6


class LibraryError(Exception):
    """The library is missing or of another version; the message says which."""


@cache
def library() -> ctypes.CDLL:
    """Return the library, loaded once.

    Raises:
        LibraryError: there is none, it cannot be loaded, or it is of another version.
    """
    path = Path(__file__).with_name(NAME)
    if not path.exists():
        raise LibraryError("the native engine was not built: there was no C compiler")
    try:
        found = ctypes.CDLL(str(path))
        version = found.tg_version()
        if version != VERSION:
            raise LibraryError(f"{path}: of version {version}, expected {VERSION}; install again")
        return with_signatures(found)
    except (OSError, AttributeError) as problem:
        raise LibraryError(f"the native engine cannot be loaded: {problem}") from None


def with_signatures(found: ctypes.CDLL) -> ctypes.CDLL:
    """Return the library after telling ctypes the types of its functions."""
    pointer, size, status = ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int
    signatures = {
        "tg_message": (ctypes.c_char_p, [status]),
        "tg_has": (ctypes.c_int, [ctypes.c_int]),
        "tg_instructions_name": (ctypes.c_char_p, [ctypes.c_int]),
        "tg_open": (status, [pointer, size, ctypes.c_int, ctypes.POINTER(pointer)]),
        "tg_close": (None, [pointer]),
        "tg_instructions": (ctypes.c_int, [pointer]),
        "tg_labels": (size, [pointer]),
        "tg_vocabulary": (size, [pointer]),
        "tg_state_size": (size, [pointer]),
        "tg_new_workspace": (status, [pointer, ctypes.POINTER(pointer)]),
        "tg_free_workspace": (None, [pointer]),
        "tg_run": (
            status,
            [pointer, pointer, pointer, size, pointer, size, pointer, pointer, pointer],
        ),
    }
    for name, (result, arguments) in signatures.items():
        function = getattr(found, name)
        function.restype, function.argtypes = result, arguments
    return found


def instruction_sets() -> list[str]:
    """Return the names of the instruction sets that this processor and the library have.

    Raises:
        LibraryError: there is no library.
    """
    return [instructions_name(number) for number in range(_SETS) if library().tg_has(number)]


def instructions_name(number: int) -> str:
    """Return the name of an instruction set."""
    name: bytes = library().tg_instructions_name(number)
    return name.decode("ascii")


def instructions_number(instructions: str | None) -> int:
    """Return the number of an instruction set; None stands for the fastest.

    Raises:
        ConfigError: this processor or build does not have it.
    """
    if instructions is None:
        return _BEST
    for number in range(_SETS):
        if instructions_name(number) == instructions and library().tg_has(number):
            return number
    raise ConfigError(
        f"instruction set {instructions!r} is not one that this processor and build have: "
        f"{', '.join(instruction_sets())}"
    )


def failure(status: int) -> TextgateError:
    """Return the exception for a status that is not 0."""
    message = library().tg_message(status).decode("ascii")
    if status == NO_MEMORY:
        return TextgateError(f"the native engine cannot go on: {message}")
    return BundleError(f"the native engine cannot run the network: {message}")
