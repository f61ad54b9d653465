"""Rows of all domains but some, the same number of each where there are as many.

    python benchmarks/default_model/balanced_rows.py runs/domains --most 4000 -o rows.jsonl.gz

runs/domains is what domain_rows.py wrote. A teacher is fine-tuned on such rows.
"""

from __future__ import annotations

import math
import random
from collections.abc import Collection
from pathlib import Path
from typing import Any

import click
from domain_rows import read
from overlap import words
from written_rows import write_rows

_SEED = 0
_MOST_REPEATED = 3  # times
Row = dict[str, Any]


@click.command()
@click.argument("rows", type=click.Path(exists=True, path_type=Path))
@click.option("--part", type=click.Choice(["train", "dev"]), default="train", show_default=True)
@click.option("--without", multiple=True, help="Domain to leave out; can be repeated.")
@click.option("--most", default=4_000, show_default=True, help="Rows of a domain.")
@click.option("--max-words", default=60, show_default=True, help="Longer texts are left out.")
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True)
def main(
    rows: Path, part: str, without: tuple[str, ...], most: int, max_words: int, output: Path
) -> None:
    """Write the rows and print their number."""
    unknown = set(without) - set(domains(rows))
    if unknown:
        raise click.UsageError(f"no domain is called {', '.join(sorted(unknown))}")
    chosen = balanced(
        rows,
        part,
        [domain for domain in domains(rows) if domain not in without],
        most=most,
        max_words=max_words,
    )
    click.echo(f"{output}: {write_rows(output, chosen):,} rows")


def domains(rows: Path) -> list[str]:
    """Return the names of the domains in a folder, sorted."""
    return sorted(
        path.name.removesuffix(".train.jsonl.gz") for path in rows.glob("*.train.jsonl.gz")
    )


def balanced(
    rows: Path,
    part: str,
    chosen: Collection[str],
    *,
    most: int,
    least: int = 0,
    min_words: int = 1,
    max_words: int | None = None,
) -> list[Row]:
    """Return rows of domains in a random order that is fixed.

    Args:
        rows: the folder that domain_rows.py wrote.
        part: ``train`` or ``dev``.
        chosen: the domains.
        most: rows of a domain at most.
        least: the rows of a domain with fewer are repeated, three times at most.
        min_words: shorter texts are left out.
        max_words: longer texts are left out; None for none.
    """
    longest = math.inf if max_words is None else max_words
    chance = random.Random(_SEED)
    found: list[Row] = []
    for domain in chosen:
        mine = [
            row
            for row in read(rows, f"{domain}.{part}")
            if min_words <= len(words(row["text"])) <= longest
        ]
        chance.shuffle(mine)
        mine = mine[:most]
        found += mine * min(_MOST_REPEATED, max(1, round(least / max(1, len(mine)))))
    chance.shuffle(found)
    return found


if __name__ == "__main__":
    main()
