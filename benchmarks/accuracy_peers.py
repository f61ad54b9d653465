"""The linear peers of the accuracy benchmark, tuned on dev as their documentation recommends."""

from __future__ import annotations

import importlib.util
import itertools
import pickle
import tempfile
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sets import Split

from textgate.rows import Row


@dataclass(frozen=True)
class Outcome:
    """What a peer came to.

    Attributes:
        predicted: its label for each test row.
        macro_f1: on the test rows.
        seconds: of training with the settings chosen.
        setting: those settings, in words.
        classify: classifies one text.
        bytes: of the model as the package writes it.
    """

    predicted: list[str]
    macro_f1: float
    seconds: float
    setting: str
    classify: Callable[[str], object]
    bytes: int


@dataclass(frozen=True)
class Peer:
    """One peer: the module it needs, and what trains it with all its settings and picks one."""

    module: str
    run: Callable[[Split], Outcome]


def missing(name: str) -> str | None:
    """Return the module that a peer needs and that is not there, or None."""
    module = PEERS[name].module
    return None if importlib.util.find_spec(module) else module


def _tfidf(split: Split) -> Outcome:
    """Words and pairs of words, sublinear TF-IDF; C and the pairs chosen on dev."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression

    train, dev = split.rows
    best: tuple[float, Any, Any, float, str] | None = None
    for longest, cased in itertools.product((1, 2), (False, True)):
        vectorizer = TfidfVectorizer(
            ngram_range=(1, longest), sublinear_tf=True, lowercase=not cased, token_pattern=_WORDS
        )
        features = vectorizer.fit_transform(_texts(train))
        dev_features = vectorizer.transform(_texts(dev))
        for strength in (0.3, 1, 3, 10, 30, 100):
            started = time.perf_counter()
            model = LogisticRegression(C=strength, max_iter=1000)
            model.fit(features, _labels(train))
            seconds = time.perf_counter() - started
            score = float(model.score(dev_features, _labels(dev)))
            setting = f"{longest}-grams, C={strength}, {'cased' if cased else 'lower case'}"
            if best is None or score > best[0]:
                best = (score, vectorizer, model, seconds, setting)
    assert best is not None  # noqa: S101 - the loops above run
    _, vectorizer, model, seconds, setting = best
    predicted = model.predict(vectorizer.transform(_texts(split.test_rows)))
    return _outcome(
        split,
        list(predicted),
        seconds,
        setting,
        classify=lambda text: model.predict_proba(vectorizer.transform([text])),
        size=len(pickle.dumps((vectorizer, model))),
    )


def _fasttext(split: Split) -> Outcome:
    """FastText with pairs of words; rate, epochs and width chosen on dev."""
    import fasttext

    train, dev = split.rows
    best: tuple[float, Any, float, str] | None = None
    names = {name: f"__label__{place}" for place, name in enumerate(sorted(set(_labels(train))))}
    back = {tag: name for name, tag in names.items()}
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "train.txt"
        lines = (f"{names[row.labels[0]]} {_line(row.text)}\n" for row in train)
        file.write_text("".join(lines), encoding="utf-8")
        for rate, epochs, width in itertools.product((0.1, 0.5, 1.0), (5, 15, 40), (50,)):
            started = time.perf_counter()
            model = fasttext.train_supervised(
                str(file), lr=rate, epoch=epochs, wordNgrams=2, dim=width, thread=1, verbose=0
            )
            seconds = time.perf_counter() - started
            found = [back[tag] for tag in _tags(model, dev)]
            score = sum(a == b for a, b in zip(found, _labels(dev), strict=True)) / len(dev)
            setting = f"2-grams, lr={rate}, epoch={epochs}, dim={width}"
            if best is None or score > best[0]:
                best = (score, model, seconds, setting)
        assert best is not None  # noqa: S101 - the loop above runs
        _, model, seconds, setting = best
        predicted = [back[tag] for tag in _tags(model, split.test_rows)]
        written = Path(folder) / "model.bin"
        model.save_model(str(written))
        size = written.stat().st_size
    return _outcome(
        split,
        predicted,
        seconds,
        setting,
        classify=lambda text: model.predict(_line(text)),
        size=size,
    )


_WORDS = r"(?u)\w+|[^\w\s]"
PEERS = {"TF-IDF": Peer("sklearn", _tfidf), "fastText": Peer("fasttext", _fasttext)}


def _outcome(
    split: Split,
    predicted: list[str],
    seconds: float,
    setting: str,
    *,
    classify: Callable[[str], object],
    size: int,
) -> Outcome:
    scores = []
    for name in sorted(set(split.test_labels)):
        pairs = list(zip(predicted, split.test_labels, strict=True))
        hits = sum(a == b == name for a, b in pairs)
        named = sum(a == name for a, _ in pairs) + sum(b == name for _, b in pairs)
        scores.append(2 * hits / named)
    return Outcome(predicted, sum(scores) / len(scores), seconds, setting, classify, size)


def _tags(model: Any, rows: Iterable[Row]) -> list[str]:
    return [model.predict(_line(row.text))[0][0] for row in rows]


def _line(text: str) -> str:
    """Return a text as fastText's tutorial prepares it: lower case, punctuation set apart."""
    spaced = "".join(
        character if character.isalnum() or character.isspace() else f" {character} "
        for character in text.lower()
    )
    return " ".join(spaced.split())


def _texts(rows: Iterable[Row]) -> list[str]:
    return [row.text for row in rows]


def _labels(rows: Iterable[Row]) -> list[str]:
    return [row.labels[0] for row in rows]
