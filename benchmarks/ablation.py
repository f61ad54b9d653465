"""Ablation of the default recipe: one part is left out or added, and scored on dev.

    python benchmarks/ablation.py --data ../shared/data --set sst2 --set trec --set mr

Test rows are not used. Finished trainings are cached in `--cache`; a second call continues.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
from common import PATH, cache_option, output_option, write_result
from pages.blocks import BLOCKS
from sets import Split, find_sets, in_processes, remembered

from textgate.train import fit

VARIANTS: dict[str, dict[str, Any]] = {
    "the recipe": {},
    "no pretrained vectors": {"vectors": "none"},
    "10,000 instead of 20,000 tokens": {"vocabulary_size": 10_000},
    "whole words alone": {"tokenizer": "words"},
    "no linear branch": {"linear_size": 0, "linear_buckets": 0},
    "no adversarial step": {"adversarial": 0.0},
    "no moving average": {"average": 0.0},
    "GRU": {"cell": "gru"},
    "plain RNN": {"cell": "rnn"},
    "one direction": {"bidirectional": False},
    "both directions": {"bidirectional": True},
    "mean beside max pooling": {"pooling": ("max", "mean")},
    "dropout 0.5": {"embedding_dropout": 0.5, "head_dropout": 0.5},
}


@click.command()
@click.option("--data", type=PATH, help="Folder of sets.")
@click.option("--set", "names", multiple=True, help="Only these sets; can be repeated.")
@click.option("--variant", "variants", multiple=True, type=click.Choice(list(VARIANTS)))
@click.option("--seeds", default=2, show_default=True)
@click.option("--jobs", default=2, show_default=True, help="Networks trained at the same time.")
@cache_option("ablation")
@output_option("ablation")
def main(
    data: Path | None,
    names: tuple[str, ...],
    variants: tuple[str, ...],
    seeds: int,
    jobs: int,
    cache: Path,
    output: Path,
) -> None:
    """Train every variant and write one table."""
    cache.mkdir(parents=True, exist_ok=True)
    sets = find_sets(data, names)
    work = [
        (variant, split, seed, cache)
        for variant in (variants or VARIANTS)
        for split in sets
        for seed in range(seeds)
    ]
    result = write_result(output, {"runs": in_processes(jobs, _trained, work)})
    print(BLOCKS["ablation"].text(result))


def _trained(variant: str, split: Split, seed: int, cache: Path) -> dict[str, Any]:
    """Return the dev figures of one training, from the cache if possible."""
    name = f"{variant}-{split.name}-{seed}".replace(" ", "_").replace(",", "")

    def find() -> dict[str, Any]:
        settings = {**VARIANTS[variant], "seed": seed}
        run = cache / f"{name}.run"
        model = fit(
            split.train, run, dev=split.dev, settings=settings, pretrained="none", resume=True
        ).model
        return {
            "variant": variant,
            "data": split.name,
            "seed": seed,
            "accuracy": model.metrics["accuracy"],
            "macro_f1": model.metrics["macro_f1"],
            "log_loss": model.history[model.best_epoch - 1].dev_loss,
            "seconds": sum(epoch.seconds for epoch in model.history),
        }

    return remembered(cache / f"{name}.json", find)


if __name__ == "__main__":
    main()
