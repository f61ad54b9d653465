"""Features of the linear branch: tokens, and bigrams in a hash table with fingerprints.

A bigram is hashed twice: to the bucket that holds its row, and to a fingerprint that says whether
the bucket belongs to it. A bucket belongs to the most frequent bigram that is hashed to it; the
others have no row and add nothing. So a bigram that training never saw does not borrow the weights
of another one, unlike in fastText (Joulin et al. 2017), except for about one in 500 that has the
same fingerprint by chance. The exported graph computes the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from numpy.typing import NDArray

# Multipliers of the hash. Odd, and large enough to mix the ids, but small enough that the sum of
# their products with ids below 2**24 is below 2**63.
FIRST, SECOND = 1_000_003, 7_368_787
FINGERPRINTS = 251  # a prime: buckets are counted in powers of two, so both hashes are independent
EMPTY = 255

_MIN_TEXTS = 2  # texts that must have a bigram before it gets a bucket
_SMOOTHING = 0.1  # texts per label that are added to those that have a feature
_MIN_INFORMATION = 0.1  # of a feature independent of the label, in square roots of nats
_MAX_WEIGHT = 255  # of a byte
_TEXTS_AT_A_TIME = 10_000


@dataclass(frozen=True)
class Features:
    """The tokens and bigrams that the linear branch knows, each with a weight.

    A weight is the square root of the divergence, in nats, of the labels of the texts that have the
    feature from the labels of all texts, both smoothed, plus a small constant; times the square
    root of the inverse document frequency 1 + ln((1 + texts) / (1 + texts with it)). For two labels
    the first factor is about the naive Bayes log-count ratio (Wang and Manning 2012). Weights are
    scaled so that the largest is 255.

    Attributes:
        token_weights: uint8 [tokens]; later ids have no row.
        bigram_weights: uint8 [buckets].
        fingerprints: fingerprint of each bucket's bigram, uint8 [buckets]; `EMPTY` without one.
    """

    token_weights: NDArray[np.uint8]
    bigram_weights: NDArray[np.uint8]
    fingerprints: NDArray[np.uint8]

    def reweighted(
        self, sequences: Sequence[NDArray[np.int64]], targets: NDArray[np.float32]
    ) -> Features:
        """Return the same tokens and bigrams with weights from these texts.

        Args:
            sequences: the token ids of each text, int64 [tokens].
            targets: float32 [texts, labels]; a text without a label does not count.
        """
        tokens = len(self.token_weights)
        information = _information(
            map(np.unique, self.occurrences(sequences)),
            targets,
            features=tokens + len(self.fingerprints),
        )
        information[tokens:][self.fingerprints == EMPTY] = 0.0
        weights = np.rint(information * (_MAX_WEIGHT / information.max())).astype(np.uint8)
        return Features(weights[:tokens], weights[tokens:], self.fingerprints)

    def occurrences(self, sequences: Iterable[NDArray[np.int64]]) -> Iterator[NDArray[np.int64]]:
        """Yield the features of each text, with repetitions: token ids, then tokens + buckets.

        Args:
            sequences: the token ids of each text, int64 [tokens].
        """
        tokens = len(self.token_weights)
        for ids in sequences:
            hashes = _hashes(torch.from_numpy(ids)[None])[0].numpy()
            buckets = hashes % len(self.fingerprints)
            found = buckets[self.fingerprints[buckets] == hashes % FINGERPRINTS]
            yield np.concatenate([ids[ids < tokens], found + tokens])


def find_features(
    sequences: Sequence[NDArray[np.int64]], targets: NDArray[np.float32], *, max_buckets: int
) -> Features:
    """Return the features of the training texts.

    Args:
        sequences: the token ids of each training text, int64 [tokens].
        targets: float32 [texts, labels], 1 where a label applies, or its probability.
        max_buckets: largest number of buckets. It is halved as long as at least half of the
            buckets stay empty.
    """
    hashes = np.concatenate(
        [np.unique(_hashes(torch.from_numpy(ids)[None]).numpy()) for ids in sequences]
    )
    bigrams, counts = np.unique(hashes, return_counts=True)
    bigrams, counts = bigrams[counts >= _MIN_TEXTS], counts[counts >= _MIN_TEXTS]
    buckets = 1
    while buckets < min(2 * len(bigrams), max_buckets):
        buckets *= 2
    buckets = min(buckets, max_buckets)
    fingerprints = np.full(buckets, EMPTY, dtype=np.uint8)
    bigrams = bigrams[np.argsort(counts, kind="stable")]  # the last one gets the bucket
    fingerprints[bigrams % buckets] = bigrams % FINGERPRINTS
    tokens = 1 + max(int(ids.max()) for ids in sequences)
    unweighted = Features(np.ones(tokens, np.uint8), np.zeros(buckets, np.uint8), fingerprints)
    return unweighted.reweighted(sequences, targets)


def look_up(ids: torch.Tensor, fingerprints: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the bucket of each token's bigram, and whether it belongs to that bigram.

    The bigram of a token is the token and the one before it, or padding at the start of a text.

    Args:
        ids: token ids, int64 [batch, tokens].
        fingerprints: fingerprints of the buckets, uint8 [buckets].

    Returns:
        int64 [batch, tokens] and bool [batch, tokens].
    """
    hashes = _hashes(ids)
    buckets = hashes % len(fingerprints)
    return buckets, fingerprints[buckets] == hashes % FINGERPRINTS


