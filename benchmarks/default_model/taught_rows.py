"""Rows labelled by teachers, as soft labels for any training.

    python benchmarks/default_model/taught_rows.py ROWS --teacher TEACHER -o taught.jsonl.gz

It is for rows that only one of several teachers should label, such as sentences but not long
reviews; `textgate train --teacher` asks each teacher about all rows. Rows that are made of the
labelled ones follow: with --noisy, rows with typos and other small faults, with --named, rows with
a name instead of he or she or beside the text, and with --joined, long texts of several rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import click
import numpy as np
import torch
from made_rows import joined, noisy, renamed
from numpy.typing import NDArray
from written_rows import write_rows

from textgate.rows import Row, read_rows
from textgate.train.teaching.teachers import check_teachers, find_teacher, teacher_probabilities

PATH = click.Path(exists=True, path_type=Path)


@click.command()
@click.argument("rows", type=PATH)
@click.option(
    "--teacher",
    "teachers",
    type=PATH,
    multiple=True,
    required=True,
    help="As for textgate train. Several are averaged; one given twice counts twice.",
)
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True)
@click.option(
    "--weight",
    type=click.FloatRange(0, 1),
    default=0.5,
    show_default=True,
    help="Weight of the answer against a row's own label; a row without label gets the answer.",
)
@click.option(
    "--noisy",
    "share",
    type=click.FloatRange(0, 1),
    default=0.0,
    show_default=True,
    help="Share of the rows that follow once more with faults.",
)
@click.option(
    "--named",
    type=click.FloatRange(0, 1),
    default=0.0,
    show_default=True,
    help="Share of the rows that begin with he or she, and a few of the others, "
    "that follow once more with a name.",
)
@click.option("--joined", "long", default=0, show_default=True, help="Long texts to make of them.")
def main(
    rows: Path,
    teachers: tuple[Path, ...],
    output: Path,
    weight: float,
    share: float,
    named: float,
    long: int,
) -> None:
    """Label ROWS with teachers."""
    labelled = taught(list(read_rows(rows, labelled=False)), teachers, weight)
    more = (noisy(labelled, share), renamed(labelled, named), joined(labelled, long))
    count = write_rows(output, [*labelled, *chain(*more)])
    click.echo(f"{output}: {count:,} rows")


def taught(rows: Sequence[Row], teachers: Sequence[Path], weight: float) -> list[dict[str, Any]]:
    """Return rows with the soft labels of teachers; a text that is repeated is labelled once."""
    places = {text: place for place, text in enumerate(dict.fromkeys(row.text for row in rows))}
    labels, answers = mean_answers(teachers, list(places))
    return [
        {"text": row.text, "probs": mixed(row, dict(zip(labels, answer, strict=True)), weight)}
        for row, answer in zip(
            rows, answers[[places[row.text] for row in rows]].tolist(), strict=True
        )
    ]


def mean_answers(
    teachers: Sequence[Path], texts: Sequence[str]
) -> tuple[tuple[str, ...], NDArray[np.float32]]:
    """Return the teachers' common labels and the mean of their answers [texts, labels]."""
    found = [find_teacher(path) for path in teachers]
    labels, task = found[0].labels, found[0].task
    check_teachers(found, labels, task=task, file=str(teachers[0]))
    mean = np.zeros((len(texts), len(labels)), dtype=np.float32)
    for teacher in found:
        classify = teacher.open(torch.device("cpu"))
        mean += teacher_probabilities(classify, teacher, texts, labels) / len(found)
    return labels, mean


def mixed(row: Row, answer: dict[str, float], weight: float) -> dict[str, float]:
    """Return the soft label of a row from its own label and an answer."""
    own = own_labels(row)
    weight = weight if own else 1.0
    both = {
        name: weight * value + (1 - weight) * own.get(name, 0.0) for name, value in answer.items()
    }
    total = sum(both.values())
    return {name: round(value / total, 5) for name, value in both.items()}


def own_labels(row: Row) -> dict[str, float]:
    """Return the probabilities in a row's own label, {} without a label."""
    given = row.extras.get("probs")
    if isinstance(given, dict):
        return {str(name): float(value) for name, value in given.items()}
    label = row.extras.get("label")
    return {label: 1.0} if isinstance(label, str) else {}


if __name__ == "__main__":
    main()
