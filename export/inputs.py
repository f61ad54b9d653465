"""Inputs of an export besides the weights: the tokenizer and the rows to verify on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from textgate.bundle import run as run_folder
from textgate.errors import BundleError, DataError, ExportError
from textgate.inference.tokenizer import TextTokenizer
from textgate.rows import load_labelled
from textgate.train.data.encoding import encode_rows

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

    from textgate.bundle.run import RunManifest
    from textgate.rows import Columns
    from textgate.train.data.dataset import Dataset


def read_tokenizer(run: Path) -> str:
    """Return a run's tokenizer as JSON.

    Raises:
        ExportError: it cannot be read.
    """
    path = run / run_folder.TOKENIZER
    try:
        return path.read_text(encoding="utf-8")
    except OSError as problem:
        reason = problem.strerror
    except ValueError as problem:
        reason = str(problem)
    raise ExportError(f"{path}: cannot be read: {reason}; copy the run again, or train again")


def read_out_of_fold(run: Path, trained: RunManifest) -> NDArray[np.float32] | None:
    """Return the out-of-fold probabilities of the dev rows kept with a run, float32 [rows, labels].

    Args:
        run: the run's folder.
        trained: its manifest.

    Returns:
        None if dev rows were held out, so that there are none.

    Raises:
        DataError: the file is missing or malformed.
        ExportError: a row has no probabilities, or not one per label.
    """
    if not trained.settings.get("folds"):
        return None
    path = run / run_folder.DEV_ROWS
    found = [row.extras.get(run_folder.OUT_OF_FOLD) for row in load_labelled(path)]
    try:
        values = np.array(found, dtype=np.float32)
    except (TypeError, ValueError):
        values = np.zeros(0, np.float32)
    if (
        values.shape != (len(found), len(trained.labels))
        or not ((values >= 0) & (values <= 1)).all()
    ):
        raise ExportError(
            f"{path}: damaged: each row needs {run_folder.OUT_OF_FOLD!r} with a probability for "
            "each label; train again"
        )
    return values


def verification_rows(
    run: Path,
    trained: RunManifest,
    tokenizer_json: str,
    verify: str | Path | None,
    columns: Columns,
    *,
    note: Callable[[str], None],
) -> Dataset:
    """Return the rows to verify on, encoded; those kept with the run unless a file is given.

    Args:
        run: the run's folder.
        trained: its manifest.
        tokenizer_json: its tokenizer.
        verify: a file of labelled rows; None takes the run's dev rows, or its training rows if
            folds chose.
        columns: columns of text and label in that file.
        note: receives notes about unusual rows.

    Raises:
        DataError: the rows are missing, malformed, or have labels unknown to the run.
        ExportError: the tokenizer does not fit the network.
    """
    if verify is None:
        path: str | Path = run / run_folder.DEV_ROWS
        try:
            rows = load_labelled(path)
        except DataError as problem:
            raise DataError(f"{problem}; or verify on other rows: --verify FILE") from None
    else:
        path = verify
        rows = load_labelled(
            path,
            columns,
            may_have_none=trained.architecture.task == "multi-label",
            note=note,
        )
    try:
        tokenizer = TextTokenizer(tokenizer_json, max_tokens=trained.max_tokens)
    except BundleError as problem:
        raise ExportError(f"{run}: {problem}") from None
    if tokenizer.vocabulary_size > trained.architecture.vocabulary_size:
        raise ExportError(
            f"{run}: the tokenizer has {tokenizer.vocabulary_size} ids, the embedding only "
            f"{trained.architecture.vocabulary_size} rows"
        )
    dataset = encode_rows(
        rows, tokenizer, trained.labels, task=trained.architecture.task, file=str(path)
    )
    largest = max(int(sequence.max()) for sequence in dataset.sequences)
    if largest >= trained.architecture.vocabulary_size:
        raise ExportError(
            f"{run}: the tokenizer gives the token id {largest}, but the embedding has rows 0 to "
            f"{trained.architecture.vocabulary_size - 1}"
        )
    return dataset
