"""How the sentiment model of the package does, by domain and by kind of behaviour.

    python benchmarks/sentiment.py -m sentiment --data DATA --rows runs/sentiment

DATA holds a folder a set, and runs/sentiment is what sentiment_data.py made of it. Without them
only the behaviour is looked at. Further bundles, of other seeds, tell how far the figures spread.
"""

from __future__ import annotations

import json
import statistics
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import click
from goals import Goal
from sentiment_cases import GROUPS, Case

from textgate.bundle import bundle_bytes
from textgate.classifier import Classifier
from textgate.cli.bench import measure_together
from textgate.cli.evaluate import truth_and_scores
from textgate.coverage import own_coverage
from textgate.machine import this_machine
from textgate.metrics import evaluate_single_label
from textgate.rows import load_labelled
from textgate.tables import format_bytes, format_ms, format_table, markdown_table

RESULT = Path(__file__).parent / "results" / "sentiment.json"
PATH = click.Path(exists=True, path_type=Path)
DOMAINS = {
    "sst2": "sentences about movies",
    "mr": "sentences about movies",
    "imdb": "reviews of movies",
    "vader_amazon": "sentences about products",
    "vader_tweets": "tweets",
}
FIRST = (  # of the README's first command
    "It starts well, but the rest is a tedious mess.",
    "What a lovely evening we had!",
    "The store opens at nine.",
)
LENGTHS = (25, 100)  # tokens of the texts that are timed
_SECONDS = 5.0  # for each
WANTED = {"sst2": 0.88, "imdb": 0.91, "mr": 0.82, "vader_amazon": 0.85, "vader_tweets": 0.85}


@dataclass(frozen=True)
class Behaviour:
    """A group of cases, tried.

    Attributes:
        group: its name.
        cases: how many there are.
        failed: how many are not as expected.
        examples: some that are not: the text, and what came of it.
    """

    group: str
    cases: int
    failed: int
    examples: tuple[str, ...]


@click.command()
@click.option("-m", "--model", default="sentiment", show_default=True)
@click.option("--seed", "seeds", multiple=True, help="Bundle of another seed; repeat it.")
@click.option("--data", type=PATH, help="Folder of sets.")
@click.option("--rows", type=PATH, help="Folder that sentiment_data.py made.")
@click.option("--out", type=click.Path(path_type=Path), help="Write the results, too.")
@click.option("--examples", default=3, show_default=True, help="Failures shown of a group.")
def main(
    model: str,
    seeds: tuple[str, ...],
    data: Path | None,
    rows: Path | None,
    out: Path | None,
    examples: int,
) -> None:
    """Score a bundle that answers positive, negative, or nothing."""
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
        Goal(f"accuracy on {name}", one["accuracy"], WANTED[name], at_least=True)
        for name, one in domains.items()
    ]
    result = {
        "machine": asdict(this_machine()),
        "bytes": size,
        "thresholds": thresholds,
        "milliseconds": times,
        "first": [
            {"label": answer.label or "", "score": answer.score, "text": text}
            for text, answer in zip(FIRST, first, strict=True)
        ],
        "domains": domains,
        "behaviour": [asdict(group) for group in groups],
        "goals": [goal.to_json() for goal in goals],
    }
    if out is not None:
        out.write_text(json.dumps(result, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    for header, lines, align in (domain_table(result), behaviour_table(result)):
        if lines:
            click.echo(format_table(header, lines, align=align) + "\n")
    for goal in goals:
        click.echo(goal)
    for group in groups:
        for example in group.examples[:examples]:
            click.echo(f"{group.group}: {example}")


def tried(classifier: Classifier, group: str, cases: Iterable[Case]) -> Behaviour:
    """Return how many of a group's cases are not as expected."""
    listed = list(cases)
    examples = [told for case in listed if (told := failure(classifier, case))]
    return Behaviour(group, len(listed), len(examples), tuple(examples[:10]))


def failure(classifier: Classifier, case: Case) -> str:
    """Return what is wrong with the answer to a case, or nothing."""
    answer = classifier.predict(case.text)
    positive = answer.scores["positive"]
    if not case.other:
        given = answer.label or ""
        if given in case.allowed:
            return ""
        wanted = " or ".join(name or "no answer" for name in case.allowed)
        return f"{case.text[:80]!r} is {given or 'no answer'} ({positive:.2f}), not {wanted}"
    other = classifier.predict(case.other).scores["positive"]
    moved = other - positive
    if -case.most <= moved and (case.rising or moved <= case.most):
        return ""
    return f"{case.text!r} {positive:.2f}, {case.other!r} {other:.2f}"


def domain_table(result: dict[str, Any]) -> tuple[list[str], list[list[str]], str]:
    """Return the quality by domain: header, rows and alignment."""
    header = ["test rows of", "what they are", "rows", "accuracy", "of all seeds"]
    header += ["calibration error"]
    header += ["answered", "of these right"]
    lines = []
    for name, one in result["domains"].items():
        cells = [name, DOMAINS[name], f"{one['rows']:,}", f"{one['accuracy']:.4f}"]
        cells.append(_spread(one["seeds"]))
        cells += [f"{one['ece']:.3f}", f"{one['answered']:.1%}", f"{one['right']:.4f}"]
        lines.append(cells)
    return header, lines, "<<>>>>>>"


def behaviour_table(result: dict[str, Any]) -> tuple[list[str], list[list[str]], str]:
    """Return the failures by group: header, rows and alignment."""
    lines = [
        [
            one["group"],
            str(one["cases"]),
            f"{one['failed'] / one['cases']:.1%}",
            one["examples"][0] if one["examples"] else "",
        ]
        for one in result["behaviour"]
    ]
    return ["behaviour", "cases", "failures", "one of them"], lines, "<>><"


def markdown(result: dict[str, Any]) -> str:
    """Return both tables for a page, and the times."""
    tables = [
        markdown_table(header, lines, align=align)
        for header, lines, align in (domain_table(result), behaviour_table(result))
        if lines
    ]
    told = ", ".join(f"{format_ms(ms)} for {n} tokens" for n, ms in result["milliseconds"].items())
    return "\n\n".join([*tables, f"{format_bytes(result['bytes'])}; on one core {told}."])


def _domains(classifier: Classifier, data: Path, rows: Path) -> dict[str, dict[str, Any]]:
    files = {name: rows / f"{name}.jsonl.gz" for name in DOMAINS}
    return {
        name: _scored(classifier, file if file.is_file() else data / name / "test.jsonl.gz")
        for name, file in files.items()
    }


def _spread(values: list[float]) -> str:
    if len(values) == 1:
        return "one"
    return f"{statistics.fmean(values):.4f} ± {statistics.stdev(values):.4f} ({len(values)})"


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
