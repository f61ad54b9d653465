"""Dropping the rarest words, so that a bundle gets smaller."""

from __future__ import annotations

import dataclasses
import json
from typing import TYPE_CHECKING, Any

import numpy as np
from tokenizers import Tokenizer

from textgate.errors import ExportError
from textgate.inference.tokenizer import UNKNOWN_ID
from textgate.train.text.subwords import piece_count

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from textgate.bundle.architecture import Architecture
    from textgate.export.quantize.weights import NetworkWeights


# Fewer words than this say next to nothing, whatever the network.
_FEWEST_WORDS = 100


def smallest_vocabulary(tokenizer_json: str) -> int:
    """Return how many ids a pruned tokenizer has at least: of subwords, all pieces."""
    model = json.loads(tokenizer_json)["model"]
    return piece_count(tokenizer_json) if model["type"] == "BPE" else _FEWEST_WORDS


def prune_tokenizer(tokenizer_json: str, vocabulary_size: int) -> str:
    """Return a tokenizer with the first `vocabulary_size` ids alone.

    textgate gives ids in the order of usefulness, so that the words left out are the rarest. They
    become unknown words, or come in pieces.

    Raises:
        ExportError: the tokenizer is not one that textgate makes.
    """
    document: dict[str, Any] = json.loads(tokenizer_json)
    model = document["model"]
    if model["type"] not in ("WordLevel", "BPE"):
        raise ExportError(
            f"words cannot be dropped from a {model['type']} tokenizer; raise --max-size"
        )
    model["vocab"] = {
        word: place for word, place in model["vocab"].items() if place < vocabulary_size
    }
    return json.dumps(document, ensure_ascii=False, separators=(",", ":"))


def prune_weights(weights: NetworkWeights, vocabulary_size: int) -> NetworkWeights:
    """Return the weights with what belongs to the first ids alone."""
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
    """Return the network with the first ids alone."""
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
    """Return token ids as the pruned tokenizer gives them.

    Args:
        sequences: token ids of whole texts, int64 [tokens] each.
        tokenizer_json: the tokenizer they are from.
        vocabulary_size: ids that are kept.
        max_tokens: tokens of a text that are read.
    """
    replacements = _replacements(tokenizer_json, vocabulary_size)
    return tuple(_replaced(ids, replacements, vocabulary_size)[:max_tokens] for ids in sequences)


def _replacements(tokenizer_json: str, vocabulary_size: int) -> dict[int, NDArray[np.int64]]:
    """Return what each id that goes becomes."""
    model = json.loads(tokenizer_json)["model"]
    gone = {place: word for word, place in model["vocab"].items() if place >= vocabulary_size}
    if model["type"] != "BPE":
        return dict.fromkeys(gone, np.array([UNKNOWN_ID]))
    # The words are normalized already, and none is taken for several words.
    tokenizer = Tokenizer.from_str(prune_tokenizer(tokenizer_json, vocabulary_size))
    encodings = tokenizer.encode_batch_fast(list(gone.values()))
    return {
        place: np.array(encoding.ids, dtype=np.int64)
        for place, encoding in zip(gone, encodings, strict=True)
    }


def _replaced(
    ids: NDArray[np.int64], replacements: dict[int, NDArray[np.int64]], vocabulary_size: int
) -> NDArray[np.int64]:
    if int(ids.max()) < vocabulary_size:
        return ids
    return np.concatenate([replacements.get(int(place), np.array([place])) for place in ids])
