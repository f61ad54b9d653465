"""Figures of sentiment models on the dev rows of each domain.

    python benchmarks/default_model/domain_scores.py runs/domains -m sentiment
    python benchmarks/default_model/domain_scores.py runs/domains --teacher x.teacher

runs/domains is what domain_rows.py wrote. leave_one_domain_out.py uses the same figures. Several
bundles are seeds of one training, and so are those of `--open-terms`, which learned from sets under
open terms alone. A teacher that learned a domain's own rows shows how far the labels of the domain
can be found at all.
"""

from __future__ import annotations

import statistics
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import click
import numpy as np
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from balanced_rows import domains
from common import write_result
from domain_rows import read
from taught_rows import mean_answers

from textgate.evaluation.evaluate import evaluate_rows
from textgate.inference.classifier import Classifier
from textgate.rows import Row

FIGURES = ("accuracy", "answered", "right", "neutral")
SIDES = ("positive", "negative")
Found = dict[str, Any]


@click.command()
@click.argument("rows", type=click.Path(exists=True, path_type=Path))
@click.option("-m", "--model", "models", multiple=True, help="Bundle; repeat it for other seeds.")
@click.option("--open-terms", "opened", multiple=True, help="Bundle to compare; can be repeated.")
@click.option("--teacher", type=click.Path(exists=True, path_type=Path))
@click.option("-o", "--output", type=click.Path(path_type=Path))
def main(
    rows: Path,
    models: tuple[str, ...],
    opened: tuple[str, ...],
    teacher: Path | None,
    output: Path | None,
) -> None:
    """Score bundles on the dev rows of every domain."""
    result: Found = {}
    if models:
        result = {"seeds": len(models), **of_bundles(rows, models)}
        show(result)
    if opened:
        result["open_terms"] = {"seeds": len(opened), **of_bundles(rows, opened)}
        show(result["open_terms"])
    if teacher:
        result["teacher"] = {
            domain: taught_accuracy(teacher, list(read(rows, f"{domain}.dev")))
            for domain in domains(rows)
        }
        for domain, accuracy in result["teacher"].items():
            click.echo(f"{domain}: {accuracy:.4f}")
        click.echo(f"mean of the teacher: {statistics.mean(result['teacher'].values()):.4f}")
    if output:
        write_result(output, result)


def of_bundles(rows: Path, bundles: Iterable[str]) -> Found:
    """Return the figures of bundles that differ in their seed, see summary."""
    found = []
    for bundle in bundles:
        with Classifier.load(bundle) as classifier:
            found += [
                {"domain": domain, **scored(classifier, list(read(rows, f"{domain}.dev")))}
                for domain in domains(rows)
            ]
    return summary(found)


def summary(found: Sequence[Found]) -> Found:
    """Return the figures of each domain, which are means over seeds, and their means.

    `spread` is the standard deviation of the accuracy over seeds, None for one seed.
    """
    names = list(dict.fromkeys(one["domain"] for one in found))
    each = []
    for name in names:
        same = [one for one in found if one["domain"] == name]
        accuracy = [one["accuracy"] for one in same]
        each.append(
            {
                **same[0],
                **means(same),
                "spread": statistics.stdev(accuracy) if len(accuracy) > 1 else None,
            }
        )
    return {"domains": each, "mean": means(each)}


def show(result: Found) -> None:
    """Print the figures."""
    for one in result["domains"]:
        teacher = "" if one.get("teacher") is None else f"; the teacher {one['teacher']:.4f}"
        click.echo(f"{one['domain']}, {one['rows']:,} rows: {told(one)}{teacher}")
    click.echo(f"mean: {told(result['mean'])}")


def taught_accuracy(teacher: Path, rows: list[dict[str, Any]]) -> float:
    """Return the accuracy of a teacher on clear rows, which have two labels."""
    asked = clear(rows)
    labels, answers = mean_answers([teacher], [row["text"] for row in asked])
    return side_accuracy(asked, answers, labels)


def clear(rows: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the rows that have one of two labels."""
    return [row for row in rows if row["label"] in SIDES]


def side_accuracy(
    rows: Sequence[dict[str, Any]], answers: NDArray[np.float32], labels: Sequence[str]
) -> float:
    """Return the accuracy between two labels.

    Args:
        rows: clear rows.
        answers: the probabilities of their labels [rows, labels].
        labels: the labels of the columns.
    """
    positive, negative = (answers[:, labels.index(side)] for side in SIDES)
    truth = np.array([row["label"] == "positive" for row in rows])
    return float(np.mean((positive >= negative) == truth))


def told(found: Found) -> str:
    """Return figures as words."""
    said = f"{found['accuracy']:.4f}, answered {found['answered']:.1%} at {found['right']:.4f}"
    return said if found["neutral"] is None else f"{said}, neutral {found['neutral']:.1%}"


def means(found: Iterable[Found]) -> Found:
    """Return the mean of each figure over domains that have it; None if none has."""
    listed = list(found)
    values = {name: [one[name] for one in listed if one[name] is not None] for name in FIGURES}
    return {name: statistics.mean(each) if each else None for name, each in values.items()}


def scored(classifier: Classifier, rows: list[dict[str, Any]]) -> Found:
    """Return the accuracy on clear rows, which have two labels, and the share of neutral ones.

    `answered` and `right` are the share of clear rows with an answer other than neutral, and the
    accuracy of these; `neutral` is the share of neutral rows that are neutral or get no answer,
    None without such rows.
    """
    sided = [
        Row(row["text"], (row["label"],), number) for number, row in enumerate(clear(rows), start=1)
    ]
    plain = [row["text"] for row in rows if row["label"] not in SIDES]
    among = evaluate_rows(classifier, sided, file="the clear rows", among=SIDES).scored
    right = among.right[among.answered]
    without = [answer.label not in SIDES for answer in classifier.predict_many(plain)]
    return {
        "rows": len(sided),
        "accuracy": float(among.right.mean()),
        "answered": float(among.answered.mean()),
        "right": float(right.mean()) if len(right) else 0.0,
        "neutral": float(np.mean(without)) if without else None,
    }


if __name__ == "__main__":
    main()
