"""Answers as `textgate.inference.session.Session` does, by the native engine."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textgate.native.library import failure
from textgate.native.workspace import NativeModel, Workspace

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from textgate.native.workspace import State


class NativeSession:
    """A model ready to run. Any number of threads may share one, and it survives a fork.

    What a thread of the parent was using at a fork is not among what is idle.

    Args:
        content: the model's bytes, by `textgate.native.model.model_bytes`.
        threads: threads that the texts of one call are divided among.
        instructions: the name of an instruction set, or None for the fastest.
    """

    def __init__(
        self,
        content: bytes,
        *,
        threads: int = 1,
        instructions: str | None = None,
    ) -> None:
        self._model = NativeModel(content, instructions=instructions)
        self._idle: list[Workspace] = []
        self._threads = threads

    @property
    def instructions(self) -> str:
        """The instruction set in use."""
        return self._model.instructions

    def run(self, input_ids: NDArray[np.int64], lengths: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return probabilities, float32 [batch, labels].

        Args:
            input_ids: token ids, int64 [batch, tokens], padded on the right.
            lengths: tokens of each text, int64 [batch], at least 1.

        Raises:
            BundleError: an id or a length is out of range, or the weights give no probabilities.
            TextgateError: there is not enough memory.
        """
        if self._threads > 1 and len(lengths) > 1:
            return self._run_divided(input_ids, lengths)
        return self._run(input_ids, lengths)

    def read(
        self, ids: Sequence[int], state: State | None = None, *, keep_state: bool = False
    ) -> tuple[list[float], State | None]:
        """Return the probabilities of one text, and the state of the network after it.

        Args:
            ids: token ids, at least one.
            state: the state to continue from, as an earlier call returned it; None is the start
                of a text.
            keep_state: whether the state after the text is wanted; else it is None.

        Raises:
            BundleError: as for `run`; also, the state is not one that the engine gives.
            TextgateError: as for `run`.
        """
        workspace = self._workspace()
        try:
            return workspace.read(ids, state, keep_state=keep_state)
        finally:
            self._idle.append(workspace)

    def _run(self, input_ids: NDArray[np.int64], lengths: NDArray[np.int64]) -> NDArray[np.float32]:
        workspace = self._workspace()
        try:
            status = workspace.run(input_ids, lengths)
            if status:
                raise failure(status)
            return workspace.probabilities[: len(lengths)].copy()
        finally:
            self._idle.append(workspace)

    def _workspace(self) -> Workspace:
        try:
            return self._idle.pop()
        except IndexError:  # other threads use them, or there is none yet
            return Workspace(self._model)

    def _run_divided(
        self, input_ids: NDArray[np.int64], lengths: NDArray[np.int64]
    ) -> NDArray[np.float32]:
        from concurrent.futures import ThreadPoolExecutor

        import numpy as np

        parts = min(self._threads, len(lengths))
        with ThreadPoolExecutor(parts) as threads:
            calls = [
                threads.submit(self._run, ids, counts)
                for ids, counts in zip(
                    np.array_split(input_ids, parts), np.array_split(lengths, parts), strict=True
                )
            ]
            return np.concatenate([call.result() for call in calls])
