"""How accurate the default recipe is, beside TF-IDF with logistic regression and fastText.

Trains the default recipe on each set for several seeds without a word about the set, exports each
network as int8 into at most 2 MB, and scores it on the test rows. The peers are tuned on dev.

    python benchmarks/accuracy.py --data ../shared/data

A set is a folder with `train.jsonl.gz`, `test.jsonl.gz` and perhaps `dev.jsonl.gz`; without one,
some of the training rows are held out. Without `--data` it uses the sample reviews of this
repository. What is done is kept in `--cache`: a second call goes on from there. The peers need
scikit-learn and fasttext-numpy2, see requirements.txt, and are left out with a word where they are
missing.
"""

from __future__ import annotations

import math
import statistics
import unicodedata
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import click
import torch
from accuracy_peers import PEERS, missing
from blocks import BLOCKS
from common import PATH, cache_option, output_option, write_result
from sets import Split, find_sets, remembered

from textgate.classifier import Classifier
from textgate.cli.evaluate import evaluate_rows
from textgate.export import export
from textgate.rows import load_labelled
from textgate.train import fit

MOST_BYTES = 2_000_000
MAX_ACCURACY_DROP = 0.01
FIGURES = ("accuracy", "macro_f1", "ece", "novel", "bytes", "seconds")


@dataclass(frozen=True)
class Scored:
    """One way to classify, trained once on one set and scored on its test rows.

    Attributes:
        data: the set.
        system: ``textgate`` or a peer's name.
        seed: of the training.
        accuracy: on the test rows.
        macro_f1: the same.
        ece: expected calibration error on the test rows, None for a peer.
        novel: accuracy on those test rows whose text is not among the training texts.
        bytes: of the bundle, None for a peer.
        seconds: of training.
        right: whether each test row was classified right, as a string of 0 and 1.
        setting: what was chosen on dev, in words.
    """

    data: str
    system: str
    seed: int
    accuracy: float
    macro_f1: float
    ece: float | None
    novel: float
    bytes: int | None
    seconds: float
    right: str
    setting: str


@click.command()
@click.option("--data", type=PATH, help="Folder of sets.")
@click.option("--set", "names", multiple=True, help="Only these sets; repeat it.")
@click.option("--seeds", default=3, show_default=True)
@click.option("--jobs", default=2, show_default=True, help="Networks trained at a time.")
@click.option("--epochs", type=int, help="In place of the recipe's, for a smoke run.")
@cache_option("accuracy")
@output_option("accuracy")
@click.option("--peers/--no-peers", default=True, show_default=True)
def main(
    data: Path | None,
    names: tuple[str, ...],
    seeds: int,
    jobs: int,
    epochs: int | None,
    cache: Path,
    output: Path,
    *,
    peers: bool,
) -> None:
    """Train, score, compare and write one file."""
    cache.mkdir(parents=True, exist_ok=True)
    sets = find_sets(data, names)
    systems = [("textgate", seed) for seed in range(seeds)]
    for peer in PEERS if peers else ():
        if missing(peer):
            click.echo(f"{peer}: {missing(peer)} is not installed; left out", err=True)
        else:
            systems.append((peer, 0))
    work = [(split, system, seed, epochs, cache) for split in sets for system, seed in systems]
    with ProcessPoolExecutor(jobs, initializer=torch.set_num_threads, initargs=(1,)) as pool:
        done = list(pool.map(_scored, *zip(*work, strict=True)))
    sections = [_section([item for item in done if item.data == split.name]) for split in sets]
    result = write_result(output, {"most_bytes": MOST_BYTES, "sets": sections})
    print(BLOCKS["accuracy"].text(result))


def _scored(split: Split, system: str, seed: int, epochs: int | None, cache: Path) -> Scored:
    """Return the outcome of one training, from the cache if it is there."""
    find = {"textgate": lambda: train_and_score(split, seed, epochs, cache)}
    found = find.get(system, lambda: _peer(split, system))
    return remembered(cache / f"{split.name}-{system}-{seed}.json", Scored, found)


