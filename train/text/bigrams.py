"""The pairs of neighbouring tokens that the linear branch knows: a hash table with owners.

A pair is hashed twice: to the bucket that holds its row, and to a fingerprint that says whether the
bucket is really its own. Of the pairs that fall into one bucket the most frequent has it, and a
pair that has none adds nothing: unlike in fastText (Joulin et al. 2017), a pair that training never
saw does not borrow the weights of another, but for one in about 500 whose fingerprint is the same
by chance. The exported graph computes the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from numpy.typing import NDArray

# Odd, and so large that ids mix, but small enough that their products with ids below 2**24 add up
# to less than 2**63.
FIRST, SECOND = 1_000_003, 7_368_787
FINGERPRINTS = 251  # a prime, so that it says something new beside buckets by powers of two
EMPTY = 255

_FREQUENT = 2  # texts from which a pair says something about texts not seen yet
_DOUBT = 0.1  # texts a label that are added to those that have a token or pair
_FLOOR = 0.1  # for what says nothing about the label, in roots of nats
_HEAVIEST = 255  # a byte's most
_AT_A_TIME = 10_000  # texts


@dataclass(frozen=True)
class Features:
    """What the linear branch knows of tokens and pairs.

    A weight says how much a token or pair tells about the label: the root of the divergence, in
    nats, of the labels of the texts that have it from those of all texts, both smoothed, plus a
    little; and that times the root of the inverse document frequency 1 + ln((1 + texts) / (1 +
    texts with it)). For two labels the first is about the ratio by which naive Bayes would weigh it
    (Wang and Manning 2012). The largest weight is 255.

    Attributes:
        token_weights: uint8 [tokens]; later ids add nothing.
        pair_weights: uint8 [buckets].
        fingerprints: of the pair that has a bucket, uint8 [buckets]; `EMPTY` where none has it.
    """

    token_weights: NDArray[np.uint8]
    pair_weights: NDArray[np.uint8]
    fingerprints: NDArray[np.uint8]

    def weighed(
        self, sequences: Sequence[NDArray[np.int64]], targets: NDArray[np.float32]
    ) -> Features:
        """Return the same tokens and pairs, weighed by what these texts teach.

        Args:
            sequences: texts, int64 [tokens] each.
            targets: float32 [texts, labels]; a text without any label teaches nothing.
        """
        tokens = len(self.token_weights)
        told = _informativeness(
            map(np.unique, self.occurrences(sequences)),
            targets,
            features=tokens + len(self.fingerprints),
        )
        told[tokens:][self.fingerprints == EMPTY] = 0.0
        weights = np.rint(told * (_HEAVIEST / told.max())).astype(np.uint8)
        return Features(weights[:tokens], weights[tokens:], self.fingerprints)

    def occurrences(self, sequences: Iterable[NDArray[np.int64]]) -> Iterator[NDArray[np.int64]]:
        """Yield what each text has, as often as it does: ids of tokens, behind them buckets.

        Args:
            sequences: texts, int64 [tokens] each.
        """
        tokens = len(self.token_weights)
        for ids in sequences:
            keys = _keys(ids)
            buckets = keys % len(self.fingerprints)
            owned = buckets[self.fingerprints[buckets] == keys % FINGERPRINTS]
            yield np.concatenate([ids[ids < tokens], owned + tokens])


def find_features(
    sequences: Sequence[NDArray[np.int64]], targets: NDArray[np.float32], *, most_buckets: int
) -> Features:
    """Return what the training texts teach about tokens and pairs.

    Args:
        sequences: the training texts, int64 [tokens] each.
        targets: float32 [texts, labels], 1 where a label applies, or how probable it is.
        most_buckets: most buckets; there are fewer, by powers of two, where half are enough to
            leave every other bucket empty.
    """
    keys = [_keys(ids) for ids in sequences]
    mixed, counts = np.unique(np.concatenate([np.unique(key) for key in keys]), return_counts=True)
    mixed, counts = mixed[counts >= _FREQUENT], counts[counts >= _FREQUENT]
    buckets = 1
    while buckets < min(2 * len(mixed), most_buckets):
        buckets *= 2
    buckets = min(buckets, most_buckets)
    fingerprints = np.full(buckets, EMPTY, dtype=np.uint8)
    order = np.argsort(counts, kind="stable")  # the most frequent last, so that they stay
    fingerprints[mixed[order] % buckets] = mixed[order] % FINGERPRINTS
    tokens = 1 + max(int(ids.max()) for ids in sequences)
    empty = Features(np.ones(tokens, np.uint8), np.zeros(buckets, np.uint8), fingerprints)
    return empty.weighed(sequences, targets)


def _keys(ids: NDArray[np.int64]) -> NDArray[np.int64]:
    tensor = torch.from_numpy(ids)
    keys: NDArray[np.int64] = _mixed(before(tensor[None])[0], tensor).numpy()
    return keys


def _informativeness(
    texts: Iterable[NDArray[np.int64]], targets: NDArray[np.float32], *, features: int
) -> NDArray[np.float64]:
    """Return how much each feature tells about a text's label, float64 [features], above 0."""
    labels = targets.shape[1]
    cells, counts = _counted(texts, targets)
    feature, label = cells // labels, cells % labels
    total = np.bincount(feature, counts, minlength=features)
    frequency = np.bincount(label, counts, minlength=labels)
    prior = frequency / max(1.0, frequency.sum())
    doubt = _DOUBT * labels
    # Labels that never came together with a feature have the same share of what was added alone.
    added = doubt / (total + doubt)
    posterior = (counts + doubt * prior[label]) / (total[feature] + doubt)
    divergence = np.bincount(
        feature, posterior * np.log(posterior / prior[label]), minlength=features
    )
    absent = 1.0 - np.bincount(feature, prior[label], minlength=features)
    divergence = divergence + np.maximum(0.0, absent) * added * np.log(added)
    rarity = 1.0 + np.log((1.0 + (targets.max(axis=1) > 0).sum()) / (1.0 + total))
    told: NDArray[np.float64] = np.sqrt(np.maximum(0.0, divergence)) + _FLOOR
    told *= np.sqrt(np.maximum(1.0, rarity))
    return told


