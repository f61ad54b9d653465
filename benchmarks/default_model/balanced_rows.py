"""Rows of all domains but some, the same number of each where there are as many.

    python benchmarks/default_model/balanced_rows.py runs/domains --most 4000 -o rows.jsonl.gz

runs/domains is what domain_rows.py wrote. A teacher is fine-tuned on such rows.
"""

from __future__ import annotations

import math
import random
from collections.abc import Collection, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import click
from domain_rows import read
from overlap import words
from written_rows import write_rows

NO_OTHERS: Mapping[str, int] = MappingProxyType({})
_SEED = 0
_MOST_REPEATED = 3  # times
Row = dict[str, Any]


class DomainCount(click.ParamType):
    """A domain and a number of rows, as DOMAIN=NUMBER."""

    name = "domain=number"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, int]:
        """Return both."""
        domain, _, number = str(value).rpartition("=")
        if not domain or not number.isdigit():
            self.fail(f"{value!r} is not DOMAIN=NUMBER", param, ctx)
        return domain, int(number)


most_of_option = click.option(
    "--most-of",
    type=DomainCount(),
    multiple=True,
    help="DOMAIN=NUMBER for a domain with another number than --most; can be repeated.",
)


@click.command()
@click.argument("rows", type=click.Path(exists=True, path_type=Path))
@click.option("--part", type=click.Choice(["train", "dev"]), default="train", show_default=True)
@click.option("--without", multiple=True, help="Domain to leave out; can be repeated.")
@click.option("--most", default=4_000, show_default=True, help="Rows of a domain.")
@most_of_option
@click.option("--max-words", default=60, show_default=True, help="Longer texts are left out.")
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True)
def main(
    rows: Path,
    part: str,
    without: tuple[str, ...],
    most: int,
    most_of: tuple[tuple[str, int], ...],
    max_words: int,
    output: Path,
) -> None:
    """Write the rows and print their number."""
    check_domains(rows, [*without, *dict(most_of)])
    chosen = balanced(
        rows,
        part,
        [domain for domain in domains(rows) if domain not in without],
        most=most,
        most_of=dict(most_of),
        max_words=max_words,
    )
    click.echo(f"{output}: {write_rows(output, chosen):,} rows")


def check_domains(rows: Path, names: Collection[str]) -> None:
    """Refuse names that no domain in a folder has."""
    unknown = set(names) - set(domains(rows))
    if unknown:
        raise click.UsageError(f"no domain is called {', '.join(sorted(unknown))}")


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
    most_of: Mapping[str, int] = NO_OTHERS,
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
        most_of: the same for domains that have another number.
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
        mine = mine[: most_of.get(domain, most)]
        found += mine * min(_MOST_REPEATED, max(1, round(least / max(1, len(mine)))))
    chance.shuffle(found)
    return found


if __name__ == "__main__":
    main()
