"""Guarding a text while it arrives: pieces pass until a label is sure, then the rest is cut off."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Collection, Iterable, Iterator
from typing import TYPE_CHECKING, overload

from textgate.errors import ConfigError
from textgate.inference.arguments import checked_fraction
from textgate.messages import did_you_mean

if TYPE_CHECKING:
    from textgate.inference.classifier import Classifier
    from textgate.inference.prediction import Prediction


@overload
def guard(
    pieces: Iterable[str],
    classifier: Classifier,
    *,
    stop_at: float,
    labels: Collection[str] | None = None,
) -> Guarded: ...
@overload
def guard(
    pieces: AsyncIterable[str],
    classifier: Classifier,
    *,
    stop_at: float,
    labels: Collection[str] | None = None,
) -> AsyncGuarded: ...
def guard(
    pieces: Iterable[str] | AsyncIterable[str],
    classifier: Classifier,
    *,
    stop_at: float,
    labels: Collection[str] | None = None,
) -> Guarded | AsyncGuarded:
    """Return an iterator over the pieces of a text that ends as soon as a label is sure.

    The piece that makes it sure is not yielded, and the source is closed. `stopped` is then the
    prediction that ended the text; it stays None if the text came through.

    Args:
        pieces: the text, cut anywhere: what a language model streams, for instance. An
            asynchronous iterable gives an asynchronous iterator.
        classifier: a classifier that can stream.
        stop_at: the score, above 0 and up to 1, at which a label that applies is sure.
        labels: the labels that end the text; None for any.

    Raises:
        ConfigError: the classifier cannot stream, `stop_at` is out of range, or a label is not one
            of the classifier's.
    """
    check = _Check(classifier, stop_at, labels)
    if isinstance(pieces, AsyncIterable):
        return AsyncGuarded(pieces, check)
    return Guarded(pieces, check)


def is_sure(prediction: Prediction, stop_at: float, labels: Collection[str] | None = None) -> bool:
    """Return whether a label that applies, one of these if they are given, has such a score."""
    return any(
        prediction.scores[label] >= stop_at
        for label in prediction.labels
        if labels is None or label in labels
    )


def require_labels(labels: Collection[str] | None, known: Collection[str]) -> None:
    """Refuse labels that a classifier does not have.

    Raises:
        ConfigError: one of them is not known.
    """
    for label in labels or ():
        if label not in known:
            raise ConfigError(
                f"{label!r} is not a label{did_you_mean(label, known)}; the labels are "
                f"{', '.join(known)}"
            )


class _Check:
    """The stream that pieces are fed to, and when it ends them."""

    def __init__(
        self, classifier: Classifier, stop_at: float, labels: Collection[str] | None
    ) -> None:
        labels = [labels] if isinstance(labels, str) else labels
        require_labels(labels, classifier.labels)
        self._stream = classifier.stream()
        self._stop_at = checked_fraction(stop_at, "stop_at", positive=True)
        self._labels = labels

    def stops(self, piece: str) -> Prediction | None:
        """Return the prediction that ends the text; None if it continues."""
        prediction = self._stream.feed(piece)
        return prediction if is_sure(prediction, self._stop_at, self._labels) else None


class Guarded(Iterator[str]):
    """Pieces that passed. Made by `guard`.

    Attributes:
        stopped: the prediction that ended the text, None if none did.
    """

    def __init__(self, pieces: Iterable[str], check: _Check) -> None:
        self._pieces = iter(pieces)
        self._check = check
        self.stopped: Prediction | None = None

    def __next__(self) -> str:
        if self.stopped is not None:
            raise StopIteration
        piece = next(self._pieces)
        self.stopped = self._check.stops(piece)
        if self.stopped is None:
            return piece
        close = getattr(self._pieces, "close", None)
        if close is not None:
            close()
        raise StopIteration


class AsyncGuarded(AsyncIterator[str]):
    """Pieces that passed, asynchronously. Made by `guard`.

    Attributes:
        stopped: the prediction that ended the text, None if none did.
    """

    def __init__(self, pieces: AsyncIterable[str], check: _Check) -> None:
        self._pieces = aiter(pieces)
        self._check = check
        self.stopped: Prediction | None = None

    async def __anext__(self) -> str:
        if self.stopped is not None:
            raise StopAsyncIteration
        piece = await anext(self._pieces)
        self.stopped = self._check.stops(piece)
        if self.stopped is None:
            return piece
        close = getattr(self._pieces, "aclose", None)
        if close is not None:
            await close()
        raise StopAsyncIteration
