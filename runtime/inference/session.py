"""An ONNX Runtime session that is a good neighbour: few threads, no spinning, no hoarded memory."""

from __future__ import annotations

import os
import threading
import time
import weakref
from typing import TYPE_CHECKING

import numpy as np

from textgate.errors import BundleError
from textgate.logs import logger
from textgate.messages import reason

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import onnxruntime
    from numpy.typing import NDArray

    from textgate.bundle.manifest import StateTensor

    State = Mapping[str, NDArray[np.float32]]  # by graph input

_ROUNDING = 1e-3  # of a sum of float32 probabilities, far above what any number of labels loses
# Most calls have one text and few labels. There Python checks the numbers in a fraction of the time
# that numpy takes to begin.
_FEW = 16  # numbers
_ERRORS_ONLY = 3  # ONNX Runtime's log severity; it warns about overridable initial states


class Session:
    """A graph ready to run, made when it is first needed and made again after a fork.

    Args:
        graph: an ONNX model.
        labels: how many probabilities it should give for a text.
        sums_to_one: whether these should add up to 1.
        threads: threads inside one call.
        states: what a stream carries, as the manifest lists it.
    """

    def __init__(
        self,
        graph: bytes,
        *,
        labels: int,
        sums_to_one: bool,
        threads: int,
        states: Sequence[StateTensor] = (),
    ) -> None:
        self._graph = graph
        self._labels = labels
        self._sums_to_one = sums_to_one
        self._threads = threads
        self._state_inputs = [state.input for state in states]
        self._state_outputs = [state.output for state in states]
        self._lock = threading.Lock()
        self._session: onnxruntime.InferenceSession | None = None
        self._forked = False
        _sessions.add(self)

    def run(self, input_ids: NDArray[np.int64], lengths: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return probabilities, float32 [batch, labels].

        Args:
            input_ids: token ids, int64 [batch, tokens], padded on the right.
            lengths: tokens of each text, int64 [batch], at least 1.

        Raises:
            BundleError: the graph fails, or its results are not probabilities.
        """
        return self._run(input_ids, lengths)[0]

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
            BundleError: the graph fails, or its results are not probabilities.
        """
        probabilities, *after = self._run(
            np.array([ids], dtype=np.int64),
            np.array([len(ids)], dtype=np.int64),
            self._state_outputs if keep_state else (),
            **(state or {}),
        )
        row: list[float] = probabilities[0].tolist()
        return row, dict(zip(self._state_inputs, after, strict=True)) if keep_state else None

    def _run(
        self,
        input_ids: NDArray[np.int64],
        lengths: NDArray[np.int64],
        states: Sequence[str] = (),
        **state: NDArray[np.float32],
    ) -> list[NDArray[np.float32]]:
        """Return the probabilities of a batch, and the graph outputs named by `states`."""
        session = self._session or self._make()
        outputs: list[NDArray[np.float32]]
        try:
            outputs = session.run(
                ["probabilities", *states], {"input_ids": input_ids, "lengths": lengths, **state}
            )
        except Exception as problem:  # the package raises classes without a common base
            raise BundleError(f"ONNX Runtime cannot run the graph: {reason(problem)}") from None
        self._check(outputs[0], texts=len(lengths))
        return outputs

    def begin_anew(self) -> None:
        """Forget what a parent process made; its threads do not survive a fork."""
        _inherited.append(self._session)
        self._session = None
        self._forked = True
        self._lock = threading.Lock()  # the old one may be held by a thread of the parent

    def _make(self) -> onnxruntime.InferenceSession:
        with self._lock:
            if self._session is None:
                begun = time.perf_counter()
                self._session = make_session(self._graph, threads=self._threads)
                logger.debug(
                    "made a session of %d threads in %.1f ms%s",
                    self._threads,
                    1000 * (time.perf_counter() - begun),
                    ", again after a fork" if self._forked else "",
                )
            return self._session

    def _check(self, probabilities: NDArray[np.float32], *, texts: int) -> None:
        """Refuse what a graph must not answer; its declarations bind ONNX Runtime to little."""
        if probabilities.shape != (texts, self._labels):
            found = f"an answer of shape {list(probabilities.shape)}"
        elif not _are_probabilities(probabilities):
            found = "a number that is no probability"
        elif self._sums_to_one and not _add_up(probabilities):
            found = "probabilities that do not add up to 1"
        else:
            return
        raise BundleError(
            f"the graph gives {found} for {texts} texts and {self._labels} labels; its"
            " weights or operators are damaged: export the bundle again"
        )


def _are_probabilities(values: NDArray[np.float32]) -> bool:
    """Return whether all are from 0 to 1, or above by no more than rounding; a NaN is not."""
    if values.size <= _FEW:
        return all(0 <= value <= 1 + _ROUNDING for value in values.ravel().tolist())
    # Called as ufuncs, which is three times as fast as calling the methods.
    least, most = (reduce(values, axis=None) for reduce in (np.minimum.reduce, np.maximum.reduce))
    return bool(least >= 0 and most <= 1 + _ROUNDING)


def _add_up(rows: NDArray[np.float32]) -> bool:
    """Return whether each row of probabilities adds up to 1."""
    few = rows.size <= _FEW
    totals = map(sum, rows.tolist()) if few else np.add.reduce(rows, axis=1).tolist()
    return all(abs(total - 1) < _ROUNDING for total in totals)


_sessions: weakref.WeakSet[Session] = weakref.WeakSet()
# Taking a session down waits for its threads, in a child for ever: the parent's are kept instead.
_inherited: list[onnxruntime.InferenceSession | None] = []


def _after_fork() -> None:
    for session in _sessions:
        session.begin_anew()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def make_session(
    graph: bytes, *, threads: int = 1, optimized: bool = True
) -> onnxruntime.InferenceSession:
    """Return an ONNX Runtime session with textgate's options.

    Args:
        graph: an ONNX model.
        threads: threads inside one call.
        optimized: whether ONNX Runtime may rewrite the graph when it loads it.

    Raises:
        BundleError: ONNX Runtime does not accept the graph.
    """
    from textgate.inference.onnx_runtime import (
        onnxruntime,  # takes long; the native engine does without
    )

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.enable_cpu_mem_arena = False
    options.enable_mem_pattern = False
    options.log_severity_level = _ERRORS_ONLY
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    if not optimized:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    try:
        # Its fallback would try a refused graph again, and print about it on standard output.
        return onnxruntime.InferenceSession(
            graph, options, providers=["CPUExecutionProvider"], enable_fallback=0
        )
    except Exception as problem:  # the package raises classes without a common base
        raise BundleError(f"ONNX Runtime does not accept the graph: {reason(problem)}") from None
