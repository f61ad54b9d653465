"""The shared library, found beside this file and called through ctypes, which releases the GIL."""

from __future__ import annotations

import ctypes
import sys
from functools import cache
from pathlib import Path

import numpy as np

from textgate.errors import BundleError, ConfigError, TextgateError
from textgate.native.model import VERSION

# As in setup.py. With another dot before it, ".so" is not taken for a module of Python.
_NAMES = {"win32": "textgate_engine.dll", "darwin": "libtextgate_engine.dylib"}
NAME = _NAMES.get(sys.platform, f"libtextgate_engine.{VERSION}.so")

_NO_MEMORY = 1
BEST = -1
SETS = 6


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
    except (OSError, AttributeError) as problem:
        raise LibraryError(f"the native engine cannot be loaded: {problem}") from None
    if version != VERSION:
        raise LibraryError(f"{path}: of version {version}, expected {VERSION}; install again")
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
    return [_name(number) for number in range(SETS) if library().tg_has(number)]


def _name(number: int) -> str:
    name: bytes = library().tg_instructions_name(number)
    return name.decode("ascii")


def _number(instructions: str | None) -> int:
    if instructions is None:
        return BEST
    for number in range(SETS):
        if _name(number) == instructions and library().tg_has(number):
            return number
    raise ConfigError(
        f"instruction set {instructions!r} is not one that this processor and build have: "
        f"{', '.join(instruction_sets())}"
    )


def failure(status: int) -> TextgateError:
    """Return the exception for a status that is not 0."""
    message = library().tg_message(status).decode("ascii")
    if status == _NO_MEMORY:
        return TextgateError(f"the native engine cannot go on: {message}")
    return BundleError(f"the native engine cannot run the network: {message}")


class Model:
    """An open model, which any number of threads may use.

    Args:
        content: its bytes, by `textgate.native.model.model_bytes`.
        instructions: the name of an instruction set, or None for the fastest.

    Raises:
        BundleError: the bytes are no model, or a number in them is not finite.
        ConfigError: the processor does not have the instruction set.
        LibraryError: there is no library.
        TextgateError: there is not enough memory.
    """

    def __init__(self, content: bytes, *, instructions: str | None = None) -> None:
        self._library = library()
        self._content = np.frombuffer(content, np.uint8)  # must outlive the model
        handle = ctypes.c_void_p()
        status = self._library.tg_open(
            self._content.ctypes.data, len(content), _number(instructions), ctypes.byref(handle)
        )
        if status:
            raise failure(status)
        self.handle = handle
        self.labels: int = self._library.tg_labels(handle)
        self.state_size: int = self._library.tg_state_size(handle)
        self.instructions = _name(self._library.tg_instructions(handle))

    def __del__(self) -> None:
        if hasattr(self, "handle"):
            self._library.tg_close(self.handle)


class Workspace:
    """What one call at a time writes to, with room for its arguments and results.

    Addresses are taken once: of an array, that costs as much as classifying a word.

    Attributes:
        ids: int64 [room], of all texts.
        lengths: int64 [texts].
        probabilities: float32 [texts, labels].
        state: float32 [texts, state_size], where texts go on from, and then where they are.
    """

    def __init__(self, model: Model) -> None:
        self._model = model  # is closed after its workspaces are freed
        self._library = library()
        self._run = self._library.tg_run
        handle = ctypes.c_void_p()
        status = self._library.tg_new_workspace(model.handle, ctypes.byref(handle))
        if status:
            raise failure(status)
        self._handle = handle
        self._room = self._texts = 0
        self.make_room(64, 1)

    def __del__(self) -> None:
        if hasattr(self, "_handle"):
            self._library.tg_free_workspace(self._handle)

    def make_room(self, ids: int, texts: int) -> None:
        """Make room for so many ids and texts."""
        if ids <= self._room and texts <= self._texts:
            return
        self._room = max(ids, self._room)
        self._texts = max(texts, self._texts)
        self.ids = np.empty(self._room, np.int64)
        self.lengths = np.empty(self._texts, np.int64)
        self.probabilities = np.empty((self._texts, self._model.labels), np.float32)
        self.state = np.empty((self._texts, self._model.state_size), np.float32)
        self._addresses = [
            ctypes.c_void_p(array.ctypes.data)
            for array in (self.ids, self.lengths, self.state, self.probabilities)
        ]

    def run(self, row: int, texts: int, *, from_state: bool, to_state: bool) -> int:
        """Classify the texts in `ids` and return a status."""
        ids, lengths, state, probabilities = self._addresses
        status: int = self._run(
            self._model.handle,
            self._handle,
            ids,
            row,
            lengths,
            texts,
            state if from_state else None,
            state if to_state else None,
            probabilities,
        )
        return status
