"""Settings of the service: limits, timeouts, tokens, origins, logs."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from textgate.errors import ConfigError, TextgateError

TOKEN_VARIABLE = "TEXTGATE_TOKEN"  # noqa: S105 - the name of a variable


@dataclass(frozen=True)
class Settings:
    """Settings of a service.

    Attributes:
        max_body: bytes of a request's body; a longer one is refused with 413.
        max_texts: texts of one request; more are refused with 413.
        max_characters: characters of one text; a longer one is refused with 413.
        queue: requests that may wait for a worker thread; a further one is refused with 503.
        timeout: seconds that a request may take to arrive, to be computed, and to be read.
        idle: seconds that a stream may be silent.
        tokens: bearer tokens, one of which a request must bring; if empty, no token is required.
        origins: web origins whose pages may call the service; none by default.
        access_log: file for one JSON object per request, ``-`` for standard error; None for none.
        traces: whether to make OpenTelemetry spans.
        poll: seconds between two checks of the bundles' folders; 0 for none.
    """

    max_body: int = 16 * 2**20
    max_texts: int = 10_000
    max_characters: int = 1_000_000
    queue: int = 64
    timeout: float = 30.0
    idle: float = 120.0
    tokens: tuple[str, ...] = ()
    origins: tuple[str, ...] = ()
    access_log: str | None = None
    traces: bool = False
    poll: float = 1.0

    def __post_init__(self) -> None:
        for name in ("max_body", "max_texts", "max_characters", "queue", "timeout", "idle"):
            if getattr(self, name) <= 0:
                raise ConfigError(f"{name} must be above 0, not {getattr(self, name)}")
        for token in self.tokens:
            if not token.isascii() or not token.isprintable():
                raise ConfigError("a token has characters that no header has; use printable ASCII")
            if not token or token != token.strip():
                raise ConfigError("a token is empty, or begins or ends with a space")


def read_tokens(path: Path | None) -> tuple[str, ...]:
    """Return the bearer tokens that are asked for.

    Args:
        path: a file with one token per line; None takes the variable TEXTGATE_TOKEN, if it is set.

    Raises:
        ConfigError: the file cannot be read, or the file or the variable has no token.
    """
    if path is None:
        token = os.environ.get(TOKEN_VARIABLE)
        if token is not None and not token.strip():
            raise ConfigError(f"{TOKEN_VARIABLE} is empty; unset it to serve without a token")
        return () if token is None else (token.strip(),)
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeError) as problem:
        reason = getattr(problem, "strerror", None) or "not UTF-8"
        raise ConfigError(f"{path}: the tokens cannot be read: {reason}") from None
    tokens = tuple(line.strip() for line in lines if line.strip())
    if not tokens:
        raise ConfigError(f"{path}: has no token; write one per line")
    return tokens


class ServiceError(TextgateError):
    """The service cannot start: its address, its certificate or its log cannot be used."""
