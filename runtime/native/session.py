"""Answers as `textgate.inference.session.Session` does, by the native engine."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from textgate.native.library import failure
from textgate.native.workspace import Model, Workspace

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from textgate.bundle.manifest import StateTensor


class NativeSession:
    """A model ready to run. Any number of threads may share one, and it survives a fork.

    What a thread of the parent was using at a fork is not among what is idle.

    Args:
        content: the model's bytes, by `textgate.native.model.model_bytes`.
        states: what a stream carries, as the manifest lists it.
        threads: threads that the texts of one call are divided among.
        instructions: the name of an instruction set, or None for the fastest.
    """

    def __init__(
        self,
        content: bytes,
        *,
        states: Sequence[StateTensor],
        threads: int = 1,
        instructions: str | None = None,
    ) -> None:
        self._model = Model(content, instructions=instructions)
        self._idle: list[Workspace] = []
        self._threads = threads
        self._places: dict[str, tuple[int, int, tuple[int, ...]]] = {}
        self._state_inputs = [state.input for state in states]
        self._state_outputs = [state.output for state in states]
        begin = 0
        for state in states:
            width = state.shape[-1]
            for name in (state.input, state.output):
                self._places[name] = (begin, begin + width, state.shape)
            begin += width

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
        workspace = self._workspace()
        try:
            status = workspace.run(input_ids, lengths)
            if status:
                raise failure(status)
            return workspace.probabilities[: len(lengths)].copy()
        finally:
            self._idle.append(workspace)

    def run_from(
        self,
        state: Mapping[str, NDArray[np.float32]],
        input_ids: NDArray[np.int64],
        lengths: NDArray[np.int64],
        *,
        next_state: Sequence[str] = (),
    ) -> list[NDArray[np.float32]]:
        """Return the probabilities of texts read on from a state, and the state after them.

        Args:
            state: where to go on from, by graph input; {} is the beginning of a text.
            input_ids: as for `run`.
            lengths: as for `run`.
            next_state: the graph outputs to return after the probabilities.

        Raises:
            BundleError: as for `run`.
            TextgateError: as for `run`.
        """
        texts = len(lengths)
        workspace = self._workspace()
        try:
            if state:
                workspace.make_room(input_ids.size, texts)
                self._put(workspace.state[:texts], state)
            status = workspace.run(
                input_ids, lengths, from_state=bool(state), to_state=bool(next_state)
            )
            if status:
                raise failure(status)
            results = [workspace.probabilities[:texts].copy()]
            if next_state:
                results.extend(self._taken(workspace.state[:texts].copy(), next_state))
            return results
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

        parts = min(self._threads, len(lengths))
        with ThreadPoolExecutor(parts) as threads:
            calls = [
                threads.submit(self.run_from, {}, ids, counts)
                for ids, counts in zip(
                    np.array_split(input_ids, parts), np.array_split(lengths, parts), strict=True
                )
            ]
            return np.concatenate([call.result()[0] for call in calls])

    def _put(self, packed: NDArray[np.float32], state: Mapping[str, NDArray[np.float32]]) -> None:
        """Put a state into one row a text; an array of `_taken` holds all of it."""
        for name, value in state.items():
            begin, end, _ = self._places[name]
            packed[:, begin:end] = value

    def _taken(
        self, packed: NDArray[np.float32], names: Sequence[str]
    ) -> list[NDArray[np.float32]]:
        found = []
        for name in names:
            begin, end, shape = self._places[name]
            part = packed[:, begin:end]
            found.append(part[None] if len(shape) == 3 else part)
        return found
