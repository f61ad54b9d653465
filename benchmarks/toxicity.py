"""Quality of the package's toxicity model: test sets, behaviour, groups of people, streams.

    python benchmarks/toxicity.py -m toxicity --rows runs/toxicity --teacher runs/toxicity.teacher

default_model/toxicity_rows.py writes runs/toxicity; without it only the behaviour is tested. A text
counts as flagged if the model answers toxic with its own threshold. In the stream, the score after
each word is compared with a limit that is chosen on clean dev texts: so few of them are cut that
the 95 % interval of the rate ends below one in 200. A teacher is scored on the same test rows.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
import numpy as np
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).with_name("default_model")))

from common import Goal, write_result
from pages.blocks import BLOCKS
from pages.templates import goals as goal_table
from taught_rows import mean_answers
from toxicity_cases import GROUPS, IDENTITIES, TOXIC, Case

from textgate.bench.measure import measure_together
from textgate.bundle.storage import bundle_bytes
from textgate.evaluation.metrics import evaluate_single_label, wilson_interval
from textgate.inference.classifier import Classifier
from textgate.rows import read_rows

PATH = click.Path(exists=True, path_type=Path)
TESTS = ("tweet_offensive", "toxic_davidson", "toxic_surge")
HEALTHY = "toxic_ucc"  # other labels: only its healthy comments are read, as clean ones
LENGTHS = (25, 100)  # tokens of the texts that are timed
MOST_FALSE_CUTS = 0.005
MOST_BELOW_TEACHER = 0.015  # of macro-F1
_SECONDS = 5.0  # per length


@click.command()
@click.option("-m", "--model", default="toxicity", show_default=True)
@click.option("--rows", type=PATH, help="Folder that toxicity_rows.py wrote.")
@click.option("--teacher", type=PATH, help="As for textgate train.")
@click.option("-o", "--output", type=click.Path(path_type=Path), help="File to write.")
def main(model: str, rows: Path | None, teacher: Path | None, output: Path | None) -> None:
    """Score a bundle that answers toxic or clean."""
    with Classifier.load(model) as classifier:
        behaviour = [behaved(classifier, name, cases) for name, cases in GROUPS.items()]
        result: dict[str, Any] = {
            "bytes": bundle_bytes(classifier.path),
            "threshold": threshold_of(classifier),
            "behaviour": behaviour,
            "identities": by_identity(classifier),
            "milliseconds": {
                str(tokens): measure_together({"": classifier}, tokens=tokens, seconds=_SECONDS)[""]
                for tokens in LENGTHS
            },
        }
        if rows:
            result["tests"] = [tested(classifier, rows, name, teacher) for name in TESTS]
            healthy = clean_texts(rows / f"test-{HEALTHY}.jsonl.gz")
            result["healthy"] = {
                "rows": len(healthy),
                "flagged": float(np.mean(flagged(classifier, healthy))),
            }
            result["stream"] = streamed(classifier, rows)
    goals = [
        Goal(f"failures, {one['group']}", one["failed"] / one["cases"], 0.1) for one in behaviour
    ]
    if rows:
        cuts = result["stream"]["false_cuts"]
        goals.append(Goal("clean texts cut in the stream", cuts, MOST_FALSE_CUTS))
        goals += [
            Goal(
                f"macro-F1 below the teacher, {one['name']}",
                one["teacher"] - one["macro_f1"],
                MOST_BELOW_TEACHER,
            )
            for one in result["tests"]
            if one["teacher"] is not None
        ]
    written = write_result(output, result, goals)
    if rows:
        print(BLOCKS["toxicity"].text(written))
    print(goal_table(written))
    for one in behaviour:
        for example in one["examples"][:3]:
            click.echo(f"{one['group']}: {example}")


def threshold_of(classifier: Classifier) -> float:
    """Return the model's own threshold of toxic."""
    return classifier.manifest.thresholds[classifier.labels.index(TOXIC)] or 0.0


def flagged(classifier: Classifier, texts: Sequence[str]) -> NDArray[np.bool_]:
    """Return whether each text gets the label toxic, bool [texts]."""
    return np.array([answer.label == TOXIC for answer in classifier.predict_many(texts)])


