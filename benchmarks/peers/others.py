"""Peers that are no neural network: what people reach for when a text must be classified fast."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path

from textgate.rows import load_labelled

Predict = Callable[[str], list[float]]
_TRAIN = Path(__file__).parents[2] / "examples" / "reviews" / "train.jsonl.gz"


def prepare_fasttext(folder: Path, _references: Path) -> None:
    """Train fastText as its tutorial does: word pairs, and more epochs than by default."""
    import fasttext

    rows = load_labelled(_TRAIN)
    text = "".join(f"__label__{row.labels[0]} {' '.join(row.text.split())}\n" for row in rows)
    (folder / "train.txt").write_text(text, encoding="utf-8")
    model = fasttext.train_supervised(
        str(folder / "train.txt"), wordNgrams=2, epoch=25, lr=0.5, thread=1, verbose=0
    )
    model.save_model(str(folder / "model.bin"))


def load_fasttext(folder: Path, _references: Path) -> Predict:
    """Return the trained model."""
    import fasttext

    model = fasttext.load_model(str(folder / "model.bin"))
    return lambda text: sorted(float(value) for value in model.predict(text, k=2)[1])


def prepare_linear(folder: Path, _references: Path) -> None:
    """Fit logistic regression on TF-IDF of words and word pairs."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    rows = load_labelled(_TRAIN)
    model = make_pipeline(
        TfidfVectorizer(ngram_range=(1, 2), min_df=2, sublinear_tf=True),
        LogisticRegression(C=10, max_iter=1000),
    )
    model.fit([row.text for row in rows], [row.labels[0] for row in rows])
    (folder / "model.pickle").write_bytes(pickle.dumps(model))


def load_linear(folder: Path, _references: Path) -> Predict:
    """Return the fitted pipeline."""
    # scikit-learn's own way to keep a model; this one was written a moment ago by `prepare_linear`.
    model = pickle.loads((folder / "model.pickle").read_bytes())  # noqa: S301
    return lambda text: [float(value) for value in model.predict_proba([text])[0]]
