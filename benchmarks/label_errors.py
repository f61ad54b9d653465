"""Planted label errors: how many textgate finds, and cleanlab from the same probabilities.

Gives some rows of a set another label, drawn at random, trains with folds, and looks for them in
the out-of-fold probabilities. Real errors of the set count as false alarms, for both alike.

    python benchmarks/label_errors.py --data ../shared/data

cleanlab (see requirements.txt) is left out with a message if it is not installed. Training keeps
the encoder frozen, which takes seconds.
"""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import click
import numpy as np
import torch
from common import PATH, Goal, output_option, spread, write_result
from numpy.typing import NDArray
from pages.blocks import BLOCKS
from sets import Split, find_sets

from textgate.bundle.run import DEV_ROWS, read_run
from textgate.evaluation.label_errors import single_label_errors
from textgate.evaluation.out_of_fold import probabilities_of_rows
from textgate.rows import Row, load_labelled
from textgate.train import fit

OURS, PEER = "textgate", "cleanlab"

# Returns the rows that likely have a wrong label, the likeliest first.
Method = Callable[[NDArray[np.float32], NDArray[np.int64]], Sequence[int]]


@click.command()
@click.option("--data", type=PATH, help="Folder of sets; without it, the sample reviews.")
@click.option("--set", "names", multiple=True, help="Only these sets.")
@click.option("--rows", default=1500, show_default=True, help="Rows of each set, drawn at random.")
@click.option("--fraction", default=0.05, show_default=True, help="Fraction of wrong labels.")
@click.option("--seeds", default=3, show_default=True, help="Draws of rows and of wrong labels.")
@output_option("label_errors")
def main(
    data: Path | None, names: tuple[str, ...], rows: int, fraction: float, seeds: int, output: Path
) -> None:
    """Plant label errors, look for them, and write one file."""
    torch.set_num_threads(1)
    methods = found_methods()
    sets = [
        _measured(one, methods, rows=rows, fraction=fraction, seeds=seeds)
        for one in find_sets(data, names)
    ]
    values = {"rows": rows, "fraction": fraction, "seeds": seeds, "sets": sets}
    result = write_result(output, values, goals(sets))
    print(BLOCKS["label_errors"].text(result))


def found_methods() -> dict[str, Method]:
    """Return the methods by name."""
    methods: dict[str, Method] = {
        OURS: lambda p, given: single_label_errors(p, given).rows.tolist()
    }
    try:
        from cleanlab.filter import find_label_issues
    except ModuleNotFoundError:
        click.echo(f"{PEER}: not installed; left out", err=True)
        return methods

    def ranked(by: str) -> Method:
        return lambda p, given: find_label_issues(
            given, p, return_indices_ranked_by=by, n_jobs=1
        ).tolist()

    methods[PEER] = ranked("self_confidence")
    methods[f"{PEER}, by margin"] = ranked("normalized_margin")
    return methods


def goals(sets: Sequence[Mapping[str, Any]]) -> list[Goal]:
    """Return the goals: at least as many of the first rows are errors as with the best peer."""
    found = []
    for one in sets:
        at_k = {method["name"]: method["at_k"]["mean"] for method in one["methods"]}
        ours = at_k.pop(OURS)
        if at_k:
            what = f"{one['data']}: precision at k, gain over the best of cleanlab's"
            found.append(Goal(what, ours - max(at_k.values()), 0.0, at_least=True))
    return found


def _measured(
    split: Split, methods: Mapping[str, Method], *, rows: int, fraction: float, seeds: int
) -> dict[str, Any]:
    """Return the figures of all methods on one set."""
    figures: dict[str, list[dict[str, float]]] = {name: [] for name in methods}
    for seed in range(seeds):
        generator = np.random.default_rng(seed)
        whole = load_labelled(split.train)
        chosen = [whole[index] for index in generator.permutation(len(whole))[:rows].tolist()]
        changed, planted = plant(chosen, fraction, generator)
        probabilities, given, lines = out_of_fold(changed, seed)
        wrong = {place for place, line in enumerate(lines) if line in planted}
        for name, method in methods.items():
            figures[name].append(scores(method(probabilities, given), wrong))
    return {
        "data": split.name,
        "labels": len({row.labels for row in chosen}),
        "rows": len(chosen),
        "planted": len(planted),
        "methods": [
            {"name": name, **{key: spread([one[key] for one in found]) for key in found[0]}}
            for name, found in figures.items()
        ],
    }


def plant(
    rows: Sequence[Row], fraction: float, generator: np.random.Generator
) -> tuple[list[Row], set[int]]:
    """Return rows of which a fraction has another label, and the lines of these.

    Lines are counted anew, from 0.
    """
    labels = sorted({label for row in rows for label in row.labels})
    wrong = set(generator.permutation(len(rows))[: round(fraction * len(rows))].tolist())
    changed = []
    for line, row in enumerate(rows):
        given = row.labels
        if line in wrong:
            others = [label for label in labels if label not in given]
            given = (others[int(generator.integers(len(others)))],)
        changed.append(dataclasses.replace(row, labels=given, line=line))
    return changed, wrong


def out_of_fold(
    rows: Sequence[Row], seed: int
) -> tuple[NDArray[np.float32], NDArray[np.int64], list[int]]:
    """Return out-of-fold probabilities [rows, labels], the given labels' columns, and the lines.

    Rows that are in no fold are left out.
    """
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder) / "run"
        fit(rows, run, settings={"seed": seed, "folds": 3, "frozen": True})
        labels = read_run(run).labels
        kept = load_labelled(run / DEV_ROWS)
    probabilities = probabilities_of_rows(kept, len(labels))
    if probabilities is None:
        raise click.ClickException("the run has no out-of-fold probabilities")
    waiting: dict[tuple[str, tuple[str, ...]], list[int]] = {}
    for row in rows:
        waiting.setdefault((row.text, row.labels), []).append(row.line)
    lines = [waiting[row.text, row.labels].pop(0) for row in kept]
    given = np.array([labels.index(row.labels[0]) for row in kept], dtype=np.int64)
    return probabilities, given, lines


def scores(listed: Sequence[int], wrong: set[int]) -> dict[str, float]:
    """Return how many rows are listed, precision and recall, and precision of as many as are wrong.

    A list that is shorter than that has no errors in the missing places.
    """
    hits = sum(row in wrong for row in listed)
    first = sum(row in wrong for row in listed[: len(wrong)])
    return {
        "listed": float(len(listed)),
        "precision": hits / max(1, len(listed)),
        "recall": hits / len(wrong),
        "at_k": first / len(wrong),
        "at_half_k": sum(row in wrong for row in listed[: len(wrong) // 2]) / (len(wrong) // 2),
    }


if __name__ == "__main__":
    main()
