"""An open model and what calls of it write to."""

from __future__ import annotations

import ctypes
from typing import TYPE_CHECKING

import numpy as np

from textgate.native.library import failure, instructions_name, instructions_number, library

if TYPE_CHECKING:
    from numpy.typing import NDArray


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
            self._content.ctypes.data,
            len(content),
            instructions_number(instructions),
            ctypes.byref(handle),
        )
        if status:
            raise failure(status)
        self.handle = handle
        self.labels: int = self._library.tg_labels(handle)
        self.state_size: int = self._library.tg_state_size(handle)
        self.instructions = instructions_name(self._library.tg_instructions(handle))

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
        self._ids, self._lengths, self._state, self._probabilities = (
            ctypes.c_void_p(array.ctypes.data)
            for array in (self.ids, self.lengths, self.state, self.probabilities)
        )

    def run(
        self,
        input_ids: NDArray[np.int64],
        lengths: NDArray[np.int64],
        *,
        from_state: bool = False,
        to_state: bool = False,
    ) -> int:
        """Classify texts and return a status.

        Args:
            input_ids: token ids, int64 [texts, row].
            lengths: tokens of each text, int64 [texts].
            from_state: whether the texts go on from what is in `state`.
            to_state: whether to put their states there.
        """
        texts, row = input_ids.shape
        if texts * row > self._room or texts > self._texts:
            self.make_room(texts * row, texts)
        self.ids[: texts * row] = input_ids.reshape(-1)
        self.lengths[:texts] = lengths
        status: int = self._run(
            self._model.handle,
            self._handle,
            self._ids,
            row,
            self._lengths,
            texts,
            self._state if from_state else None,
            self._state if to_state else None,
            self._probabilities,
        )
        return status
