"""Linear peers of the accuracy benchmark, tuned on dev as their documentation recommends."""

from __future__ import annotations

import importlib.util
import itertools
import pickle
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from sets import Split

from textgate.evaluation.metrics import evaluate_single_label
from textgate.rows import Row

_WORDS = r"(?u)\w+|[^\w\s]"


class Outcome(NamedTuple):
    """Figures of a peer on the test rows, with the best settings on dev."""

    accuracy: float
    macro_f1: float
    seconds: float  # of training
    setting: str
    classify: Callable[[str], object]  # one text
    bytes: int  # of the saved model


class _Fitted(NamedTuple):
    """A model trained with one setting, and its training time."""

    model: Any
    seconds: float
    setting: str


def missing(name: str) -> str | None:
    """Return the missing module of a peer, or None."""
    return None if importlib.util.find_spec(MODULES[name]) else MODULES[name]


def outcome(name: str, split: Split) -> Outcome:
    """Train a peer with all its settings, select one on dev, and score it on the test rows."""
    with tempfile.TemporaryDirectory() as folder:
        return {"TF-IDF": _tfidf, "fastText": _fasttext}[name](split, Path(folder))


def _tfidf(split: Split, _folder: Path) -> Outcome:
    """Sublinear TF-IDF of words and word bigrams; C, bigrams and case are selected on dev."""
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
    """FastText with word bigrams; learning rate and epochs are selected on dev."""
    import fasttext

    names, dev = _write_rows(split, folder), split.rows[1]

    def score(one: _Fitted) -> int:
        found = _predicted(one.model, names, dev)
        return sum(a == b for a, b in zip(found, _labels(dev), strict=True))

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
    predicted = _predicted(best.model, names, split.test_rows)
    return _outcome(split, best, predicted, lambda text: best.model.predict(_line(text)), size)


def autotuned(split: Split, seconds: int) -> Outcome:
    """Let fastText look for its settings on dev for some seconds, and score it on the test rows."""
    import fasttext

    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        names = _write_rows(split, folder)
        started = time.perf_counter()
        model = fasttext.train_supervised(
            str(folder / "train.txt"),
            autotuneValidationFile=str(folder / "dev.txt"),
            autotuneDuration=seconds,
            thread=1,
            verbose=0,
        )
        taken = time.perf_counter() - started
        found = model.f.getArgs()
        setting = f"{found.wordNgrams}-grams, lr={found.lr:.3g}, epoch={found.epoch}, "
        setting += f"dim={found.dim}"
        model.save_model(str(folder / "model.bin"))
        size = (folder / "model.bin").stat().st_size
    predicted = _predicted(model, names, split.test_rows)
    fitted = _Fitted(model, taken, setting)
    return _outcome(split, fitted, predicted, lambda text: model.predict(_line(text)), size)


def _write_rows(split: Split, folder: Path) -> dict[str, str]:
    """Write the training and dev rows as fastText reads them, and return the labels by tag."""
    train, dev = split.rows
    tags = {name: f"__label__{index}" for index, name in enumerate(sorted(set(_labels(train))))}
    for name, rows in (("train", train), ("dev", dev)):
        lines = (f"{tags[row.labels[0]]} {_line(row.text)}\n" for row in rows)
        (folder / f"{name}.txt").write_text("".join(lines), encoding="utf-8")
    return {tag: name for name, tag in tags.items()}


def _predicted(model: Any, names: Mapping[str, str], rows: Iterable[Row]) -> list[str]:
    return [names[model.predict(_line(row.text))[0][0]] for row in rows]


MODULES = {"TF-IDF": "sklearn", "fastText": "fasttext"}


def _outcome(
    split: Split,
    fitted: _Fitted,
    predicted: list[str],
    classify: Callable[[str], object],
    size: int,
) -> Outcome:
    names = sorted({*split.test_labels, *_labels(split.rows[0])})
    columns = {name: index for index, name in enumerate(names)}
    answers = np.eye(len(names))[[columns[label] for label in predicted]]
    truth = [columns[label] for label in split.test_labels]
    found = evaluate_single_label(answers, truth, names)
    return Outcome(found.accuracy, found.macro_f1, fitted.seconds, fitted.setting, classify, size)


def _line(text: str) -> str:
    """Return a text as fastText's tutorial prepares it: lower case, punctuation separated."""
    spaced = (c if c.isalnum() or c.isspace() else f" {c} " for c in text.lower())
    return " ".join("".join(spaced).split())


def _texts(rows: Sequence[Row]) -> list[str]:
    return [row.text for row in rows]


def _labels(rows: Sequence[Row]) -> list[str]:
    return [row.labels[0] for row in rows]
