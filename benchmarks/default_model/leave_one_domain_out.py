"""How well a sentiment model does on a domain that it was not trained on, domain by domain.

    python benchmarks/default_model/leave_one_domain_out.py runs/domains

runs/domains is what domain_rows.py wrote. For each domain the default recipe is trained on the
rows of all others, and on generated rows, exported as int8 and scored on the domain's dev rows.
The mean over domains is what every choice about the packaged model is made by. With `--teachers`,
a teacher that was fine-tuned on the same other domains (balanced_rows.py `--without`) labels the
short rows and the sentences. Finished work is in `--cache`; a second call continues.
"""

from __future__ import annotations

import json
import random
import sys
from collections.abc import Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import click

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from balanced_rows import balanced, domains
from common import cache_option, write_result
from domain_rows import read
from domain_scores import means, scored, told
from made_rows import noisy
from sets import in_processes, remembered
from student_rows import MAX_WORDS, MOST_DEV, made, unlabelled
from taught_rows import taught
from written_rows import write_rows

from textgate.export import Answers, export
from textgate.inference.classifier import Classifier
from textgate.rows import Row
from textgate.train import fit

PATH = click.Path(exists=True, path_type=Path)
MAX_BYTES = 2_500_000
PRECISION = 0.91  # of the answers, by the thresholds
MOST_REVIEWS = 2_000  # long rows of a domain
_NOISY = 0.15
_WEIGHT = 0.5  # of a teacher's answer against a row's own label
_SEED = 0
Found = dict[str, Any]


@click.command()
@click.argument("rows", type=PATH)
@click.option(
    "--leave",
    "left",
    multiple=True,
    help="Domains to leave out together, separated by commas; can be repeated. [default: each]",
)
@click.option("--teachers", type=PATH, help="Folder of <domains left out>.teacher.")
@click.option("--made/--not-made", "generated", default=True, help="With generated rows.")
@click.option("--most", default=6_000, show_default=True, help="Short rows of a domain.")
@click.option("--sentences", default=25_000, show_default=True, help="For the teacher.")
@click.option("--seed", default=0, show_default=True)
@click.option("--set", "settings", multiple=True, help="NAME=VALUE of the recipe; can be repeated.")
@click.option("--jobs", default=2, show_default=True)
@cache_option("domains")
@click.option("-o", "--output", type=click.Path(path_type=Path))
def main(
    rows: Path,
    left: tuple[str, ...],
    teachers: Path | None,
    most: int,
    sentences: int,
    seed: int,
    settings: tuple[str, ...],
    jobs: int,
    cache: Path,
    output: Path | None,
    *,
    generated: bool,
) -> None:
    """Train without each domain in turn and score it."""
    cache.mkdir(parents=True, exist_ok=True)
    chosen = {name: json.loads(value) for name, value in (one.split("=") for one in settings)}
    work = [
        (rows, cache, tuple(names.split(",")), teachers, generated, most, sentences,
         {"seed": seed, **chosen})
        for names in left or domains(rows)
    ]  # fmt: skip
    found = list(chain.from_iterable(in_processes(jobs, without_domains, work)))
    for one in found:
        click.echo(f"{one['domain']}, {one['rows']:,} rows: {told(one)}")
    mean = means(found)
    click.echo(f"mean: {told(mean)}")
    if output:
        write_result(output, {"held_out": found})


def without_domains(
    rows: Path,
    cache: Path,
    left: Sequence[str],
    teachers: Path | None,
    generated: bool,
    most: int,
    sentences: int,
    settings: Mapping[str, Any],
) -> list[Found]:
    """Train on other domains and return the figures of those left out."""
    chosen = "-".join(f"{name}={value}" for name, value in sorted(settings.items()))
    name = "+".join(left).replace(" ", "_")
    teacher = teachers / f"{name}.teacher" if teachers else None
    kind = f"{most}-{sentences if teacher else 0}-{'made-' if generated else ''}{chosen}"

    def find() -> list[Found]:
        folder = cache / f"{name}-{kind}"
        folder.mkdir(exist_ok=True)
        others = [other for other in domains(rows) if other not in left]
        train = training_rows(rows, others, teacher, generated, most, sentences)
        write_rows(folder / "train.jsonl.gz", train)
        write_rows(folder / "dev.jsonl.gz", balanced(rows, "dev", others, most=MOST_DEV))
        fit(folder / "train.jsonl.gz", folder / "run", dev=folder / "dev.jsonl.gz",
            settings=settings, resume=(folder / "run").exists())  # fmt: skip
        export(
            folder / "run",
            folder / "bundle",
            max_bytes=MAX_BYTES,
            answers=Answers("precision", PRECISION),
            force=True,
        )
        with Classifier.load(folder / "bundle") as classifier:
            return [
                {"domain": one, **scored(classifier, list(read(rows, f"{one}.dev")))}
                for one in left
            ]

    return remembered(cache / f"{name}-{kind}.json", find)


def training_rows(
    rows: Path,
    others: Sequence[str],
    teacher: Path | None,
    generated: bool,
    most: int,
    sentences: int,
) -> list[dict[str, Any]]:
    """Return rows of domains in a random order, labelled by a teacher if there is one."""
    short = balanced(rows, "train", others, most=most, least=most // 2, max_words=MAX_WORDS)
    long = balanced(rows, "train", others, most=MOST_REVIEWS, min_words=MAX_WORDS + 1)
    plain = list(made(short)) if generated else []
    if teacher:
        asked = [*short, *unlabelled(rows, others, sentences)]
        short = taught([Row(row["text"], (), 0, row) for row in asked], [teacher], _WEIGHT)
    found = [*short, *noisy(short, _NOISY), *long, *plain]
    random.Random(_SEED).shuffle(found)
    return found


if __name__ == "__main__":
    main()
