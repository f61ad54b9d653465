"""Write down what a teacher answers, as soft labels that any training reads.

    python benchmarks/taught_rows.py TEACHER ROWS -o taught.jsonl.gz --weight 0.5

For rows that one teacher should label and another should not, say long reviews beside sentences;
`textgate train --teacher` asks it about all.
"""

from __future__ import annotations

from pathlib import Path

import click
import torch
from written_rows import write_rows

from textgate.rows import Row, read_rows
from textgate.train.teachers import ask, find_teacher

PATH = click.Path(exists=True, path_type=Path)


@click.command()
@click.argument("teacher", type=PATH)
@click.argument("rows", type=PATH)
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True)
@click.option(
    "--weight",
    type=click.FloatRange(0, 1),
    default=0.5,
    show_default=True,
    help="Of its answer beside a row's own label; a row without one gets the answer alone.",
)
def main(teacher: Path, rows: Path, output: Path, weight: float) -> None:
    """Label ROWS with TEACHER."""
    asked = find_teacher(teacher)
    read = list(read_rows(rows, labelled=False))
    answers = ask(asked.open(torch.device("cpu")), asked, [row.text for row in read])
    taught = (
        {
            "text": row.text,
            "probs": mixed(row, dict(zip(asked.labels, answer, strict=True)), weight),
        }
        for row, answer in zip(read, answers.tolist(), strict=True)
    )
    click.echo(f"{output}: {write_rows(output, taught):,} rows")


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
