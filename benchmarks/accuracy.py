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

import json
import statistics
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
import torch
from accuracy_peers import PEERS, missing
from accuracy_recipe import MOST_BYTES, Scored, spread, train_and_score
from accuracy_sets import Split, find_sets, novel, p_value, remembered

from textgate.machine import this_machine
from textgate.tables import format_table

HERE = Path(__file__).parent
RESULT = HERE / "results" / "accuracy.json"


@click.command()
@click.option("--data", type=click.Path(path_type=Path), help="Folder of sets.")
@click.option("--set", "names", multiple=True, help="Only these sets; repeat it.")
@click.option("--seeds", default=3, show_default=True)
@click.option("--jobs", default=2, show_default=True, help="Networks trained at a time.")
@click.option("--cache", type=click.Path(path_type=Path), default=Path("runs/accuracy"))
@click.option("--out", type=click.Path(path_type=Path), default=RESULT, show_default=True)
@click.option("--peers/--no-peers", default=True, show_default=True)
def main(
    data: Path | None,
    names: tuple[str, ...],
    seeds: int,
    jobs: int,
    cache: Path,
    out: Path,
    *,
    peers: bool,
) -> None:
    """Train, score, compare and write one file."""
    cache.mkdir(parents=True, exist_ok=True)
    sets = find_sets(data, names)
    work: list[tuple[Split, str, int]] = []
    for split in sets:
        work.extend((split, "textgate", seed) for seed in range(seeds))
        if peers:
            for peer in PEERS:
                if missing(peer):
                    click.echo(f"{peer}: {missing(peer)} is not installed; left out", err=True)
                else:
                    work.append((split, peer, 0))
    with ProcessPoolExecutor(jobs, initializer=torch.set_num_threads, initargs=(1,)) as pool:
        done = list(pool.map(_scored, *zip(*work, strict=True), [cache] * len(work)))
    sections = [_section([item for item in done if item.data == split.name]) for split in sets]
    result = {"machine": asdict(this_machine()), "most_bytes": MOST_BYTES, "sets": sections}
    out.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    click.echo(_table(sections))


def _scored(split: Split, system: str, seed: int, cache: Path) -> Scored:
    """Return the outcome of one training, from the cache if it is there."""

    def find() -> Scored:
        run = cache / f"{split.name}-{seed}.run"
        return (
            train_and_score(split, seed, run)
            if system == "textgate"
            else _peer(split, system, seed)
        )

    return remembered(cache / f"{split.name}-{system}-{seed}.json", Scored, find)


def _peer(split: Split, system: str, seed: int) -> Scored:
    outcome = PEERS[system].run(split)
    right = [a == b for a, b in zip(outcome.predicted, split.test_labels, strict=True)]
    return Scored(
        data=split.name,
        system=system,
        seed=seed,
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
        name: spread([getattr(item, name) for item in ours])
        for name in ("accuracy", "macro_f1", "ece", "novel", "bytes", "seconds")
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


def _table(sections: list[dict[str, Any]]) -> str:
    lines = []
    for section in sections:
        ours = section["textgate"]
        peers = {item["system"]: item for item in section["peers"]}
        against = section.get("against", {"p_values": []})
        lines.append(
            [
                section["data"],
                f"{ours['accuracy']['mean']:.4f} +- {ours['accuracy']['standard_deviation']:.4f}",
                f"{ours['macro_f1']['mean']:.4f}",
                *(f"{peers[name]['accuracy']:.4f}" if name in peers else "-" for name in PEERS),
                " ".join(f"{value:.3f}" for value in against["p_values"]) or "-",
                f"{ours['ece']['mean']:.3f}",
                f"{ours['bytes']['mean'] / 1e6:.2f} MB",
                f"{ours['seconds']['mean']:.0f} s",
            ]
        )
    header = ["set", "accuracy", "macro-F1", *PEERS, "McNemar p", "ECE", "bundle", "training"]
    return format_table(header, lines, align="<" + ">" * (len(header) - 1))


if __name__ == "__main__":
    main()
