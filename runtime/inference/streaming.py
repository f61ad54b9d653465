"""Streams, which classify a text while it arrives, at the cost of the new tokens alone.

The text so far may end inside a word, whose token may still change. It is therefore cut after its
last separator (white space, or punctuation that is always a token by itself). The tokens before the
cut are settled and advance the network's state. The rest, at most the beginning of a word, is
scored from that state without advancing it, and again when it has grown.
"""

from __future__ import annotations

import codecs
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from textgate.errors import ConfigError, DataError
from textgate.inference.tokenizer import UNKNOWN_ID, reason_for_no_label, settled_length

if TYPE_CHECKING:
    from textgate.inference.prediction import Decision, Prediction
    from textgate.inference.session import Session
    from textgate.inference.tokenizer import TextTokenizer
    from textgate.native.session import NativeSession


class Stream:
    """One text, classified while it arrives. Make one with `Classifier.stream`.

    After every piece the prediction is that of `Classifier.predict` for the text so far, however
    the text is cut into pieces: the tokens are the same, and the scores are the same up to
    rounding. A piece costs its own tokens, and the tokenizing of the word that it continues. After
    the limit at which `predict` stops reading, the prediction no longer changes, and pieces cost
    nothing.

    A stream belongs to one thread; any number of them may share a classifier.
    """

    def __init__(
        self,
        tokenizer: TextTokenizer,
        session: Session | NativeSession,
        decision: Decision,
    ) -> None:
        self._tokenizer = tokenizer
        self._session = session
        self._decision = decision
        self._undecoded = b""
        self._room = tokenizer.max_characters
        self._rest = ""
        self._settled = _BEGINNING
        self._ahead: tuple[list[int], _Position] = ([], _BEGINNING)
        self._prediction: Prediction | None = None
        self._over = False
        self._finished = False

    def feed(self, piece: str | bytes, *, final: bool = False) -> Prediction:
        """Take the next piece of the text and return the prediction for the text so far.

        Args:
            piece: text, or UTF-8 cut anywhere: an incomplete character is kept for the next piece,
                and invalid bytes are read as U+FFFD. Text may follow bytes that end with a
                complete character.
            final: whether the text ends here.

        Raises:
            ConfigError: the stream was finished.
            DataError: the piece is neither text nor bytes, or it is text inside a character.
        """
        if self._finished:
            raise ConfigError("the stream is finished; another text needs another stream")
        text = self._decoded(piece, final=final)
        self._finished = final
        if self._prediction is None or (text and not self._over):
            self._prediction = self._read(text)
        return self._prediction

    def finish(self) -> Prediction:
        """Return the prediction for the whole text, and end the stream.

        Raises:
            ConfigError: the stream was finished before.
        """
        return self.feed("", final=True)

    def copy(self) -> Stream:
        """Return an independent stream with the same text so far, for another continuation."""
        other = object.__new__(type(self))
        other.__dict__.update(self.__dict__)  # its attributes are replaced, never changed
        return other

    def _decoded(self, piece: object, *, final: bool) -> str:
        if isinstance(piece, str):
            if not self._undecoded:
                return piece
            if piece:
                raise DataError(
                    "a piece of text follows bytes that end inside a character; feed the rest of "
                    "its bytes first"
                )
            return self._characters(b"", final=final)
        if not isinstance(piece, bytes | bytearray | memoryview):
            raise DataError(f"a stream takes text or bytes, not {type(piece).__name__}")
        return self._characters(piece, final=final)

    def _characters(self, piece: bytes | bytearray | memoryview, *, final: bool) -> str:
        """Return the complete characters, and keep the bytes of an incomplete one."""
        data = self._undecoded + bytes(piece)
        text, used = codecs.utf_8_decode(data, "replace", final)
        self._undecoded = data[used:]
        return text

    def _read(self, text: str) -> Prediction:
        """Read more text and return the prediction for the text so far."""
        seen, beyond = text[: self._room], len(text) > self._room
        self._room -= len(seen)
        cut = settled_length(seen)  # the rest so far holds no separator
        if cut:
            ids = self._tokenizer.token_ids(self._rest + seen[:cut])
            self._rest = seen[cut:]
            self._settled, beyond_settled = self._reached(ids)
            self._ahead = ([], self._settled)
            self._over = beyond_settled
        else:
            self._rest += seen
        ids = self._tokenizer.token_ids(self._rest)
        reached, beyond_ahead = self._reached(ids)
        self._ahead = (ids[: reached.tokens - self._settled.tokens], reached)
        self._over = self._over or beyond
        truncated = self._over or beyond_ahead
        reason = (
            None
            if reached.known
            else reason_for_no_label(tokens=reached.tokens, truncated=truncated)
        )
        if not reached.tokens:
            reached = self._run(_BEGINNING, [UNKNOWN_ID])  # as an empty text is read
        return self._decision.predict(
            reached.probabilities, tokens=reached.tokens, truncated=truncated, reason=reason
        )

    def _reached(self, ids: list[int]) -> tuple[_Position, bool]:
        """Return the position after these tokens, and whether some are beyond the limit.

        The tokens that were run ahead before are not run again.
        """
        room = self._tokenizer.max_tokens - self._settled.tokens
        known, position = self._ahead
        if ids[: len(known)] == known:
            reached = self._run(position, ids[len(known) : room])
        else:
            reached = self._run(self._settled, ids[:room])
        return reached, len(ids) > room

    def _run(self, position: _Position, ids: list[int]) -> _Position:
        """Return the position after tokens that follow a position."""
        if not ids:
            return position
        probabilities, state = self._session.read(ids, position.state, keep_state=True)
        return _Position(
            tokens=position.tokens + len(ids),
            known=position.known or self._tokenizer.knows(ids),
            state=state,
            probabilities=probabilities,
        )


class _Position(NamedTuple):
    """State of the network after some tokens, which several streams may share."""

    tokens: int
    known: bool  # whether one of the tokens is known
    state: Any  # of the session's own kind; None at the beginning
    probabilities: Sequence[float]


_BEGINNING = _Position(tokens=0, known=False, state=None, probabilities=())
