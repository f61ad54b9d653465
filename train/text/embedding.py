"""Initial embedding: pretrained vectors for words, their means for pieces."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
from tokenizers import Tokenizer

from textgate.errors import ConfigError
from textgate.inference.tokenizer import PADDING_ID, UNKNOWN_ID
from textgate.train.text.subwords import piece_count, split_words
from textgate.train.text.vectors import ENGLISH_VECTORS, NO_VECTORS, load_vectors

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from textgate.train.text.vectors import Vectors

_RANDOM_SPREAD = 0.5  # standard deviation of random rows, as a fraction of that of the vectors
_MAX_SPELLED_WORDS = 20_000  # words outside the vocabulary whose vectors are averaged for pieces
_MAX_OTHER_WORDS = 100_000  # words that are in no training text


def find_vectors(spec: str, texts: Iterable[str]) -> Vectors | None:
    """Return the vectors that are useful for texts, or None.

    Args:
        spec: the vectors, see `load_vectors`, or ``none``.
        texts: the training texts; most other words of a file are not loaded.

    Raises:
        DataError: the vectors are missing or malformed.
    """
    if spec == NO_VECTORS:
        return None
    if spec == ENGLISH_VECTORS:  # few enough to load them all without reading the texts
        return load_vectors(spec)
    return load_vectors(spec, wanted=_WantedWords(texts))


def initial_embedding(
    tokenizer_json: str, vectors: Vectors, *, rows: int, size: int, seed: int
) -> NDArray[np.float32]:
    """Return an embedding, float32 [rows, size], with the pretrained vectors of its words.

    A piece gets the mean vector of the words that are spelled with it; the other rows are random.
    Vectors that are wider than the embedding are projected to their principal components.

    Args:
        tokenizer_json: a tokenizer of words or subwords.
        vectors: the pretrained vectors.
        rows: rows of the embedding.
        size: columns of the embedding.
        seed: seed of the random rows.

    Raises:
        ConfigError: the vectors are narrower than the embedding.
    """
    matrix = _fitted(vectors, size)
    spread = float(matrix.std())
    generator = np.random.default_rng([seed, 1])
    table = generator.normal(0.0, _RANDOM_SPREAD * spread, (rows, size)).astype(np.float32)
    model = json.loads(tokenizer_json)["model"]
    vocabulary: dict[str, int] = model["vocab"]
    means = {}
    if model.get("type") == "BPE":
        means = _means_of_pieces(tokenizer_json, vocabulary, vectors, matrix)
    for token, token_id in vocabulary.items():
        row = vectors.words.get(token)
        if row is not None:
            table[token_id] = matrix[row]
        elif token_id in means:
            table[token_id] = means[token_id]
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
    # The directions of the largest second moments: no other projection keeps more of the vectors.
    _, directions = np.linalg.eigh(matrix.T.astype(np.float64) @ matrix)
    projected: NDArray[np.float32] = (matrix @ directions[:, ::-1][:, :size]).astype(np.float32)
    return projected


def _means_of_pieces(
    tokenizer_json: str, vocabulary: dict[str, int], vectors: Vectors, matrix: NDArray[np.float32]
) -> dict[int, NDArray[np.float32]]:
    """Return for the id of each piece the mean vector of the words that are spelled with it."""
    outside = [word for word in vectors.words if word not in vocabulary][:_MAX_SPELLED_WORDS]
    if not outside:
        return {}
    pieces = piece_count(tokenizer_json)
    rows: dict[int, list[int]] = {}
    encodings = Tokenizer.from_str(tokenizer_json).encode_batch_fast(outside)
    for word, encoding in zip(outside, encodings, strict=True):
        for token_id in encoding.ids:
            if token_id < pieces:
                rows.setdefault(token_id, []).append(vectors.words[word])
    return {token_id: matrix[found].mean(axis=0) for token_id, found in rows.items()}


class _WantedWords:
    """The words whose vectors are loaded: those of the texts, and the most frequent others.

    Files of vectors may have millions of words, of which a vocabulary takes a few thousand.
    """

    def __init__(self, texts: Iterable[str]) -> None:
        self._words = {word for text in texts for word in split_words(text)}
        self._others = _MAX_OTHER_WORDS

    def __contains__(self, word: object) -> bool:
        """Return whether a word is wanted. A file asks once per word, the most frequent first."""
        if word in self._words:
            return True
        self._others -= 1
        return self._others >= 0
