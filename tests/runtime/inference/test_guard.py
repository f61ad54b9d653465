"""A guarded text: pieces pass until a label is sure."""

from __future__ import annotations

import asyncio

import pytest

from textgate import Classifier, ConfigError, guard

GOOD = ["a great , ", "funny and moving ", "film , "]
BAD = [
    "but then ",
    "bad , bad , bad , bad , bad , bad , ",
    "bad , bad , bad , bad , bad , ",
    "and more",
]


@pytest.fixture(scope="module")
def classifier(bundle):
    return Classifier.load(bundle)


class Source:
    """Gives pieces, and knows how many it gave and whether it was closed."""

    def __init__(self, pieces):
        self.pieces, self.given, self.closed = list(pieces), 0, False

    def __iter__(self):
        return self

    def __next__(self):
        if self.given == len(self.pieces):
            raise StopIteration
        self.given += 1
        return self.pieces[self.given - 1]

    def close(self):
        self.closed = True


class AsyncSource:
    def __init__(self, pieces):
        self.source = Source(pieces)

    def __aiter__(self):
        return self

    async def __anext__(self):
        await asyncio.sleep(0)
        try:
            return next(self.source)
        except StopIteration:
            raise StopAsyncIteration from None

    async def aclose(self):
        self.source.close()


def first_sure(classifier, pieces, label, stop_at):
    """The number of pieces before the label is sure."""
    stream = classifier.stream()
    for index, piece in enumerate(pieces):
        prediction = stream.feed(piece)
        if label in prediction.labels and prediction.scores[label] >= stop_at:
            return index
    return None


def test_pieces_pass_until_the_label_is_sure_and_the_source_is_closed(classifier):
    source = Source(GOOD + BAD)
    passed = first_sure(classifier, source.pieces, "negative", 0.6)
    assert passed is not None
    guarded = guard(source, classifier, stop_at=0.6, labels={"negative"})
    assert list(guarded) == source.pieces[:passed]
    assert guarded.stopped.label == "negative"
    assert source.closed
    assert source.given == passed + 1
    assert list(guarded) == []


def test_the_same_for_pieces_that_arrive_asynchronously(classifier):
    source = AsyncSource(GOOD + BAD)
    guarded = guard(source, classifier, stop_at=0.6, labels=["negative"])

    async def collected():
        return [piece async for piece in guarded] + [piece async for piece in guarded]

    passed = first_sure(classifier, GOOD + BAD, "negative", 0.6)
    assert asyncio.run(collected()) == (GOOD + BAD)[:passed]
    assert guarded.stopped.label == "negative"
    assert source.source.closed


def test_a_text_without_a_sure_label_passes_whole(classifier):
    guarded = guard(iter(GOOD), classifier, stop_at=1.0, labels="negative")
    assert list(guarded) == GOOD
    assert guarded.stopped is None


def test_without_labels_any_label_ends_the_text(classifier):
    guarded = guard(GOOD, classifier, stop_at=0.01)
    assert list(guarded) == []
    assert guarded.stopped is not None


@pytest.mark.parametrize(
    "wrong", [{"stop_at": 0}, {"stop_at": 95}, {"stop_at": 0.5, "labels": ["nice"]}], ids=str
)
def test_what_is_wrong_is_refused_before_a_piece_is_read(classifier, wrong):
    source = Source(GOOD)
    with pytest.raises(ConfigError):
        guard(source, classifier, **wrong)
    assert source.given == 0
