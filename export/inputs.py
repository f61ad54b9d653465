"""Inputs of an export besides the weights: the tokenizer and the rows to verify on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textgate.bundle import run as run_folder
from textgate.errors import BundleError, DataError, ExportError
from textgate.evaluation.out_of_fold import probabilities_of_rows
from textgate.inference.tokenizer import TextTokenizer
from textgate.rows import load_labelled
from textgate.train.data.encoding import encode_rows

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from textgate.bundle.run import RunManifest
    from textgate.rows import Columns, Row
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


def _out_of_fold(rows: Sequence[Row], labels: int, path: Path) -> NDArray[np.float32]:
    """Return the out-of-fold probabilities of a run's dev rows, float32 [rows, labels].

    Raises:
        ExportError: a row has no probabilities, or not one per label.
    """
    values = probabilities_of_rows(rows, labels)
    if values is None:
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
) -> tuple[Dataset, NDArray[np.float32] | None]:
    """Return the rows to verify on, encoded; those kept with the run unless a file is given.

    Args:
        run: the run's folder.
        trained: its manifest.
        tokenizer_json: its tokenizer.
        verify: a file of labelled rows; None takes the run's dev rows, or its training rows if
            folds chose.
        columns: columns of text and label in that file.
        note: receives notes about unusual rows.

    Returns:
        The rows, and their out-of-fold probabilities, float32 [rows, labels]; None where folds did
        not choose or a file is given.

    Raises:
        DataError: the rows are missing, malformed, or have labels unknown to the run.
        ExportError: the tokenizer does not fit the network, or the kept rows have not the
            probabilities of the folds.
    """
    probabilities = None
    if verify is None:
        kept = run / run_folder.DEV_ROWS
        path: str | Path = kept
        try:
            rows = load_labelled(kept)
        except DataError as problem:
            raise DataError(f"{problem}; or verify on other rows: --verify FILE") from None
        if trained.settings.get("folds"):
            probabilities = _out_of_fold(rows, len(trained.labels), kept)
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
    return dataset, probabilities
