"""Out-of-fold probabilities of a run's rows, each by networks that were not trained on the row."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

import numpy as np

from textgate.bundle.run import DEV_ROWS, OUT_OF_FOLD, read_run
from textgate.errors import CheckpointError
from textgate.rows import Columns, load_labelled

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from textgate.bundle.manifest import Manifest
    from textgate.rows import Row


def out_of_fold_probabilities(
    run: Path, rows: Sequence[Row], *, manifest: Manifest
) -> NDArray[np.float32]:
    """Return the out-of-fold probabilities of rows, float32 [rows, labels]; NaN without one.

    Rows are found by text and labels.

    Args:
        run: the folder of a run that was trained with folds.
        rows: the rows.
        manifest: the manifest of the bundle that was exported from the run.

    Raises:
        CheckpointError: the run is damaged, has no out-of-fold predictions, or is not the one that
            the bundle was exported from.
    """
    trained = read_run(run)
    if (
        trained.labels != manifest.labels
        or manifest.training.get("train_sha256") != trained.train.sha256
    ):
        raise CheckpointError(
            f"{run}: the bundle was not exported from this run; name the run that it was exported "
            "from"
        )
    if not trained.settings.get("folds"):
        raise CheckpointError(
            f"{run}: no out-of-fold predictions, because the run held dev rows out; leave the run "
            "out and give rows that it was not trained on, or train with --folds 5"
        )
    path = run / DEV_ROWS
    several = trained.architecture.task == "multi-label"
    stored = load_labelled(path, Columns(), may_have_none=several)
    values = probabilities_of_rows(stored, len(trained.labels))
    if values is None:
        raise CheckpointError(
            f"{path}: damaged, or training is not finished: each row needs {OUT_OF_FOLD!r} with a "
            "probability for each label; finish it with --resume, or train again"
        )
    waiting: defaultdict[tuple[str, frozenset[str]], list[int]] = defaultdict(list)
    for index in range(len(stored) - 1, -1, -1):
        waiting[stored[index].text, frozenset(stored[index].labels)].append(index)
    result = np.full((len(rows), len(trained.labels)), np.nan, dtype=np.float32)
    for number, row in enumerate(rows):
        same = waiting.get((row.text, frozenset(row.labels)))
        if same:
            result[number] = values[same.pop() if len(same) > 1 else same[0]]
    return result


def probabilities_of_rows(rows: Sequence[Row], labels: int) -> NDArray[np.float32] | None:
    """Return the out-of-fold probabilities in a run's dev rows, float32 [rows, labels].

    None if a row has none, or not a probability for each label.
    """
    found = [row.extras.get(OUT_OF_FOLD) for row in rows]
    try:
        values = np.array(found, dtype=np.float32)
    except (TypeError, ValueError):
        return None
    sound = values.shape == (len(found), labels) and bool(((values >= 0) & (values <= 1)).all())
    return values if sound else None
