"""Accuracy of the default recipe, TF-IDF with logistic regression, and fastText.

Trains the default recipe on each set with several seeds and no settings chosen for the set, exports
each network as int8 in at most 2.5 MB (2 MB without the packaged encoder), and scores it on the
test rows. The peers are tuned on dev.

    python benchmarks/accuracy.py --data ../shared/data --encoder none

A set is a folder with `train.jsonl.gz`, `test.jsonl.gz` and optionally `dev.jsonl.gz`; without it a
part of the training rows is held out. Without `--data` the script uses the sample reviews of this
repository. Finished work is cached in `--cache`; a second call continues. The peers need
scikit-learn and fasttext-numpy2 (see requirements.txt); a missing peer is skipped with a message.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click
from accuracy_peers import MODULES, missing, outcome
from common import PATH, cache_option, output_option, spread, write_result
from pages.blocks import BLOCKS
from sets import Split, find_sets, in_processes, remembered

from textgate.evaluation.evaluate import evaluate_rows
from textgate.export import export
from textgate.inference.classifier import Classifier
from textgate.train import fit

MAX_BYTES = 2_500_000
MAX_BYTES_WITHOUT_ENCODER = 2_000_000
MAX_COMPRESSION_DROP = 0.01
Scored = dict[str, Any]
FIGURES = ("accuracy", "macro_f1", "ece", "bytes", "seconds")


@click.command()
@click.option("--data", type=PATH, help="Folder of sets.")
@click.option("--set", "names", multiple=True, help="Only these sets; can be repeated.")
@click.option("--seeds", default=3, show_default=True)
@click.option("--jobs", default=2, show_default=True, help="Networks trained at the same time.")
@click.option("--epochs", type=int, help="Instead of the recipe's, for a smoke run.")
@click.option("--encoder", help="none to train without the packaged encoder, in at most 2 MB.")
@cache_option("accuracy")
@output_option("accuracy")
@click.option("--peers/--no-peers", default=True, show_default=True)
def main(
    data: Path | None,
    names: tuple[str, ...],
    seeds: int,
    jobs: int,
    epochs: int | None,
    encoder: str | None,
    cache: Path,
    output: Path,
    *,
    peers: bool,
) -> None:
    """Train, score, compare and write one file."""
    cache.mkdir(parents=True, exist_ok=True)
    sets = find_sets(data, names)
    systems = [("textgate", seed) for seed in range(seeds)]
    for peer in MODULES if peers else ():
        if missing(peer):
            click.echo(f"{peer}: {missing(peer)} is not installed; left out", err=True)
        else:
            systems.append((peer, 0))
    work = [
        (split, system, seed, epochs, encoder, cache) for split in sets for system, seed in systems
    ]
    done = in_processes(jobs, _scored, work)
    sections = [_section([item for item in done if item["data"] == split.name]) for split in sets]
    if names:  # of the sets that were not named, the file keeps what it has
        sections = _with_earlier(sections, output)
    result = write_result(output, {"most_bytes": _max_bytes(encoder), "sets": sections})
    print(BLOCKS["accuracy"].text(result))


def _with_earlier(sections: list[Scored], output: Path) -> list[Scored]:
    """Return the sections and those of other sets in an earlier output, in order of their names."""
    earlier = json.loads(output.read_text(encoding="utf-8"))["sets"] if output.exists() else []
    by_name = {section["data"]: section for section in (*earlier, *sections)}
    return [by_name[name] for name in sorted(by_name)]


def _max_bytes(encoder: str | None) -> int:
    return MAX_BYTES if encoder != "none" else MAX_BYTES_WITHOUT_ENCODER


def _scored(
    split: Split, system: str, seed: int, epochs: int | None, encoder: str | None, cache: Path
) -> Scored:
    """Return the figures of a system on the test rows, from the cache if possible."""

    def find() -> Scored:
        found = (
            _ours(split, seed, epochs, encoder, cache)
            if system == "textgate"
            else _peer(split, system)
        )
        return {"data": split.name, "system": system, "seed": seed, **found}

    which = f"-{encoder}" if encoder and system == "textgate" else ""
    return remembered(cache / f"{split.name}-{system}-{seed}{which}.json", find)


def _ours(split: Split, seed: int, epochs: int | None, encoder: str | None, cache: Path) -> Scored:
    """Train the default recipe, export it as int8 within the limit, and score the bundle."""
    run = cache / f"{split.name}-{seed}-{encoder or 'default'}.run"
    settings = {"seed": seed} | ({"epochs": epochs} if epochs else {})
    fitted = fit(
        split.train, run, dev=split.dev, settings=settings, pretrained=encoder, resume=True
    )
    bundle = run.with_suffix("")
    exported = export(
        run,
        bundle,
        max_bytes=_max_bytes(encoder),
        max_accuracy_drop=MAX_COMPRESSION_DROP,
        force=True,
    )
    with Classifier.load(bundle) as classifier:
        quality = evaluate_rows(classifier, split.test_rows, file=str(split.test)).metrics
    return {
        "accuracy": quality.accuracy,
        "macro_f1": quality.macro_f1,
        "ece": quality.ece,
        "bytes": sum(path.stat().st_size for path in bundle.iterdir()),
        "seconds": sum(epoch.seconds for epoch in fitted.model.history),
        "setting": f"epoch {fitted.model.best_epoch}; " + "; ".join(exported.notes),
    }


def _peer(split: Split, system: str) -> Scored:
    found = outcome(system, split)
    names = ("accuracy", "macro_f1", "seconds", "setting")
    return {name: getattr(found, name) for name in names}


def _section(items: list[Scored]) -> Scored:
    """Return the published figures of one set."""
    ours = [item for item in items if item["system"] == "textgate"]
    return {
        "data": items[0]["data"],
        "seeds": len(ours),
        "textgate": {name: spread([item[name] for item in ours]) for name in FIGURES},
        "peers": [
            {key: value for key, value in item.items() if key != "data"}
            for item in items
            if item["system"] != "textgate"
        ],
    }


if __name__ == "__main__":
    main()
