"""Quality of the package's sentiment model, by domain and by kind of behaviour.

    python benchmarks/sentiment.py -m sentiment --data DATA --rows runs/domains

DATA holds one folder per set; default_model/domain_rows.py writes runs/domains. Without them only
the behaviour is tested. Bundles of other seeds show the spread of the figures. Where rows are
positive or negative, the probabilities of these two labels are compared; a row is answered if the
model, which also knows neutral, gives one of the two.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import click

sys.path.insert(0, str(Path(__file__).with_name("default_model")))

from balanced_rows import domains as domain_names
from common import Goal, write_result
from domain_rows import read
from domain_scores import SIDES, means, scored
from pages.blocks import BLOCKS, DOMAINS
from pages.templates import goals as goal_table
from sentiment_cases import GROUPS, Case

from textgate.bench.measure import measure_together
from textgate.bundle.storage import bundle_bytes
from textgate.evaluation.evaluate import evaluate_rows
from textgate.inference.classifier import Classifier
from textgate.rows import load_labelled

PATH = click.Path(exists=True, path_type=Path)
FIRST = (  # of the README's first command
    "It starts well, but the rest is a tedious mess.",
    "What a lovely evening we had!",
    "The store opens at nine.",
)
LENGTHS = (25, 100)  # tokens of the texts that are timed
_SECONDS = 5.0  # per length
MIN_ACCURACY = {"sst2": 0.905, "imdb": 0.93, "mr": 0.835, "vader_amazon": 0.86}
MIN_MEAN = 0.89  # accuracy on the test rows of each domain
MOST_FAILURES = {  # fraction of a group's cases
    **dict.fromkeys(("negation", "more negation"), 0.04),
    **dict.fromkeys(("names swapped", "more names swapped"), 0.03),
    **dict.fromkeys(("neutral facts", "more neutral facts"), 0.08),
    **dict.fromkeys(("other languages", "more languages"), 0.15),
}
MOST_OTHER_FAILURES = 0.1


@dataclass(frozen=True)
class Behaviour:
    """Result of a group of cases; the examples are some of its failures."""

    group: str
    cases: int
    failed: int
    examples: tuple[str, ...]


@click.command()
@click.option("-m", "--model", default="sentiment", show_default=True)
@click.option("--seed", "seeds", multiple=True, help="Bundle of another seed; can be repeated.")
@click.option("--data", type=PATH, help="Folder of sets.")
@click.option("--rows", type=PATH, help="Folder that domain_rows.py wrote.")
@click.option("-o", "--output", type=click.Path(path_type=Path), help="File to write.")
@click.option("--examples", default=3, show_default=True, help="Failures to show per group.")
def main(
    model: str,
    seeds: tuple[str, ...],
    data: Path | None,
    rows: Path | None,
    output: Path | None,
    examples: int,
) -> None:
    """Score a bundle that answers positive or negative, or abstains."""
    with Classifier.load(model) as classifier:
        groups = [tried(classifier, group, make()) for group, make in GROUPS.items()]
        domains = _domains(classifier, data, rows) if data and rows else {}
        held_out = [
            {"domain": name, **scored(classifier, list(read(rows, f"{name}.test")))}
            for name in (domain_names(rows) if rows else ())
        ]
        first = [classifier.predict(text) for text in FIRST]
        times = {
            str(tokens): measure_together({"": classifier}, tokens=tokens, seconds=_SECONDS)[""]
            for tokens in LENGTHS
        }
        thresholds = list(classifier.manifest.thresholds)
        size = bundle_bytes(classifier.path)
    for name in seeds if data and rows else ():
        with Classifier.load(name) as other:
            for domain, found in _domains(other, data, rows).items():
                domains[domain]["seeds"].append(found["accuracy"])
    goals = [
        Goal(f"accuracy on {name}", domains[name]["accuracy"], goal, at_least=True)
        for name, goal in MIN_ACCURACY.items()
        if name in domains
    ]
    if held_out:
        mean = means(held_out)["accuracy"]
        goals.append(Goal("mean accuracy over domains", mean, MIN_MEAN, at_least=True))
    goals += [
        Goal(
            f"failures, {group.group}",
            group.failed / group.cases,
            MOST_FAILURES.get(group.group, MOST_OTHER_FAILURES),
            at_least=False,
        )
        for group in groups
    ]
    result = {
        "bytes": size,
        "thresholds": thresholds,
        "milliseconds": times,
        "first": [
            {"label": answer.label or "", "score": answer.score, "text": text}
            for text, answer in zip(FIRST, first, strict=True)
        ],
        "domains": domains,
        "held_out": held_out,
        "behaviour": [asdict(group) for group in groups],
    }
    written = write_result(output, result, goals)
    print(BLOCKS["sentiment"].text(written), goal_table(written), sep="\n\n")
    for group in groups:
        for example in group.examples[:examples]:
            click.echo(f"{group.group}: {example}")


def tried(classifier: Classifier, group: str, cases: Iterable[Case]) -> Behaviour:
    """Return the number of failures in a group of cases."""
    listed = list(cases)
    examples = [problem for case in listed if (problem := failure(classifier, case))]
    return Behaviour(group, len(listed), len(examples), tuple(examples[:10]))


def failure(classifier: Classifier, case: Case) -> str:
    """Return the failure of a case, "" if the answer is as expected."""
    answer = classifier.predict(case.text)
    positive = answer.scores["positive"]
    if not case.other:
        given = answer.label if answer.label and answer.label != "neutral" else ""
        if given in case.allowed:
            return ""
        wanted = " or ".join(name or "no answer" for name in case.allowed)
        return f"{case.text[:80]!r} is {given or 'no answer'} ({positive:.2f}), not {wanted}"
    other = classifier.predict(case.other).scores["positive"]
    moved = other - positive
    if -case.most <= moved and (case.rising or moved <= case.most):
        return ""
    return f"{case.text!r} {positive:.2f}, {case.other!r} {other:.2f}"


def _domains(classifier: Classifier, data: Path, rows: Path) -> dict[str, dict[str, Any]]:
    files = {name: rows / f"{name}.jsonl.gz" for name in DOMAINS}
    return {
        name: _scored(classifier, file if file.is_file() else data / name / "test.jsonl.gz")
        for name, file in files.items()
    }


def _scored(classifier: Classifier, file: Path) -> dict[str, Any]:
    result = evaluate_rows(classifier, load_labelled(file), file=str(file), among=SIDES)
    quality, own = result.metrics, result.coverage[-1]
    return {
        "rows": quality.rows,
        "accuracy": quality.accuracy,
        "seeds": [quality.accuracy],
        "interval": list(quality.accuracy_interval),
        "ece": quality.ece,
        "answered": own.coverage,
        "right": own.accuracy,
    }


if __name__ == "__main__":
    main()
