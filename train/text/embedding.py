"""What the embedding starts from: pretrained vectors for words, their averages for pieces."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
from tokenizers import Tokenizer

from textgate.errors import ConfigError
from textgate.inference.tokenizer import PADDING_ID, UNKNOWN_ID
from textgate.train.text.subwords import piece_count, split_words
from textgate.train.text.vectors import ENGLISH, NO_VECTORS, load_vectors

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from textgate.train.text.vectors import Vectors

_SPREAD = 0.5  # of what has no vector, as a share of the vectors' own spread
_SPELLED = 20_000  # words outside the vocabulary that the pieces are learned from
_OTHER_WORDS = 100_000  # that no training text holds, but others may


def find_vectors(spec: str, texts: Iterable[str]) -> Vectors | None:
    """Return the vectors that may be of use for texts, or None.

    Args:
        spec: what to take, see `textgate.train.text.vectors`, or ``none``.
        texts: those that will be read; a file's other vectors are left where they are.

    Raises:
        DataError: the vectors are missing or malformed.
    """
    if spec == NO_VECTORS:
        return None
    if spec == ENGLISH:  # few enough to take them all, and leave the texts unread
        return load_vectors(spec)
    return load_vectors(spec, wanted=_Wanted(texts))


def initial_embedding(
    tokenizer_json: str, vectors: Vectors, *, rows: int, size: int, seed: int
) -> NDArray[np.float32]:
    """Return an embedding, float32 [rows, size], whose words have their pretrained vectors.

    A piece gets the mean vector of words that are spelled with it; what is left is random. Vectors
    that are wider than the embedding are projected to their principal components.

    Args:
        tokenizer_json: the tokenizer, of words or of subwords.
        vectors: the pretrained vectors.
        rows: rows of the embedding.
        size: its columns.
        seed: of what is random.

    Raises:
        ConfigError: the vectors are narrower than the embedding.
    """
    matrix = _fitted(vectors, size)
    spread = float(matrix.std())
    generator = np.random.default_rng([seed, 1])
    table = generator.normal(0.0, _SPREAD * spread, (rows, size)).astype(np.float32)
    model = json.loads(tokenizer_json)["model"]
    vocabulary: dict[str, int] = model["vocab"]
    spelled = {}
    if model.get("type") == "BPE":
        spelled = _piece_vectors(tokenizer_json, vocabulary, vectors, matrix)
    for token, place in vocabulary.items():
        row = vectors.words.get(token)
        if row is not None:
            table[place] = matrix[row]
        elif place in spelled:
            table[place] = spelled[place]
    table[[PADDING_ID, UNKNOWN_ID]] = 0.0
    return table


def _fitted(vectors: Vectors, size: int) -> NDArray[np.float32]:
    matrix, width = vectors.matrix, vectors.dims
    if width < size:
        raise ConfigError(
            f"embedding_size {size} is wider than the vectors {vectors.name}, which have {width} "
            f"columns; choose at most {width}, or other vectors"
        )
    if width == size:
        return matrix
    # The directions of the largest second moments: projecting keeps as much of each vector as can.
    _, directions = np.linalg.eigh(matrix.T.astype(np.float64) @ matrix)
    projected: NDArray[np.float32] = (matrix @ directions[:, ::-1][:, :size]).astype(np.float32)
    return projected


def _piece_vectors(
    tokenizer_json: str, vocabulary: dict[str, int], vectors: Vectors, matrix: NDArray[np.float32]
) -> dict[int, NDArray[np.float32]]:
    """Return the mean vector of the words that each piece is part of, by the piece's id."""
    outside = [word for word in vectors.words if word not in vocabulary][:_SPELLED]
    if not outside:
        return {}
    pieces = piece_count(tokenizer_json)
    sums: dict[int, list[int]] = {}
    encodings = Tokenizer.from_str(tokenizer_json).encode_batch_fast(outside)
    for word, encoding in zip(outside, encodings, strict=True):
        for place in encoding.ids:
            if place < pieces:
                sums.setdefault(place, []).append(vectors.words[word])
    return {place: matrix[rows].mean(axis=0) for place, rows in sums.items()}


class _Wanted:
    """The words whose vectors are read: those of the texts, and the most frequent others.

    Files of vectors may have millions of words, of which a vocabulary takes a few thousand.
    """

    def __init__(self, texts: Iterable[str]) -> None:
        self._words = {word for text in texts for word in split_words(text)}
        self._others = _OTHER_WORDS

    def __contains__(self, word: object) -> bool:
        """Return whether a word is wanted; each is asked for once, the most frequent first."""
        if word in self._words:
            return True
        self._others -= 1
        return self._others >= 0