def _hashes(ids: torch.Tensor) -> torch.Tensor:
    """Return the hash of each token's bigram, int64 [batch, tokens]."""
    previous = torch.nn.functional.pad(ids[:, :-1], (1, 0))
    return previous * FIRST + ids * SECOND


def _information(
    texts: Iterable[NDArray[np.int64]], targets: NDArray[np.float32], *, features: int
) -> NDArray[np.float64]:
    """Return how much each feature says about a text's label, float64 [features], above 0."""
    labels = targets.shape[1]
    cells, counts = _cooccurrences(texts, targets)
    feature, label = cells // labels, cells % labels
    total = np.bincount(feature, counts, minlength=features)
    frequency = np.bincount(label, counts, minlength=labels)
    prior = frequency / max(1.0, frequency.sum())
    smoothing = _SMOOTHING * labels
    posterior = (counts + smoothing * prior[label]) / (total[feature] + smoothing)
    divergence = np.bincount(
        feature, posterior * np.log(posterior / prior[label]), minlength=features
    )
    # Labels that never occur with a feature have only the smoothing, each in proportion to its
    # prior, so that their terms have one sum.
    added = smoothing / (total + smoothing)
    absent = 1.0 - np.bincount(feature, prior[label], minlength=features)
    divergence = divergence + np.maximum(0.0, absent) * added * np.log(added)
    rarity = 1.0 + np.log((1.0 + (targets.max(axis=1) > 0).sum()) / (1.0 + total))
    information: NDArray[np.float64] = np.sqrt(np.maximum(0.0, divergence)) + _MIN_INFORMATION
    information *= np.sqrt(np.maximum(1.0, rarity))
    return information


def _cooccurrences(
    texts: Iterable[NDArray[np.int64]], targets: NDArray[np.float32]
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return in how many texts a feature occurs with a label: feature * labels + label, counts."""
    labels = targets.shape[1]
    cells, counts = np.zeros(0, np.int64), np.zeros(0, np.float64)
    pending: list[NDArray[np.int64]] = []
    for number, (text, target) in enumerate(zip(texts, targets, strict=True), start=1):
        best = float(target.max())
        if best > 0:  # the likely labels of a soft target, at least one
            likely = np.flatnonzero(target >= min(best, 0.5))
            pending.append((text[:, None] * labels + likely).ravel())
        if pending and (number % _TEXTS_AT_A_TIME == 0 or number == len(targets)):
            more, times = np.unique(np.concatenate(pending), return_counts=True)
            cells, index = np.unique(np.concatenate([cells, more]), return_inverse=True)
            counts = np.bincount(index, np.concatenate([counts, times])).astype(np.float64)
            pending = []
    return cells, counts
