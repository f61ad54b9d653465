"""Dropping the rarest words, so that a bundle gets smaller."""

from __future__ import annotations

import dataclasses
import json
from typing import TYPE_CHECKING, Any

import numpy as np

from textgate.errors import ExportError
from textgate.tokenizer import UNKNOWN_ID

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from textgate.export.weights import NetworkWeights


def prune_tokenizer(tokenizer_json: str, vocabulary_size: int) -> str:
    """Return a tokenizer with the first `vocabulary_size` ids alone.

    textgate gives ids in the order of frequency, so that the words left out are the rarest. They
    become unknown words.

    Raises:
        ExportError: the tokenizer is not word-level.
    """
    document: dict[str, Any] = json.loads(tokenizer_json)
    model = document["model"]
    if model["type"] != "WordLevel":
        raise ExportError(
            f"words cannot be dropped from a {model['type']} tokenizer; raise --max-size"
        )
    model["vocab"] = {
        word: place for word, place in model["vocab"].items() if place < vocabulary_size
    }
    return json.dumps(document, ensure_ascii=False, separators=(",", ":"))


def prune_embedding(weights: NetworkWeights, vocabulary_size: int) -> NetworkWeights:
    """Return the weights with the first rows of the embedding alone."""
    return dataclasses.replace(weights, embedding=weights.embedding[:vocabulary_size])


def prune_sequences(
    sequences: Sequence[NDArray[np.int64]], vocabulary_size: int
) -> tuple[NDArray[np.int64], ...]:
    """Return token ids as the pruned tokenizer gives them."""
    return tuple(
        np.where(sequence < vocabulary_size, sequence, UNKNOWN_ID) for sequence in sequences
    )
