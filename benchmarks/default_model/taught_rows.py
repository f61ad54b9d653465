"""Write down what teachers answer, as soft labels that any training reads.

    python benchmarks/default_model/taught_rows.py ROWS --teacher TEACHER -o taught.jsonl.gz

For rows that one teacher should label and another should not, say long reviews beside sentences;
`textgate train --teacher` asks it about all.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click
import numpy as np
import torch
from numpy.typing import NDArray
from written_rows import write_rows

from textgate.rows import Row, read_rows
from textgate.train.teach.teachers import check_teachers, find_teacher, predict

PATH = click.Path(exists=True, path_type=Path)


@click.command()
@click.argument("rows", type=PATH)
@click.option(
    "--teacher",
    "teachers",
    type=PATH,
    multiple=True,
    required=True,
    help="As for textgate train; repeat it for the mean of several; one given twice counts twice.",
)
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True)
@click.option(
    "--weight",
    type=click.FloatRange(0, 1),
    default=0.5,
    show_default=True,
    help="Of the answer beside a row's own label; a row without one gets the answer alone.",
)
def main(rows: Path, teachers: tuple[Path, ...], output: Path, weight: float) -> None:
    """Label ROWS with teachers."""
    read = list(read_rows(rows, labelled=False))
    labels, answers = mean_answers(teachers, [row.text for row in read])
    taught = (
        {"text": row.text, "probs": mixed(row, dict(zip(labels, answer, strict=True)), weight)}
        for row, answer in zip(read, answers.tolist(), strict=True)
    )
    click.echo(f"{output}: {write_rows(output, taught):,} rows")


def mean_answers(
    teachers: Sequence[Path], texts: Sequence[str]
) -> tuple[tuple[str, ...], NDArray[np.float32]]:
    """Return the labels that all teachers know, and the mean of their answers [texts, labels]."""
    found = [find_teacher(path) for path in teachers]
    labels, task = found[0].labels, found[0].task
    check_teachers(found, labels, task=task, file=str(teachers[0]))
    mean = np.zeros((len(texts), len(labels)), dtype=np.float32)
    for teacher in found:
        mean += predict(teacher.open(torch.device("cpu")), teacher, texts, labels) / len(found)
    return labels, mean


def mixed(row: Row, answer: dict[str, float], weight: float) -> dict[str, float]:
    """Return what a row learns from its own label and an answer, by label."""
    own = own_labels(row)
    share = weight if own else 1.0
    both = {
        name: share * value + (1 - share) * own.get(name, 0.0) for name, value in answer.items()
    }
    total = sum(both.values())
    return {name: round(value / total, 5) for name, value in both.items()}


def own_labels(row: Row) -> dict[str, float]:
    """Return what a row itself says, by label; nothing if it has no label."""
    given = row.extras.get("probs")
    if isinstance(given, dict):
        return {str(name): float(value) for name, value in given.items()}
    label = row.extras.get("label")
    return {label: 1.0} if isinstance(label, str) else {}


if __name__ == "__main__":
    main()
