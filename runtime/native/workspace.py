"""An open model and what calls of it write to."""

from __future__ import annotations

import ctypes
from struct import pack
from typing import TYPE_CHECKING

from textgate.native.library import (
    NO_MEMORY,
    failure,
    instructions_name,
    instructions_number,
    library,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    State = ctypes.Array[ctypes.c_float]  # [state_size]


class NativeModel:
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
        self._content = content  # must outlive the model
        handle = ctypes.c_void_p()
        status = self._library.tg_open(
            content,
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

    Addresses are taken once: of an array, that costs as much as classifying a word. There are no
    arrays before the first call of `run`, because numpy takes long to import.

    Attributes:
        ids: int64 [room], of all texts.
        lengths: int64 [texts].
        probabilities: float32 [texts, labels].
    """

    def __init__(self, model: NativeModel) -> None:
        self._model = model  # is closed after its workspaces are freed
        self._library = library()
        self._run = self._library.tg_run
        handle = ctypes.c_void_p()
        status = self._library.tg_new_workspace(model.handle, ctypes.byref(handle))
        if status:
            raise failure(status)
        self._handle = handle
        self._length = ctypes.c_int64()
        self._row = (ctypes.c_float * model.labels)()
        self._state = ctypes.c_float * model.state_size
        self._room = self._texts = 0

    def __del__(self) -> None:
        if hasattr(self, "_handle"):
            self._library.tg_free_workspace(self._handle)

    def make_room(self, ids: int, texts: int) -> None:
        """Make room for so many ids and texts.

        Raises:
            TextgateError: there is not enough memory; the room is as it was.
        """
        if ids <= self._room and texts <= self._texts:
            return
        import numpy as np

        room, most = max(ids, self._room), max(texts, self._texts)
        try:
            self.ids, self.lengths, self.probabilities = (
                np.empty(room, np.int64),
                np.empty(most, np.int64),
                np.empty((most, self._model.labels), np.float32),
            )
        except MemoryError:
            raise failure(NO_MEMORY) from None
        self._room, self._texts = room, most
        self._ids, self._lengths, self._probabilities = (
            ctypes.c_void_p(values.ctypes.data)
            for values in (self.ids, self.lengths, self.probabilities)
        )

    def run(self, input_ids: NDArray[np.int64], lengths: NDArray[np.int64]) -> int:
        """Classify texts and return a status.

        Args:
            input_ids: token ids, int64 [texts, row].
            lengths: tokens of each text, int64 [texts].
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
            None,
            None,
            self._probabilities,
        )
        return status

    def read(
        self, ids: Sequence[int], state: State | None, *, keep_state: bool
    ) -> tuple[list[float], State | None]:
        """Return the probabilities of one text and the state after it; see `NativeSession.read`.

        It does without arrays, which take longer than the network takes for a word.
        """
        count, after = len(ids), self._state() if keep_state else None
        self._length.value = count
        status = self._run(
            self._model.handle,
            self._handle,
            pack(f"{count}q", *ids),
            count,
            ctypes.byref(self._length),
            1,
            state,
            after,
            self._row,
        )
        if status:
            raise failure(status)
        return self._row[:], after
