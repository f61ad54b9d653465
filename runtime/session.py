"""An ONNX Runtime session that is a good neighbour: few threads, no spinning, no hoarded memory."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
import onnxruntime

from textgate.errors import BundleError, ConfigError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

_ERRORS_ONLY = 3  # ONNX Runtime's log severity; it warns about overridable initial states


class Session:
    """A graph ready to run, made when it is first needed and made again after a fork.

    Args:
        graph: an ONNX model.
        threads: threads inside one call.
    """

    def __init__(self, graph: bytes, *, threads: int) -> None:
        self._graph = graph
        self._threads = threads
        self._lock = threading.Lock()
        self._session: onnxruntime.InferenceSession | None = None
        self._process = 0

    def run(self, input_ids: NDArray[np.int64], lengths: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return probabilities, float32 [batch, labels].

        Args:
            input_ids: token ids, int64 [batch, tokens], padded on the right.
            lengths: tokens of each text, int64 [batch], at least 1.
        """
        session = self._session
        if session is None or self._process != os.getpid():
            session = self._make()
        outputs: Sequence[NDArray[np.float32]] = session.run(
            ["probabilities"], {"input_ids": input_ids, "lengths": lengths}
        )
        return outputs[0]

    def _make(self) -> onnxruntime.InferenceSession:
        """Make the session, once a process: the threads of a parent do not survive a fork."""
        with self._lock:
            if self._session is None or self._process != os.getpid():
                self._session = make_session(self._graph, threads=self._threads)
                self._process = os.getpid()
            return self._session


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
        return onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    except Exception as problem:  # the package raises classes without a common base
        reason = " ".join(str(problem).split())
        raise BundleError(f"ONNX Runtime does not accept the graph: {reason}") from None


def thread_count(threads: int | Literal["auto"]) -> int:
    """Return a number of threads; ``auto`` is what this process may use, its quota included.

    Raises:
        ConfigError: it is neither a number from 1 on nor ``auto``.
    """
    if threads == "auto":
        return max(1, min(len(os.sched_getaffinity(0)), _quota()))
    if not isinstance(threads, int) or isinstance(threads, bool) or threads < 1:
        raise ConfigError(f'threads must be a number from 1 on, or "auto", not {threads!r}')
    return threads


def _quota() -> int:
    """Return the whole CPUs that the control group of this process may use."""
    unlimited = os.cpu_count() or 1
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text(encoding="ascii").split()
        return unlimited if quota == "max" else max(1, int(quota) // int(period))
    except (OSError, ValueError):
        pass
    folder = Path("/sys/fs/cgroup/cpu")
    try:
        quota_us = int((folder / "cpu.cfs_quota_us").read_text(encoding="ascii"))
        period_us = int((folder / "cpu.cfs_period_us").read_text(encoding="ascii"))
        return unlimited if quota_us < 0 else max(1, quota_us // period_us)
    except (OSError, ValueError):
        return unlimited
