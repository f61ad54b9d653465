"""Rows that are held out to choose by, where no file of them is given."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import numpy as np

from textgate.errors import DataError
from textgate.messages import shown

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from textgate.rows import Row


def hold_out(rows: Sequence[Row], fraction: float, *, seed: int) -> tuple[list[Row], list[Row]]:
    """Return (train, dev): a share of the rows of every label is held out for dev.

    Rows with the same text stay on the same side, so that dev says something about new texts. A
    label with a single text keeps it in train, and so does a text that has different labels, or
    soft ones alone: dev is a matter of right and wrong. Of every other label at least one text is
    held out, that with the fewest rows where each has more than the share; and where few texts have
    many rows, no more than a third of the label's texts, so that there is something to learn from.

    Rows with several labels go by their combination. Where most combinations are rare, other texts
    are held out as well, as long as each of their labels has rows left to learn from.
    """
    copies: dict[str, int] = {}
    labels_of: dict[str, tuple[str, ...]] = {}
    row_counts: dict[tuple[str, ...], int] = {}
    kept: set[str] = set()
    for row in rows:
        copies[row.text] = copies.get(row.text, 0) + 1
        if not _can_be_judged(row):
            kept.add(row.text)
            continue
        row_counts[row.labels] = row_counts.get(row.labels, 0) + 1
        if labels_of.setdefault(row.text, row.labels) != row.labels:
            kept.add(row.text)
    by_label: dict[tuple[str, ...], list[str]] = {}
    for text, labels in labels_of.items():
        if text not in kept:
            by_label.setdefault(labels, []).append(text)
    generator = np.random.default_rng([seed, 0])
    held_out: set[str] = set()
    for labels in sorted(by_label):
        texts = by_label[labels]
        shuffled = [texts[place] for place in generator.permutation(len(texts))]
        wanted = max(1, round(row_counts[labels] * fraction))
        most = max(len(texts) // 3, min(len(texts) - 1, max(1, round(len(texts) * fraction))))
        held_out.update(_taken([(text, copies[text]) for text in shuffled], wanted, most=most))
    if any(len(labels) != 1 for labels in row_counts):
        free = {text: labels_of[text] for text in labels_of if text not in held_out | kept}
        wanted = round(sum(row_counts.values()) * fraction)
        missing = wanted - sum(copies[text] for text in held_out)
        if 2 * missing > wanted:
            texts = [list(free)[place] for place in generator.permutation(len(free))]
            learned = Counter(
                label for row in rows if row.text not in held_out for label in row.labels
            )
            held_out.update(_of_rare_combinations(texts, free, copies, learned, missing))
    train = [row for row in rows if row.text not in held_out]
    return train, [row for row in rows if row.text in held_out]


def check_held_out(
    rows: Sequence[Row], held_out: Sequence[Row], fraction: float, *, file: str
) -> str:
    """Return what somebody should know of the rows held out, a sentence, or "" for nothing.

    Args:
        rows: all rows.
        held_out: those of them that are held out.
        fraction: the share that was wanted.
        file: how messages name the rows.

    Raises:
        DataError: none is held out, or none of those that are has a label.
    """
    named = [row for row in rows if _can_be_judged(row)]
    texts = {row.text for row in named}
    if not held_out:
        if len(texts) == len(named):
            raise DataError(
                f"{file}: {len(named):,} rows with labels are too few to hold some out for dev; "
                "give --dev"
            )
        raise DataError(
            f"{file}: the {len(named):,} rows with labels have only {_texts(len(texts))}, and no "
            "label has a second text that could be held out for dev; give --dev FILE with other "
            "texts"
        )
    if not any(row.labels for row in held_out):
        raise DataError(
            f"{file}: none of the {len(held_out):,} rows held out for dev has a label, because a "
            "label with a single row is not held out; give --dev"
        )
    if len({row.labels for row in held_out}) == 1 < len({row.labels for row in named}):
        return (
            f"{file}: the rows held out to choose by all have the label "
            f"{', '.join(map(shown, held_out[0].labels))}, so their scores say nothing of the "
            "others; with --dev FILE you choose them yourself"
        )
    wanted = max(1, round(len(named) * fraction))
    strata = len({row.labels for row in held_out})
    if wanted <= 2 * len(held_out) and len(held_out) <= 2 * wanted + strata:
        return ""
    if len(texts) < len(named):
        reason = (
            f"they have only {_texts(len(texts))}, whose rows stay together, and texts with "
            "different labels stay in train"
        )
    else:
        reason = "a label, or a combination of labels, with a single row is not held out"
    return (
        f"{file}: held out to choose by are {len(held_out):,} of {len(named):,} rows, not "
        f"{wanted:,} ({fraction:.0%}): {reason}; with --dev FILE you choose them yourself"
    )


def _can_be_judged(row: Row) -> bool:
    return bool(row.labels) or not row.probabilities


def _taken(texts: Sequence[tuple[str, int]], wanted: int, *, most: int) -> list[str]:
    """Return the first texts, each beside its row count, that have `wanted` rows together."""
    taken: list[str] = []
    left = wanted
    for text, count in texts:
        if count <= left and len(taken) < most:
            taken.append(text)
            left -= count
    if not taken and most:
        taken = [min(texts, key=lambda pair: pair[1])[0]]
    return taken


def _of_rare_combinations(
    texts: Sequence[str],
    labels_of: Mapping[str, tuple[str, ...]],
    copies: Mapping[str, int],
    learned: Counter[str],
    wanted: int,
) -> Iterator[str]:
    """Yield the first texts that have `wanted` rows together and take no label's last row.

    Args:
        texts: those that may be held out.
        labels_of: their labels.
        copies: their rows.
        learned: rows of each label to learn from, which becomes less.
        wanted: rows.
    """
    for text in texts:
        count = copies[text]
        if count <= wanted and all(learned[label] > count for label in labels_of[text]):
            learned.subtract(dict.fromkeys(labels_of[text], count))
            wanted -= count
            yield text


def _texts(count: int) -> str:
    return f"{count:,} different texts" if count != 1 else "one text"
