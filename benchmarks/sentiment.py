"""Quality of the package's sentiment model, by domain and by kind of behaviour.

    python benchmarks/sentiment.py -m sentiment --data DATA --rows runs/sentiment

DATA holds one folder per set; default_model/sentiment_rows.py writes runs/sentiment. Without them
only the behaviour is tested. Bundles of other seeds show the spread of the figures.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import click
from common import Goal, write_result
from pages.blocks import BLOCKS, DOMAINS
from pages.templates import goals as goal_table
from sentiment_cases import GROUPS, Case

from textgate.bench.measure import measure_together
from textgate.bundle.storage import bundle_bytes
from textgate.evaluation.coverage import own_coverage
from textgate.evaluation.evaluate import truth_and_scores
from textgate.evaluation.metrics import evaluate_single_label
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
MIN_ACCURACY = {"sst2": 0.88, "imdb": 0.91, "mr": 0.82, "vader_amazon": 0.85, "vader_tweets": 0.85}


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
@click.option("--rows", type=PATH, help="Folder that sentiment_rows.py wrote.")
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
        Goal(f"accuracy on {name}", one["accuracy"], MIN_ACCURACY[name], at_least=True)
        for name, one in domains.items()
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
    test = load_labelled(file)
    truth, scores = truth_and_scores(classifier, test, file=str(file))
    columns, manifest = truth.argmax(axis=1), classifier.manifest
    quality = evaluate_single_label(scores.probabilities, columns, manifest.labels)
    covered = own_coverage(
        scores.probabilities, columns, manifest.thresholds, answerable=scores.answerable
    )
    return {
        "rows": quality.rows,
        "accuracy": quality.accuracy,
        "seeds": [quality.accuracy],
        "interval": list(quality.accuracy_interval),
        "ece": quality.ece,
        "answered": covered.coverage,
        "right": covered.accuracy,
    }


if __name__ == "__main__":
    main()
