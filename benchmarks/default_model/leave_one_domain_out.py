"""How well a sentiment model does on a domain that it was not trained on, domain by domain.

    python benchmarks/default_model/leave_one_domain_out.py runs/domains

runs/domains is what domain_rows.py wrote. For each domain the default recipe is trained on the
rows of all others, exported as int8 and scored on the domain's rows. The mean over domains is what
every choice about the packaged model is made by. Finished work is in `--cache`; a second call
continues.
"""

from __future__ import annotations

import json
import random
import statistics
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import click
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from common import cache_option, write_result
from domain_rows import LABELS, read
from sets import in_processes, remembered
from written_rows import write_rows

from textgate.export import export
from textgate.inference.classifier import Classifier
from textgate.train import fit

PATH = click.Path(exists=True, path_type=Path)
MAX_BYTES = 2_500_000
PRECISION = 0.91  # of the answers, by the thresholds
_SEED = 0
FIGURES = ("accuracy", "answered", "right", "neutral")
Row = dict[str, Any]
Found = dict[str, Any]


@click.command()
@click.argument("rows", type=PATH)
@click.option("--domain", "only", multiple=True, help="Leave out only these; can be repeated.")
@click.option("--two/--three", "two", help="Train without neutral rows.")
@click.option("--most", default=16_000, show_default=True, help="Rows of a domain.")
@click.option(
    "--least",
    default=6_000,
    show_default=True,
    help="Fewer rows are repeated.",
)
@click.option("--seed", default=0, show_default=True)
@click.option("--set", "settings", multiple=True, help="NAME=VALUE of the recipe; can be repeated.")
@click.option("--jobs", default=2, show_default=True)
@cache_option("domains")
@click.option("-o", "--output", type=click.Path(path_type=Path))
def main(
    rows: Path,
    only: tuple[str, ...],
    most: int,
    least: int,
    seed: int,
    settings: tuple[str, ...],
    jobs: int,
    cache: Path,
    output: Path | None,
    *,
    two: bool,
) -> None:
    """Train without each domain in turn and score it."""
    cache.mkdir(parents=True, exist_ok=True)
    domains = sorted(
        path.name.removesuffix(".train.jsonl.gz") for path in rows.glob("*.train.jsonl.gz")
    )
    labels = LABELS[::2] if two else LABELS
    chosen = {name: json.loads(value) for name, value in (one.split("=") for one in settings)}
    work = [
        (rows, cache, domain, [other for other in domains if other != domain], labels, most, least,
         {"seed": seed, **chosen})
        for domain in only or domains
    ]  # fmt: skip
    found = in_processes(jobs, without_domain, work)
    for one in found:
        click.echo(f"{one['domain']}, {one['rows']:,} rows: {told(one)}")
    means = {name: statistics.mean(one[name] for one in found) for name in FIGURES}
    click.echo(f"mean: {told(means)}")
    if output:
        write_result(output, {"domains": found, "mean": means})


def told(found: Found) -> str:
    """Return figures as words."""
    return (
        f"{found['accuracy']:.4f}, answered {found['answered']:.1%} at {found['right']:.4f}, "
        f"neutral {found['neutral']:.1%}"
    )


def without_domain(
    rows: Path,
    cache: Path,
    domain: str,
    others: Sequence[str],
    labels: Sequence[str],
    most: int,
    least: int,
    settings: Mapping[str, Any],
) -> Found:
    """Train on other domains and return the figures of one."""
    chosen = "-".join(f"{name}={value}" for name, value in sorted(settings.items()))
    name = f"{domain}-{len(labels)}-{most}-{least}-{chosen}".replace(" ", "_")

    def find() -> Found:
        folder = cache / name
        folder.mkdir(exist_ok=True)
        for part in ("train", "dev"):
            write_rows(
                folder / f"{part}.jsonl.gz", balanced(rows, part, others, labels, most, least)
            )
        fit(folder / "train.jsonl.gz", folder / "run", dev=folder / "dev.jsonl.gz",
            settings=settings, resume=(folder / "run").exists())  # fmt: skip
        export(
            folder / "run",
            folder / "bundle",
            max_bytes=MAX_BYTES,
            min_precision=PRECISION,
            force=True,
        )
        with Classifier.load(folder / "bundle") as classifier:
            return {"domain": domain, **scored(classifier, list(read(rows, f"{domain}.dev")))}

    return remembered(cache / f"{name}.json", find)


def balanced(
    rows: Path, part: str, domains: Iterable[str], labels: Sequence[str], most: int, least: int
) -> list[Row]:
    """Return rows of domains in a random order: of each at most `most`, repeated up to `least`.

    Of the rows to choose by, at most 300 are of one domain, and none is repeated.
    """
    chance = random.Random(_SEED)
    if part == "dev":
        most, least = 300, 0
    found = []
    for domain in domains:
        mine = [row for row in read(rows, f"{domain}.{part}") if row["label"] in labels]
        chance.shuffle(mine)
        mine = mine[:most]
        times = min(3, max(1, round(least / max(1, len(mine)))))
        found += mine * times
    chance.shuffle(found)
    return found


def scored(classifier: Classifier, rows: list[Row]) -> Found:
    """Return the accuracy on clear rows, which have two labels, and the share of neutral ones.

    `answered` and `right` are the share of clear rows with an answer other than neutral, and the
    accuracy of these; `neutral` is the share of neutral rows that are neutral or get no answer.
    """
    answers = list(classifier.predict_many([row["text"] for row in rows]))
    clear = [
        (row, answer)
        for row, answer in zip(rows, answers, strict=True)
        if row["label"] != "neutral"
    ]
    rest = [answer for row, answer in zip(rows, answers, strict=True) if row["label"] == "neutral"]
    right = [
        (answer.scores["positive"] >= answer.scores["negative"]) == (row["label"] == "positive")
        for row, answer in clear
    ]
    answered = [
        answer.label == row["label"]
        for row, answer in clear
        if answer.label in ("positive", "negative")
    ]
    return {
        "rows": len(clear),
        "accuracy": float(np.mean(right)),
        "answered": len(answered) / len(clear),
        "right": float(np.mean(answered)) if answered else 0.0,
        "neutral": float(np.mean([answer.label not in ("positive", "negative") for answer in rest]))
        if rest
        else 0.0,
    }


if __name__ == "__main__":
    main()
