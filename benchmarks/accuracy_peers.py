"""The linear peers of the accuracy benchmark, tuned on dev as their documentation recommends."""

from __future__ import annotations

import importlib.util
import itertools
import pickle
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from sets import Split

from textgate.rows import Row

_WORDS = r"(?u)\w+|[^\w\s]"


class Outcome(NamedTuple):
    """What a peer came to on the test rows, with the settings that are the best on dev."""

    accuracy: float
    macro_f1: float
    seconds: float  # of training
    setting: str  # in words
    classify: Callable[[str], object]  # one text
    bytes: int  # of the model as the package writes it


class _Fitted(NamedTuple):
    """A model with some settings, and how long it took to train."""

    model: Any
    seconds: float
    setting: str


def missing(name: str) -> str | None:
    """Return the module that a peer needs and that is not there, or None."""
    return None if importlib.util.find_spec(MODULES[name]) else MODULES[name]


def outcome(name: str, split: Split) -> Outcome:
    """Train a peer with all its settings, pick one on dev, and classify the test rows."""
    with tempfile.TemporaryDirectory() as folder:
        return {"TF-IDF": _tfidf, "fastText": _fasttext}[name](split, Path(folder))


def _tfidf(split: Split, _folder: Path) -> Outcome:
    """Words and pairs of words, sublinear TF-IDF; C and the pairs chosen on dev."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    train, dev = split.rows

    def fitted() -> Iterator[_Fitted]:
        for longest, cased in itertools.product((1, 2), (False, True)):
            settings = {"ngram_range": (1, longest), "lowercase": not cased}
            vectorizer = TfidfVectorizer(sublinear_tf=True, token_pattern=_WORDS, **settings)
            features = vectorizer.fit_transform(_texts(train))
            for strength in (0.3, 1, 3, 10, 30, 100):
                started = time.perf_counter()
                model = LogisticRegression(C=strength, max_iter=1000)
                model.fit(features, _labels(train))
                seconds = time.perf_counter() - started
                setting = f"{longest}-grams, C={strength}, {'cased' if cased else 'lower case'}"
                yield _Fitted(make_pipeline(vectorizer, model), seconds, setting)

    best = max(fitted(), key=lambda one: float(one.model.score(_texts(dev), _labels(dev))))
    predicted = list(best.model.predict(_texts(split.test_rows)))
    size = len(pickle.dumps(best.model))
    return _outcome(split, best, predicted, lambda text: best.model.predict_proba([text]), size)


def _fasttext(split: Split, folder: Path) -> Outcome:
    """FastText with pairs of words; rate and epochs chosen on dev."""
    import fasttext

    train, dev = split.rows
    tags = {name: f"__label__{place}" for place, name in enumerate(sorted(set(_labels(train))))}
    names = {tag: name for name, tag in tags.items()}
    lines = (f"{tags[row.labels[0]]} {_line(row.text)}\n" for row in train)
    (folder / "train.txt").write_text("".join(lines), encoding="utf-8")

    def predict(model: Any, rows: Iterable[Row]) -> list[str]:
        return [names[model.predict(_line(row.text))[0][0]] for row in rows]

    def score(one: _Fitted) -> int:
        return sum(a == b for a, b in zip(predict(one.model, dev), _labels(dev), strict=True))

    def fitted() -> Iterator[_Fitted]:
        for rate, epochs in itertools.product((0.1, 0.5, 1.0), (5, 15, 40)):
            started = time.perf_counter()
            settings = {"lr": rate, "epoch": epochs, "wordNgrams": 2, "dim": 50}
            file = str(folder / "train.txt")
            model = fasttext.train_supervised(file, thread=1, verbose=0, **settings)
            seconds = time.perf_counter() - started
            yield _Fitted(model, seconds, f"2-grams, lr={rate}, epoch={epochs}, dim=50")

    best = max(fitted(), key=score)
    best.model.save_model(str(folder / "model.bin"))
    size = (folder / "model.bin").stat().st_size
    predicted = predict(best.model, split.test_rows)
    return _outcome(split, best, predicted, lambda text: best.model.predict(_line(text)), size)


MODULES = {"TF-IDF": "sklearn", "fastText": "fasttext"}


def _outcome(
    split: Split,
    fitted: _Fitted,
    predicted: list[str],
    classify: Callable[[str], object],
    size: int,
) -> Outcome:
    scores = []
    for name in sorted(set(split.test_labels)):
        hits = sum(a == b == name for a, b in zip(predicted, split.test_labels, strict=True))
        named = predicted.count(name) + split.test_labels.count(name)
        scores.append(2 * hits / named)
    macro_f1 = sum(scores) / len(scores)
    right = [a == b for a, b in zip(predicted, split.test_labels, strict=True)]
    accuracy = sum(right) / len(right)
    return Outcome(accuracy, macro_f1, fitted.seconds, fitted.setting, classify, size)


def _line(text: str) -> str:
    """Return a text as fastText's tutorial prepares it: lower case, punctuation set apart."""
    spaced = (c if c.isalnum() or c.isspace() else f" {c} " for c in text.lower())
    return " ".join("".join(spaced).split())


def _texts(rows: Sequence[Row]) -> list[str]:
    return [row.text for row in rows]


def _labels(rows: Sequence[Row]) -> list[str]:
    return [row.labels[0] for row in rows]
