"""Access log: one JSON object per request, without texts."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from textgate.serve.settings import ServiceError

STANDARD_ERROR = "-"


class AccessLog:
    """Writes lines to a file or to standard error. Several processes may write to one file.

    A line that cannot be written is lost and counted; the request is answered all the same.
    """

    def __init__(self, path: str, lost: Callable[[], None]) -> None:
        """Open the log.

        Args:
            path: the file, to which lines are appended; ``-`` for standard error.
            lost: called for each line that cannot be written.

        Raises:
            ServiceError: the file cannot be opened.
        """
        self._lost = lost
        if path == STANDARD_ERROR:
            self._file = sys.stderr.fileno()
            return
        try:
            self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o640)
        except OSError as problem:
            raise ServiceError(
                f"{path}: the access log cannot be opened: {problem.strerror}"
            ) from None

    def write(self, **fields: Any) -> None:
        """Write a line with these fields."""
        now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        line = json.dumps({"time": now, **fields}).encode() + b"\n"
        try:
            written = os.write(self._file, line)
        except OSError:
            written = 0
        if written < len(line):
            self._lost()
