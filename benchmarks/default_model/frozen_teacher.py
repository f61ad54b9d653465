"""A teacher made of a frozen sentence transformer and a logistic regression.

The vectors of all texts are computed once. A teacher for other rows then takes seconds, where a
fine-tuned one takes half an hour. It is weaker than a fine-tuned one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from textgate.train.pretraining.teacher import BATCH, SentenceTransformer

PENALTY = 0.05  # inverse of scikit-learn's C, for vectors of length 1
_STEPS = 300


class Vectors:
    """The vectors of texts by a sentence transformer, in a file.

    Args:
        texts: the texts; one that is repeated is read once.
        transformer: the folder of the sentence transformer.
        cache: the folder of the file, which is written if it is not there.
    """

    def __init__(self, texts: Sequence[str], transformer: Path, cache: Path) -> None:
        self._texts = sorted(set(texts))
        self._places: dict[str, int] = {}
        found = hashlib.sha256("\0".join([str(transformer.resolve()), *self._texts]).encode())
        self._file = cache / f"vectors-{found.hexdigest()[:16]}.npy"
        if not self._file.exists():
            model = SentenceTransformer(
                transformer, torch.device("cpu"), bfloat16=None, sample=self._texts[:BATCH]
            )
            np.save(self._file, model.vectors(self._texts).numpy())

    def of(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return the vectors of some of the texts, float32 [texts, width]."""
        if not self._places:
            self._places = {text: place for place, text in enumerate(self._texts)}
        stored = np.load(self._file, mmap_mode="r")
        return np.asarray(stored[[self._places[text] for text in texts]], dtype=np.float32)


def answers(
    vectors: NDArray[np.float32],
    labels: Sequence[str],
    asked: NDArray[np.float32],
    names: Sequence[str],
) -> NDArray[np.float32]:
    """Return the probabilities of labels for texts, float32 [texts, labels].

    Args:
        vectors: the vectors of labelled texts, float32 [texts, width].
        labels: their labels.
        asked: the vectors of the texts to label, float32 [texts, width].
        names: the labels, in the order of the columns.
    """
    from sklearn.linear_model import LogisticRegression

    regression = LogisticRegression(C=1 / PENALTY, max_iter=_STEPS).fit(vectors, labels)
    columns = [list(regression.classes_).index(name) for name in names]
    return np.asarray(regression.predict_proba(asked)[:, columns], dtype=np.float32)
