"""Hold-out of dev rows from the training rows, stratified by label."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import numpy as np

from textgate.train.data.label_set import only_soft

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from textgate.rows import Row


def hold_out(rows: Sequence[Row], fraction: float, *, seed: int) -> tuple[list[Row], list[Row]]:
    """Return (train, dev): a fraction of the rows of every label is held out for dev.

    Rows with the same text stay on the same side, so that dev measures new texts. A text stays in
    train if it is the only one of its label, has different labels, or has only soft labels, because
    a dev row must have a right answer. Of every other label at least one text is held out: the one
    with the fewest rows if each text has more rows than the fraction allows. If few texts have many
    rows, at most a third of the label's texts are held out, so that enough is left to learn from.

    Rows with several labels are stratified by their combination. If most combinations are rare,
    further texts are held out, as long as each of their labels keeps rows in train.

    Args:
        rows: the labelled rows.
        fraction: the fraction of the rows to hold out, from 0 to 1.
        seed: seed of the choice.
    """
    copies = Counter(row.text for row in rows)
    labels_of: dict[str, tuple[str, ...]] = {}
    row_counts: Counter[tuple[str, ...]] = Counter()
    stays: set[str] = set()
    for row in rows:
        if only_soft(row):
            stays.add(row.text)
            continue
        row_counts[row.labels] += 1
        if labels_of.setdefault(row.text, row.labels) != row.labels:
            stays.add(row.text)
    strata: dict[tuple[str, ...], list[str]] = {}
    for text, labels in labels_of.items():
        if text not in stays:
            strata.setdefault(labels, []).append(text)
    generator = np.random.default_rng([seed, 0])
    held_out: set[str] = set()
    for labels in sorted(strata):
        texts = [strata[labels][index] for index in generator.permutation(len(strata[labels]))]
        wanted = max(1, round(row_counts[labels] * fraction))
        held_out.update(
            _stratum_texts(texts, copies, wanted, max_texts=_max_texts(texts, fraction))
        )
    if any(len(labels) != 1 for labels in row_counts):
        taken = held_out | stays
        candidates = [text for text in labels_of if text not in taken]
        wanted = round(row_counts.total() * fraction)
        missing = wanted - sum(copies[text] for text in held_out)
        if 2 * missing > wanted:
            texts = [candidates[index] for index in generator.permutation(len(candidates))]
            train_counts = Counter(
                label for row in rows if row.text not in held_out for label in row.labels
            )
            held_out.update(_rare_texts(texts, labels_of, copies, train_counts, missing))
    train = [row for row in rows if row.text not in held_out]
    return train, [row for row in rows if row.text in held_out]


def _max_texts(texts: Sequence[str], fraction: float) -> int:
    """Return how many texts of a stratum may be held out: a third, but never all of them."""
    return max(len(texts) // 3, min(len(texts) - 1, max(1, round(len(texts) * fraction))))


def _stratum_texts(
    texts: Sequence[str], copies: Mapping[str, int], wanted: int, *, max_texts: int
) -> list[str]:
    """Return the first texts that have at most `wanted` rows together."""
    chosen: list[str] = []
    for text in texts:
        if copies[text] <= wanted and len(chosen) < max_texts:
            chosen.append(text)
            wanted -= copies[text]
    if not chosen and max_texts:
        chosen = [min(texts, key=copies.__getitem__)]
    return chosen


def _rare_texts(
    texts: Sequence[str],
    labels_of: Mapping[str, tuple[str, ...]],
    copies: Mapping[str, int],
    train_counts: Counter[str],
    wanted: int,
) -> Iterator[str]:
    """Yield the first texts that have at most `wanted` rows together, and no label's last row.

    Their rows are subtracted from `train_counts`, the number of training rows of each label.
    """
    for text in texts:
        count = copies[text]
        if count <= wanted and all(train_counts[label] > count for label in labels_of[text]):
            train_counts.subtract(dict.fromkeys(labels_of[text], count))
            wanted -= count
            yield text
