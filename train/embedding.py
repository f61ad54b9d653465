"""What the embedding starts from: pretrained vectors for words, their averages for pieces."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
from tokenizers import Tokenizer

from textgate.errors import ConfigError
from textgate.tokenizer import PADDING_ID, UNKNOWN_ID
from textgate.train.subwords import piece_count

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from textgate.train.vectors import Vectors

_SPREAD = 0.5  # of what has no vector, as a share of the vectors' own spread
_SPELLED = 20_000  # words outside the vocabulary that the pieces are learned from


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
