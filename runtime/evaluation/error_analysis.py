"""Analysis of a classifier's errors: its mistakes, likely label errors, near-duplicates, slices."""

from __future__ import annotations

import dataclasses
import functools
import itertools
from collections import Counter, defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from textgate.errors import ConfigError, DataError
from textgate.evaluation.error_report import (
    Confusion,
    ConfusionWord,
    Disagreement,
    ErrorReport,
    NearDuplicate,
)
from textgate.evaluation.evaluate import ScoredRows, scored_rows
from textgate.evaluation.label_errors import multi_label_errors, single_label_errors
from textgate.evaluation.out_of_fold import out_of_fold_probabilities
from textgate.evaluation.slices import find_slices
from textgate.inference.arguments import whole_number
from textgate.rows import fingerprint
from textgate.rows.near_duplicates import near_duplicates
from textgate.rows.row import require_row

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from numpy.typing import NDArray

    from textgate.evaluation.label_errors import LabelErrors
    from textgate.evaluation.slices import Slice
    from textgate.inference.classifier import Classifier
    from textgate.inference.explanation import Explanation
    from textgate.rows import Row

    _Explain = Callable[[str], Explanation]

_MAX_CONFUSIONS = 5
_MAX_EXPLAINED = 20  # texts of a confusion
_MAX_WORDS = 8  # of a confusion
_MIN_VALUE = 0.005  # of a word, as a difference of probabilities


def find_errors(
    classifier: Classifier,
    rows: Sequence[Row],
    *,
    file: str = "rows",
    run: str | Path | None = None,
    train: Sequence[Row] = (),
    slice_by: Sequence[str] | str = (),
    limit: int = 20,
) -> ErrorReport:
    """Return the errors of a classifier on labelled rows, and likely errors of the labels.

    The classifier should not have learned from the rows, or their out-of-fold predictions should be
    in its run.

    Args:
        classifier: the classifier.
        rows: the rows.
        file: the name of their file, for messages.
        run: the folder of the run that the classifier was exported from, trained with folds. Rows
            with an out-of-fold prediction there are scored by it.
        train: the training rows, to find near-duplicates of.
        slice_by: columns, or one, by whose values accuracy is shown.
        limit: how many mistakes, label errors, near-duplicates and values of a column are listed,
            at most.

    Raises:
        DataError: a row is no `Row`; a row has a label that the classifier does not know, or more
            than one label where one is possible; no row has a column of `slice_by`; there are no
            rows.
        ConfigError: the training rows are the rows themselves, or `limit` is below 1.
        CheckpointError: the run is damaged, has no out-of-fold predictions, or is another one.
    """
    rows, train = list(rows), list(train)
    for name, several in (("rows", rows), ("train", train)):
        for number, row in enumerate(several):
            require_row(row, where=f"{name}[{number}]")
    whole_number(limit, "limit", wanted="1 or more")
    if not rows:
        raise DataError(f"{file}: there are no rows")
    manifest = classifier.manifest
    replaced = None
    if run is not None:
        replaced = out_of_fold_probabilities(Path(run), rows, manifest=manifest)
    scored = scored_rows(classifier, rows, file=file, replaced=replaced)
    columns = [slice_by] if isinstance(slice_by, str) else slice_by
    slices = find_slices(rows, scored.right, columns, file=file)
    confidence = _confidence(scored)
    wrong = np.flatnonzero(~scored.right)
    surest = wrong[np.argsort(-confidence[wrong], kind="stable")]
    suspects = _label_errors(scored)
    pairs = _near_duplicates(rows, train)
    contradictions = [pair for pair in pairs.within if set(pair.labels) != set(pair.other_labels)]
    seen = fingerprint(rows) == manifest.training.get("train_sha256")
    explain = functools.cache(classifier.explain)
    return ErrorReport(
        file=file,
        rows=len(rows),
        out_of_fold=0 if replaced is None else int((~np.isnan(replaced[:, 0])).sum()),
        trained_on=run is None and seen,
        mistake_count=len(wrong),
        mistakes=tuple(
            _mistake(explain, scored, index, float(confidence[index]))
            for index in surest[:limit].tolist()
        ),
        label_error_count=len(suspects.rows),
        label_errors=tuple(
            _suspect(explain, scored, *one)
            for one in zip(
                suspects.rows[:limit].tolist(),
                suspects.columns[:limit].tolist(),
                strict=True,
            )
        ),
        contradiction_count=len(contradictions),
        contradictions=tuple(contradictions[:limit]),
        train_count=len(pairs.across) if train else None,
        train_duplicates=tuple(pairs.across[:limit]),
        confusions=_confusions(explain, scored, surest),
        slice_counts=Counter(one.column for one in slices),
        slices=tuple(one for number, one in _numbered(slices) if number < limit),
    )


def _numbered(slices: Sequence[Slice]) -> Iterator[tuple[int, Slice]]:
    """Yield slices with their numbers within their columns."""
    for _, of_column in itertools.groupby(slices, key=lambda one: one.column):
        yield from enumerate(of_column)


def _label_errors(scored: ScoredRows) -> LabelErrors:
    if scored.multi_label:
        return multi_label_errors(scored.probabilities, scored.truth)
    return single_label_errors(scored.probabilities, scored.truth.argmax(axis=1))


