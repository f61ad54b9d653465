"""A teacher made of a frozen sentence transformer and a logistic regression.

The vectors of all texts are computed once. A teacher for other rows then takes seconds, where a
fine-tuned one takes half an hour. It is weaker than a fine-tuned one.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from textgate.train.pretraining.teacher import BATCH, SentenceTransformer
from textgate.train.training.checkpoint import read_tensors, reporting_damage, write_tensors

PENALTY = 0.05  # inverse of scikit-learn's C, for vectors of length 1
_STEPS = 300
_VECTORS, _TEXTS = "vectors", "texts"  # the tensor in the file, and its rows


class Vectors:
    """The vectors of texts by a sentence transformer, in a file that grows.

    Args:
        texts: the texts; those that the file does not have are read by the transformer.
        transformer: the folder of the sentence transformer.
        cache: the folder of the file.

    Attributes:
        name: the name of the transformer's folder.
    """

    def __init__(self, texts: Iterable[str], transformer: Path, cache: Path) -> None:
        self.name = transformer.name
        self._file = cache / f"{self.name}.safetensors"
        known, stored = self._read() if self._file.exists() else ([], None)
        new = sorted(set(texts).difference(known))
        if new:
            model = SentenceTransformer(
                transformer, torch.device("cpu"), bfloat16=None, sample=new[:BATCH]
            )
            found = model.vectors(new)
            if stored is not None:
                found = torch.cat([stored, found])
            write_tensors(self._file, {_VECTORS: found}, {_TEXTS: [*known, *new]})

    def of(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return the vectors of some of the texts, float32 [texts, width]."""
        known, stored = self._read()
        places = {text: place for place, text in enumerate(known)}
        return np.asarray(stored[[places[text] for text in texts]], dtype=np.float32)

    def _read(self) -> tuple[list[str], torch.Tensor]:
        with reporting_damage(self._file):
            tensors, values = read_tensors(self._file)
        return values[_TEXTS], tensors[_VECTORS]


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