def train_and_score(split: Split, seed: int, epochs: int | None, cache: Path) -> Scored:
    """Train the default recipe, export it as int8 into at most 2 MB, and score the bundle."""
    run = cache / f"{split.name}-{seed}.run"
    settings = {"seed": seed} | ({"epochs": epochs} if epochs else {})
    fitted = fit(split.train, run, dev=split.dev, settings=settings, resume=True)
    bundle = run.with_suffix("")
    # The accuracy that counts is the exported one, whatever the export lost.
    exported = export(
        run, bundle, max_bytes=MOST_BYTES, max_accuracy_drop=MAX_ACCURACY_DROP, force=True
    )
    test = load_labelled(split.test)
    with Classifier.load(bundle) as classifier:
        quality = evaluate_rows(classifier, test, file=str(split.test))
        predicted = [item.top_label for item in classifier.predict_many(row.text for row in test)]
    right = [name == row.labels[0] for name, row in zip(predicted, test, strict=True)]
    return Scored(
        data=split.name,
        system="textgate",
        seed=seed,
        accuracy=quality.accuracy,
        macro_f1=quality.macro_f1,
        ece=quality.ece,
        novel=novel(split, right),
        bytes=sum(path.stat().st_size for path in bundle.iterdir()),
        seconds=sum(epoch.seconds for epoch in fitted.model.history),
        right="".join("01"[value] for value in right),
        setting=f"epoch {fitted.model.best_epoch}; " + "; ".join(exported.notes),
    )


def _peer(split: Split, system: str) -> Scored:
    outcome = PEERS[system].run(split)
    right = [a == b for a, b in zip(outcome.predicted, split.test_labels, strict=True)]
    return Scored(
        data=split.name,
        system=system,
        seed=0,
        accuracy=statistics.fmean(right),
        macro_f1=outcome.macro_f1,
        ece=None,
        novel=novel(split, right),
        bytes=None,
        seconds=outcome.seconds,
        right="".join("01"[value] for value in right),
        setting=outcome.setting,
    )


def _section(items: list[Scored]) -> dict[str, Any]:
    """Return what is published of one set."""
    ours = [item for item in items if item.system == "textgate"]
    others = [item for item in items if item.system != "textgate"]
    section: dict[str, Any] = {"data": items[0].data, "test_rows": len(items[0].right)}
    section["textgate"] = {
        name: _spread([getattr(item, name) for item in ours]) for name in FIGURES
    }
    section["seeds"] = len(ours)
    section["peers"] = [
        {key: value for key, value in asdict(item).items() if key not in ("right", "data")}
        for item in others
    ]
    if others:
        best = max(others, key=lambda item: item.accuracy)
        section["against"] = {
            "peer": best.system,
            "p_values": [p_value(item.right, best.right) for item in ours],
        }
    return section


def _spread(values: list[float]) -> dict[str, float]:
    """Return the mean and the standard deviation, 0 of a single value."""
    deviation = statistics.stdev(values) if len(values) > 1 else 0.0
    return {"mean": statistics.fmean(values), "standard_deviation": deviation}


def novel(split: Split, right: list[bool]) -> float:
    """Return the accuracy on the test rows whose text is in no training or dev row.

    Texts are compared without case, accents, spaces and punctuation.
    """
    known = {_bare(row.text) for rows in split.rows for row in rows}
    new = [
        value
        for value, row in zip(right, split.test_rows, strict=True)
        if _bare(row.text) not in known
    ]
    return sum(new) / len(new)


def p_value(first: str, second: str) -> float:
    """Return McNemar's exact two-sided p-value for two ways to classify the same rows.

    Args:
        first: whether each row was classified right, as a string of 0 and 1.
        second: the same for the other way.
    """
    pairs = list(zip(first, second, strict=True))
    wins, losses = pairs.count(("1", "0")), pairs.count(("0", "1"))
    both = wins + losses
    tail = sum(math.comb(both, count) for count in range(min(wins, losses) + 1))
    return min(1.0, 2 * tail / 2**both)


def _bare(text: str) -> str:
    decomposed = unicodedata.normalize("NFKD", text.lower())
    return "".join(character for character in decomposed if character.isalnum())


if __name__ == "__main__":
    main()