def _counted(
    texts: Iterable[NDArray[np.int64]], targets: NDArray[np.float32]
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return in how many texts a feature comes with a label: feature * labels + label, counts."""
    labels = targets.shape[1]
    cells, counts = np.zeros(0, np.int64), np.zeros(0, np.float64)
    found: list[NDArray[np.int64]] = []
    for number, (text, target) in enumerate(zip(texts, targets, strict=True), start=1):
        best = float(target.max())
        if best > 0:  # of a soft target the likely labels, at least one
            of_text = np.flatnonzero(target >= min(best, 0.5))
            found.append((text[:, None] * labels + of_text).ravel())
        if found and (number % _AT_A_TIME == 0 or number == len(targets)):
            more, times = np.unique(np.concatenate(found), return_counts=True)
            cells, place = np.unique(np.concatenate([cells, more]), return_inverse=True)
            counts = np.bincount(place, np.concatenate([counts, times])).astype(np.float64)
            found = []
    return cells, counts


def before(ids: torch.Tensor) -> torch.Tensor:
    """Return what stands before each token, int64 [batch, tokens]: first the padding id."""
    return torch.nn.functional.pad(ids[:, :-1], (1, 0))


def look_up(ids: torch.Tensor, fingerprints: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return each token's bucket together with the one before it, and whether it is that pair's.

    Args:
        ids: token ids, int64 [batch, tokens].
        fingerprints: of the buckets, uint8 [buckets].

    Returns:
        int64 [batch, tokens] and bool [batch, tokens].
    """
    mixed = _mixed(before(ids), ids)
    buckets = mixed % len(fingerprints)
    return buckets, fingerprints[buckets] == mixed % FINGERPRINTS


def _mixed(first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
    return first * FIRST + second * SECOND
