"""Pruning of the vocabulary: the rarest words are dropped to make a bundle smaller."""

from __future__ import annotations

import dataclasses
import json
from typing import TYPE_CHECKING

import numpy as np
from tokenizers import Tokenizer

from textgate.errors import ExportError
from textgate.inference.tokenizer import UNKNOWN_ID
from textgate.train.text.subwords import first_ids, piece_count

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from textgate.bundle.architecture import Architecture
    from textgate.export.quantize.weights import NetworkWeights


_MIN_VOCABULARY = 100  # fewer words carry almost no information


def smallest_vocabulary(tokenizer_json: str) -> int:
    """Return the smallest number of ids of a pruned tokenizer; subword pieces are all kept."""
    model = json.loads(tokenizer_json)["model"]
    return piece_count(tokenizer_json) if model["type"] == "BPE" else _MIN_VOCABULARY


def prune_tokenizer(tokenizer_json: str, vocabulary_size: int) -> str:
    """Return a tokenizer with only the first `vocabulary_size` ids.

    textgate assigns ids in the order of usefulness, so the dropped words are the rarest. They
    become unknown words, or are split into pieces.

    Raises:
        ExportError: the tokenizer is not one that textgate makes.
    """
    kind = json.loads(tokenizer_json)["model"]["type"]
    if kind not in ("WordLevel", "BPE"):
        raise ExportError(f"words cannot be dropped from a {kind} tokenizer; raise --max-size")
    return first_ids(tokenizer_json, vocabulary_size)


def prune_weights(weights: NetworkWeights, vocabulary_size: int) -> NetworkWeights:
    """Return the weights of the first ids only."""
    linear = weights.linear
    if linear is not None:
        linear = dataclasses.replace(
            linear,
            tokens=linear.tokens[:vocabulary_size],
            token_weights=linear.token_weights[:vocabulary_size],
        )
    return dataclasses.replace(
        weights, embedding=weights.embedding[:vocabulary_size], linear=linear
    )


def prune_architecture(architecture: Architecture, vocabulary_size: int) -> Architecture:
    """Return the network with the first ids only."""
    return dataclasses.replace(
        architecture,
        vocabulary_size=vocabulary_size,
        linear_tokens=min(architecture.linear_tokens, vocabulary_size),
    )


def prune_sequences(
    sequences: Sequence[NDArray[np.int64]],
    tokenizer_json: str,
    vocabulary_size: int,
    *,
    max_tokens: int,
) -> tuple[NDArray[np.int64], ...]:
    """Return the token ids that the pruned tokenizer assigns.

    Args:
        sequences: token ids of whole texts, int64 [tokens] each.
        tokenizer_json: the tokenizer that assigned them.
        vocabulary_size: number of kept ids.
        max_tokens: largest number of tokens per text.
    """
    replacements = _replacements(tokenizer_json, vocabulary_size)
    return tuple(_replaced(ids, replacements, vocabulary_size)[:max_tokens] for ids in sequences)


def _replacements(tokenizer_json: str, vocabulary_size: int) -> dict[int, NDArray[np.int64]]:
    """Return the replacement of each dropped id."""
    model = json.loads(tokenizer_json)["model"]
    dropped = {index: word for word, index in model["vocab"].items() if index >= vocabulary_size}
    if model["type"] != "BPE":
        return dict.fromkeys(dropped, np.array([UNKNOWN_ID]))
    # The words are already normalized, and none is split into several words.
    tokenizer = Tokenizer.from_str(prune_tokenizer(tokenizer_json, vocabulary_size))
    encodings = tokenizer.encode_batch_fast(list(dropped.values()))
    return {
        index: np.array(encoding.ids, dtype=np.int64)
        for index, encoding in zip(dropped, encodings, strict=True)
    }


def _replaced(
    ids: NDArray[np.int64], replacements: dict[int, NDArray[np.int64]], vocabulary_size: int
) -> NDArray[np.int64]:
    if int(ids.max()) < vocabulary_size:
        return ids
    return np.concatenate([replacements.get(int(index), np.array([index])) for index in ids])
