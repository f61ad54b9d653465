"""Inputs of an export besides the weights: the tokenizer and the rows to verify on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textgate.bundle import run as run_folder
from textgate.errors import BundleError, DataError, ExportError
from textgate.inference.tokenizer import TextTokenizer
from textgate.rows import load_labelled
from textgate.train.data.encoding import encode_rows

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

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
        verify: a file of labelled rows; None takes the dev rows kept with the run.
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
