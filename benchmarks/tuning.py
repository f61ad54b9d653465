"""Tuning compared with the default recipe and with fastText's autotune, in the same time.

    python benchmarks/tuning.py --data ../shared/data --seconds 600

Each system has one thread, and the given seconds to look for settings on dev; the training with
them comes after that. Ours is scored as an int8 bundle of at most 2.5 MB. A set is as for
accuracy.py. Finished work is cached in `--cache`; a second call continues, also with an interrupted
tuning. fastText needs fasttext-numpy2 (see requirements.txt); without it, it is left out with a
message.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import click
from accuracy_peers import autotuned, missing
from common import PATH, Goal, cache_option, output_option, write_result
from pages.blocks import BLOCKS
from sets import Split, find_sets, in_processes, remembered

from textgate.bundle.storage import bundle_bytes
from textgate.evaluation.evaluate import evaluate_rows
from textgate.export import export
from textgate.inference.classifier import Classifier
from textgate.train import FittedRun, fit, tune

MAX_BYTES = 2_500_000
DEFAULT, TUNED, PEER = "default recipe", "tuned", "fastText, autotuned"
Scored = dict[str, Any]


@click.command()
@click.option("--data", type=PATH, help="Folder of sets.")
@click.option("--set", "names", multiple=True, help="Only these sets; can be repeated.")
@click.option("--seconds", default=600, show_default=True, help="Duration of each search.")
@click.option("--jobs", default=2, show_default=True, help="Systems at the same time.")
@cache_option("tuning")
@output_option("tuning")
def main(
    data: Path | None, names: tuple[str, ...], seconds: int, jobs: int, cache: Path, output: Path
) -> None:
    """Train, tune, score, compare and write one file."""
    cache.mkdir(parents=True, exist_ok=True)
    systems = [DEFAULT, TUNED]
    if missing("fastText"):
        click.echo(f"fastText: {missing('fastText')} is not installed; left out", err=True)
    else:
        systems.append(PEER)
    sets = find_sets(data, names)
    work = [(split, system, seconds, cache) for split in sets for system in systems]
    done = in_processes(jobs, _scored, work)
    entries = [
        {"data": split.name, "systems": [one for one in done if one["data"] == split.name]}
        for split in sets
    ]
    result = write_result(output, {"seconds": seconds, "sets": entries}, goals(entries))
    print(BLOCKS["tuning"].text(result))


def goals(entries: list[Scored]) -> list[Goal]:
    """Return the goals that the entries should reach."""
    found = []
    for entry in entries:
        accuracies = {one["system"]: one["accuracy"] for one in entry["systems"]}
        if PEER in accuracies:
            gain = accuracies[TUNED] - accuracies[PEER]
            what = f"{entry['data']}: accuracy of tuned above {PEER}"
            found.append(Goal(what, gain, 0.0, at_least=True))
    return found


def _scored(split: Split, system: str, seconds: int, cache: Path) -> Scored:
    """Return the figures of a system on the test rows, from the cache if possible."""
    name = f"{split.name}-{system.replace(' ', '_').replace(',', '')}-{seconds}"

    def find() -> Scored:
        if system == PEER:
            peer = autotuned(split, seconds)
            found = {key: getattr(peer, key) for key in ("accuracy", "macro_f1", "seconds")}
            found |= {"bytes": peer.bytes, "setting": peer.setting}
        else:
            found = _ours(split, cache / f"{name}.run", seconds if system == TUNED else None)
        return {"data": split.name, "system": system, **found}

    return remembered(cache / f"{name}.json", find)


def _ours(split: Split, run: Path, seconds: int | None) -> Scored:
    """Train, export and score the default recipe, or tuned settings."""
    started = time.perf_counter()
    if seconds is None:
        fitted = fit(split.train, run, dev=split.dev, resume=True)
    else:
        fitted = tune(split.train, run, seconds=seconds, dev=split.dev, resume=True)
    taken = time.perf_counter() - started
    bundle = run.with_suffix("")
    export(run, bundle, max_bytes=MAX_BYTES, max_accuracy_drop=1, allow_useless=True, force=True)
    with Classifier.load(bundle) as classifier:
        quality = evaluate_rows(classifier, split.test_rows, file=str(split.test)).metrics
    return {
        "accuracy": quality.accuracy,
        "macro_f1": quality.macro_f1,
        "seconds": taken,
        "bytes": bundle_bytes(bundle),
        "dev_accuracy": fitted.model.metrics["accuracy"],
        **_trials(fitted),
    }


def _trials(fitted: FittedRun) -> Scored:
    tuning = fitted.manifest.tuning
    if tuning is None:
        return {"setting": "-"}
    setting = f"trial {tuning.chosen} of {tuning.trials}"
    return {"setting": setting, "expected_accuracy": tuning.expected_accuracy}


if __name__ == "__main__":
    main()
