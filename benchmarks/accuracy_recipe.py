"""The default recipe trained, exported and scored on the test rows of a set."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from accuracy_sets import Split, novel

from textgate.bundle import bundle_bytes
from textgate.classifier import Classifier
from textgate.cli.evaluate import evaluate_rows
from textgate.export import export
from textgate.rows import Row, load_labelled
from textgate.train import fit

MOST_BYTES = 2_000_000
MAX_ACCURACY_DROP = 0.01


@dataclass(frozen=True)
class Scored:
    """One way to classify, trained once on one set and scored on its test rows.

    Attributes:
        data: the set.
        system: ``textgate`` or a peer's name.
        seed: of the training.
        accuracy: on the test rows.
        macro_f1: the same.
        ece: expected calibration error on the test rows, None for a peer.
        novel: accuracy on those test rows whose text is not among the training texts.
        bytes: of the bundle, None for a peer.
        seconds: of training.
        right: whether each test row was classified right, as a string of 0 and 1.
        setting: what was chosen on dev, in words.
    """

    data: str
    system: str
    seed: int
    accuracy: float
    macro_f1: float
    ece: float | None
    novel: float
    bytes: int | None
    seconds: float
    right: str
    setting: str


def train_and_score(
    split: Split,
    seed: int,
    run: Path,
    *,
    rows: Sequence[Row] | Path | None = None,
    settings: Mapping[str, Any] | None = None,
    **options: Any,
) -> Scored:
    """Train the default recipe, export it as int8 into at most 2 MB, and score the bundle.

    Args:
        split: the set.
        seed: of the training.
        run: the run's folder; what is there of it is gone on with. The bundle stands beside it.
        rows: the rows to train on in place of the set's own.
        settings: in place of the recipe's.
        options: further ones of `fit`.
    """
    fitted = fit(
        split.train if rows is None else rows,
        run,
        dev=split.dev,
        settings={**(settings or {}), "seed": seed},
        resume=True,
        **options,
    )
    bundle = run.with_suffix("")
    # The accuracy that counts is the exported one, whatever the export lost.
    exported = export(
        run, bundle, max_bytes=MOST_BYTES, max_accuracy_drop=MAX_ACCURACY_DROP, force=True
    )
    test = load_labelled(split.test)
    with Classifier.load(bundle) as classifier:
        quality = evaluate_rows(classifier, test, file=str(split.test))
        predicted = [item.top_label for item in classifier.predict_many(row.text for row in test)]
    right = [name == row.labels[0] for name, row in zip(predicted, test, strict=True)]
    return Scored(
        data=split.name,
        system="textgate",
        seed=seed,
        accuracy=quality.accuracy,
        macro_f1=quality.macro_f1,
        ece=quality.ece,
        novel=novel(split, right),
        bytes=bundle_bytes(bundle),
        seconds=sum(epoch.seconds for epoch in fitted.model.history),
        right="".join("01"[value] for value in right),
        setting=f"epoch {fitted.model.best_epoch}; " + "; ".join(exported.notes),
    )


def spread(values: list[float]) -> dict[str, float]:
    """Return the mean and the standard deviation, 0 of a single value."""
    deviation = statistics.stdev(values) if len(values) > 1 else 0.0
    return {"mean": statistics.fmean(values), "standard_deviation": deviation}