def _confidence(scored: ScoredRows) -> NDArray[np.float32]:
    """Return the probability of the surest decision that differs from a row's labels, [rows]."""
    decided = scored.truth != scored.given if scored.multi_label else scored.given
    chances = np.where(scored.given, scored.probabilities, 1 - scored.probabilities)
    return np.asarray(np.where(decided, chances, 0).max(axis=1))


def _mistake(explain: _Explain, scored: ScoredRows, index: int, score: float) -> Disagreement:
    """Return a mistake of the model; `score` is its confidence."""
    given = scored.truth[index]
    before = 1 - score if scored.multi_label else float(scored.probabilities[index][given][0])
    return _disagreement(
        explain, scored, index, scored.given[index], score=score, given_score=before
    )


def _suspect(explain: _Explain, scored: ScoredRows, index: int, column: int) -> Disagreement:
    """Return a row whose label is likely wrong, in the decision about one label."""
    given, chances = scored.truth[index], scored.probabilities[index]
    likely = given.copy()
    if scored.multi_label:
        likely[column] = not given[column]
        score = float(1 - chances[column] if given[column] else chances[column])
        return _disagreement(explain, scored, index, likely, score=score, given_score=1 - score)
    likely[:] = False
    likely[column] = True
    return _disagreement(
        explain,
        scored,
        index,
        likely,
        score=float(chances[column]),
        given_score=float(chances[given][0]),
    )


def _disagreement(
    explain: _Explain,
    scored: ScoredRows,
    index: int,
    predicted: NDArray[np.bool_],
    *,
    score: float,
    given_score: float,
) -> Disagreement:
    row, given = scored.rows[index], scored.truth[index]
    different = scored.names(predicted & ~given) or scored.names(given & ~predicted)
    explanation = dataclasses.replace(explain(row.text), labels=different)
    return Disagreement(
        line=row.line,
        text=row.text,
        given=scored.names(given),
        predicted=scored.names(predicted),
        score=score,
        given_score=given_score,
        explanation=explanation,
    )


# Near-duplicates


@dataclass(frozen=True)
class _Pairs:
    """Near-duplicates among the rows, and of the rows with training rows, one for each row."""

    within: list[NearDuplicate]
    across: list[NearDuplicate]


def _near_duplicates(rows: Sequence[Row], train: Sequence[Row]) -> _Pairs:
    if train and fingerprint(rows) == fingerprint(train):
        raise ConfigError(
            "train: these are the rows themselves; give the rows that the bundle was trained on, "
            "or leave them out"
        )
    everything = [*train, *rows]
    within: list[tuple[int, int]] = []
    across: dict[int, int] = {}
    for one, other in near_duplicates([row.text for row in everything]):
        if one >= len(train):
            within.append((one, other))
        elif other >= len(train):
            across.setdefault(other, one)
    # Rows with the words of one training row are paired with that row alone.
    copies: defaultdict[int, list[int]] = defaultdict(list)
    for index, original in across.items():
        copies[original].append(index)
    within += [(first, other) for first, *others in copies.values() for other in others]

    def pair(index: int, other: int) -> NearDuplicate:
        own, found = everything[index], everything[other]
        return NearDuplicate(own.line, own.text, own.labels, found.line, found.text, found.labels)

    return _Pairs(
        within=[pair(one, other) for one, other in sorted(set(within))],
        across=[pair(index, other) for index, other in sorted(across.items())],
    )


# Confusions


def _confusions(
    explain: _Explain, scored: ScoredRows, surest: NDArray[np.int64]
) -> tuple[Confusion, ...]:
    """Return the most frequent confusions, with the words behind them.

    Args:
        explain: explains a text.
        scored: the rows.
        surest: the mistakes, the most confident first.
    """
    found: defaultdict[tuple[str | None, str | None], list[int]] = defaultdict(list)
    for index in surest.tolist():
        missed = scored.names(scored.truth[index] & ~scored.given[index])
        added = scored.names(scored.given[index] & ~scored.truth[index])
        if scored.multi_label:
            for label in missed:
                found[label, None].append(index)
            for label in added:
                found[None, label].append(index)
        else:
            found[missed[0], added[0]].append(index)
    largest = sorted(found.items(), key=lambda one: -len(one[1]))[:_MAX_CONFUSIONS]
    return tuple(
        Confusion(
            given=given,
            predicted=predicted,
            rows=len(indices),
            explained=min(len(indices), _MAX_EXPLAINED),
            words=_words(
                (explain(scored.rows[index].text) for index in indices[:_MAX_EXPLAINED]),
                label=predicted or given or "",
                side=-1.0 if predicted is None else 1.0,
            ),
        )
        for (given, predicted), indices in largest
    )


def _words(
    explanations: Iterable[Explanation], *, label: str, side: float
) -> tuple[ConfusionWord, ...]:
    """Return the words that spoke most for a label, or against it if `side` is -1."""
    totals: defaultdict[str, float] = defaultdict(float)
    texts: Counter[str] = Counter()
    count = 0
    for explanation in explanations:
        count += 1
        texts.update({word.text.casefold() for word in explanation.words})
        for word in explanation.words:
            totals[word.text.casefold()] += side * word.values[label]
    best = sorted(totals, key=lambda word: (-totals[word], word))[:_MAX_WORDS]
    return tuple(
        ConfusionWord(word, totals[word] / count, texts[word])
        for word in best
        if totals[word] >= _MIN_VALUE * count
    )