def behaved(classifier: Classifier, name: str, cases: Sequence[Case]) -> dict[str, Any]:
    """Return the number of failures in a group of cases, and some of them."""
    found = flagged(classifier, [case.text for case in cases])
    wrong = [case.text for case, toxic in zip(cases, found, strict=True) if toxic != case.toxic]
    return {"group": name, "cases": len(cases), "failed": len(wrong), "examples": wrong[:10]}


def by_identity(classifier: Classifier) -> list[dict[str, Any]]:
    """Return the share of clean texts that are flagged, by the group of people that they name."""
    clean = [case for cases in GROUPS.values() for case in cases if case.about and not case.toxic]
    found = []
    for identity in IDENTITIES:
        texts = [case.text for case in clean if case.about == identity]
        share = float(np.mean(flagged(classifier, texts)))
        found.append({"identity": identity, "texts": len(texts), "flagged": share})
    return found


def tested(classifier: Classifier, rows: Path, name: str, teacher: Path | None) -> dict[str, Any]:
    """Return the figures on a test set, without abstaining; `teacher` is its macro-F1."""
    read = list(read_rows(rows / f"test-{name}.jsonl.gz", labelled=True))
    column = classifier.labels.index(TOXIC)
    truth = np.array([classifier.labels.index(row.labels[0]) for row in read])
    texts = [row.text for row in read]
    probabilities = classifier.predict_proba(texts)
    quality = evaluate_single_label(probabilities, truth, classifier.labels)
    sure = flagged(classifier, texts)
    toxic = truth == column
    best = None
    if teacher:
        labels, answers = mean_answers([teacher], texts)
        own = answers[:, [labels.index(label) for label in classifier.labels]]
        best = evaluate_single_label(own, truth, classifier.labels).macro_f1
    return {
        "name": name,
        "rows": quality.rows,
        "accuracy": quality.accuracy,
        "macro_f1": quality.macro_f1,
        "teacher": best,
        "f1": f1(probabilities.argmax(axis=1) == column, toxic),
        "found": float(sure[toxic].mean()),
        "false": float(sure[~toxic].mean()),
    }


def f1(given: NDArray[np.bool_], truth: NDArray[np.bool_]) -> float:
    """Return the F1 of a label."""
    both = int((given & truth).sum())
    return 2 * both / max(1, int(given.sum()) + int(truth.sum()))


def clean_texts(file: Path) -> list[str]:
    """Return the texts of the clean rows of a file."""
    return [row.text for row in read_rows(file, labelled=True) if row.labels != (TOXIC,)]


def streamed(classifier: Classifier, rows: Path) -> dict[str, Any]:
    """Return how many texts a stream cuts, and after how many words.

    The limit is the lowest score that cuts no more clean dev texts than `most_cuts` allows.
    """
    highest = [max(prefixes(classifier, text)) for text in clean_texts(rows / "clean-dev.jsonl.gz")]
    limit = float(np.nextafter(sorted(highest)[-1 - most_cuts(len(highest))], 1))
    clean = [prefixes(classifier, text) for text in clean_texts(rows / "clean-test.jsonl.gz")]
    cut, words, lengths = [], [], []
    for name in TESTS:
        for row in read_rows(rows / f"test-{name}.jsonl.gz", labelled=True):
            if row.labels == (TOXIC,):
                scores = np.array(prefixes(classifier, row.text))
                over = np.flatnonzero(scores >= limit)
                cut.append(len(over) > 0)
                if len(over):
                    words.append(int(over[0]) + 1)
                    lengths.append(len(scores))
    return {
        "limit": limit,
        "clean": len(clean),
        "false_cuts": float(np.mean([max(scores) >= limit for scores in clean])),
        "toxic": len(cut),
        "cut": float(np.mean(cut)),
        "median_words": float(np.median(words)),
        "median_share": float(np.median(np.array(words) / np.array(lengths))),
    }


def most_cuts(texts: int) -> int:
    """Return how many of so many clean texts may be cut.

    The 95 % interval of the rate has to end below `MOST_FALSE_CUTS`. Fewer than 765 texts cannot
    show that, even if none is cut.
    """
    cuts = 0
    while wilson_interval(cuts + 1, texts)[1] <= MOST_FALSE_CUTS:
        cuts += 1
    return cuts


def prefixes(classifier: Classifier, text: str) -> list[float]:
    """Return the score of toxic after each word of a text, at least one."""
    stream = classifier.stream()
    return [stream.feed(f"{word} ").scores[TOXIC] for word in text.split() or [""]]


if __name__ == "__main__":
    main()
