"""How well a sentiment model does on a domain that it was not trained on, domain by domain.

    python benchmarks/default_model/leave_one_domain_out.py runs/domains

runs/domains is what domain_rows.py wrote. For each domain the default recipe is trained on the
rows of all others, and on generated rows, exported as int8 and scored on the domain's dev rows.
The mean over domains is what every choice about the packaged model is made by. The package's
encoder has learned labels of some domains: trainings without one of these begin with word vectors.
With `--transformer`, a teacher that knows the same other domains alone labels the short rows and
the sentences, see frozen_teacher.py; its own accuracy is printed too. Finished work is in
`--cache`; another call goes on.
"""

from __future__ import annotations

import json
import random
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import click
import numpy as np
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from balanced_rows import balanced, domains
from common import Goal, cache_option, write_result
from domain_rows import LABELS, read
from domain_scores import clear, scored, show, side_accuracy, summary
from frozen_teacher import Vectors, answers
from made_rows import noisy
from sets import in_processes, remembered
from student_rows import MAX_WORDS, MOST_DEV, made, unlabelled
from taught_rows import mixed
from written_rows import write_rows

from textgate.export import Answers, export
from textgate.inference.classifier import Classifier
from textgate.rows import Row
from textgate.train import fit

PATH = click.Path(exists=True, path_type=Path)
MAX_BYTES = 2_500_000
PRECISION = 0.76  # of each label, by the thresholds; as in the package
MAX_DROP = 0.01  # of accuracy by int8, as a fraction
MOST_REVIEWS = 2_000  # long rows of a domain
KNOWN = (  # domains that have labels which the package's encoder has learned, see encoder.md
    *("developers' posts", "forum comments", "news", "product sentences", "restaurant reviews"),
    "tweets",
)
EPOCHS = {"english": 2, "none": 3}  # by the encoder that training begins with
_NOISY = 0.15
_WEIGHT = 0.5  # of a teacher's answer against a row's own label
_SEED = 0
MIN_MEAN, MIN_DOMAIN = 0.87, 0.8  # accuracy
MIN_ANSWERED, MIN_RIGHT = 0.75, 0.91  # means
Found = dict[str, Any]
Written = dict[str, Any]


@dataclass(frozen=True)
class Plan:
    """How the rows of a training are made.

    Attributes:
        rows: the folder that domain_rows.py wrote.
        cache: the folder of finished work.
        generated: whether there are generated rows.
        most: short rows of a domain.
        sentences: unlabelled texts of a domain, for the teacher.
    """

    rows: Path
    cache: Path
    generated: bool
    most: int
    sentences: int

    def short(self, domain: str) -> list[Written]:
        """Return the short rows of a domain."""
        return balanced(
            self.rows, "train", [domain],
            most=self.most, least=self.most // 2, max_words=MAX_WORDS,
        )  # fmt: skip

    def texts(self, domain: str) -> list[str]:
        """Return the unlabelled texts of a domain."""
        return [row["text"] for row in unlabelled(self.rows, [domain], self.sentences)]

    def read(self) -> Iterator[str]:
        """Yield the texts that a teacher learns from, labels or is scored on."""
        for domain in domains(self.rows):
            yield from (row["text"] for row in self.short(domain))
            yield from self.texts(domain)
            yield from (row["text"] for row in clear(read(self.rows, f"{domain}.dev")))


