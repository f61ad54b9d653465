"""Write down what a teacher answers, as soft labels that any training reads.

    python benchmarks/taught_rows.py TEACHER ROWS -o taught.jsonl.gz --weight 0.5

For rows that one teacher should label and another should not, say long reviews beside sentences;
`textgate train --teacher` asks it about all.
"""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import click
import torch

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
    with output.open("wb") as raw, gzip.GzipFile("", "wb", fileobj=raw, mtime=0) as stream:
        for row, answer in zip(read, answers.tolist(), strict=True):
            own = own_labels(row)
            share = weight if own else 1.0
            mixed = {
                name: share * value + (1 - share) * own.get(name, 0.0)
                for name, value in zip(asked.labels, answer, strict=True)
            }
            total = sum(mixed.values())
            probs = {name: round(value / total, 5) for name, value in mixed.items()}
            line = json.dumps({"text": row.text, "probs": probs}, ensure_ascii=False)
            stream.write((line + "\n").encode())
    click.echo(f"{output}: {len(read):,} rows")


def own_labels(row: Row) -> dict[str, float]:
    """Return what a row itself says, by label; nothing if it has no label."""
    given = row.extras.get("probs")
    if isinstance(given, dict):
        return {str(name): float(value) for name, value in given.items()}
    label = row.extras.get("label")
    return {label: 1.0} if isinstance(label, str) else {}


if __name__ == "__main__":
    main()