@click.command()
@click.argument("rows", type=PATH)
@click.option(
    "--leave",
    "left",
    multiple=True,
    help="Domains to leave out together, separated by commas; can be repeated; '' leaves none "
    "out and scores all. [default: each]",
)
@click.option("--transformer", type=PATH, help="Folder of a sentence transformer: the teacher.")
@click.option("--made/--not-made", "generated", default=True, help="With generated rows.")
@click.option("--most", default=3_000, show_default=True, help="Short rows of a domain.")
@click.option("--sentences", default=2_000, show_default=True, help="Of a domain, for the teacher.")
@click.option("--seed", "seeds", type=int, multiple=True, default=[0], show_default=True)
@click.option("--set", "settings", multiple=True, help="NAME=VALUE of the recipe; can be repeated.")
@click.option("--jobs", default=2, show_default=True)
@cache_option("domains")
@click.option("-o", "--output", type=click.Path(path_type=Path))
def main(
    rows: Path,
    left: tuple[str, ...],
    transformer: Path | None,
    most: int,
    sentences: int,
    seeds: tuple[int, ...],
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
    plan = Plan(rows, cache, generated, most, sentences)
    vectors = Vectors(plan.read(), transformer, cache) if transformer else None
    work = [
        (plan, vectors, tuple(filter(None, names.split(","))), {"seed": seed, **chosen})
        for names in left or domains(rows)
        for seed in seeds
    ]
    found = in_processes(jobs, without_domains, work)
    result = summary(list(chain.from_iterable(found)))
    show(result)
    if output:
        bounds = [] if left == ("",) else goals(result)
        write_result(output, {"seeds": len(seeds), **result}, bounds)


def goals(result: Found) -> list[Goal]:
    """Return the bounds of the figures, which are for domains that are left out."""
    mean = result["mean"]
    return [
        Goal("mean accuracy", mean["accuracy"], MIN_MEAN, at_least=True),
        Goal("mean answered", mean["answered"], MIN_ANSWERED, at_least=True),
        Goal("of these right", mean["right"], MIN_RIGHT, at_least=True),
        *(
            Goal(f"accuracy, {one['domain']}", one["accuracy"], MIN_DOMAIN, at_least=True)
            for one in result["domains"]
        ),
    ]


def without_domains(
    plan: Plan, vectors: Vectors | None, left: Sequence[str], settings: Mapping[str, Any]
) -> list[Found]:
    """Train on other domains and return the figures of those left out, or of all if none is."""
    encoder = "none" if set(left) & set(KNOWN) else "english"
    settings = {"epochs": EPOCHS[encoder], **settings}
    name = "+".join(left).replace(" ", "_") or "none"
    parts = [plan.rows.name, str(plan.most)]
    parts += ["made"] if plan.generated else []
    parts += [f"{vectors.name}={plan.sentences}"] if vectors else []
    parts += [f"{name}={value}" for name, value in sorted(settings.items())]
    kind = "-".join(parts)

    def find() -> list[Found]:
        folder = plan.cache / f"{name}-{kind}"
        folder.mkdir(exist_ok=True)
        others = [other for other in domains(plan.rows) if other not in left]
        asked = left or domains(plan.rows)
        test = {domain: list(read(plan.rows, f"{domain}.dev")) for domain in asked}
        train, given = training_rows(plan, vectors, others, clear(chain(*test.values())))
        write_rows(folder / "train.jsonl.gz", train)
        dev = balanced(plan.rows, "dev", others, most=MOST_DEV)
        write_rows(folder / "dev.jsonl.gz", dev)
        fit(folder / "train.jsonl.gz", folder / "run", dev=folder / "dev.jsonl.gz",
            pretrained=encoder, settings=settings, resume=(folder / "run").exists())  # fmt: skip
        export(
            folder / "run",
            folder / "bundle",
            max_bytes=MAX_BYTES,
            max_accuracy_drop=MAX_DROP,
            answers=Answers("precision", PRECISION),
            force=True,
        )
        found = []
        with Classifier.load(folder / "bundle") as classifier:
            for domain, mine in test.items():
                figures = scored(classifier, mine)
                answered, given = given[: figures["rows"]], given[figures["rows"] :]
                teacher = side_accuracy(clear(mine), answered, LABELS) if vectors else None
                found.append({"domain": domain, **figures, "teacher": teacher, "encoder": encoder})
        return found

    return remembered(plan.cache / f"{name}-{kind}.json", find)


def training_rows(
    plan: Plan, vectors: Vectors | None, others: Sequence[str], test: Sequence[Written]
) -> tuple[list[Written], NDArray[np.float32]]:
    """Return rows of domains in a random order, and the teacher's answers about the test rows.

    The answers are float32 [rows, labels]; without a teacher there are none.
    """
    short = [row for domain in others for row in plan.short(domain)]
    long = balanced(plan.rows, "train", others, most=MOST_REVIEWS, min_words=MAX_WORDS + 1)
    plain = list(made(short)) if plan.generated else []
    given = np.zeros((0, len(LABELS)), dtype=np.float32)
    if vectors:
        own = [row["label"] for row in short]
        known = vectors.of([row["text"] for row in short])
        asked = [*short, *({"text": text} for domain in others for text in plan.texts(domain))]
        both = vectors.of([row["text"] for row in (*asked, *test)])
        given = answers(known, own, both, LABELS)
        short = [
            {
                "text": row["text"],
                "probs": mixed(
                    Row(row["text"], (), 0, row), dict(zip(LABELS, answer, strict=True)), _WEIGHT
                ),
            }
            for row, answer in zip(asked, given[: len(asked)].tolist(), strict=True)
        ]
        given = given[len(asked) :]
    found = [*short, *noisy(short, _NOISY), *long, *plain]
    random.Random(_SEED).shuffle(found)
    return found, given


if __name__ == "__main__":
    main()
