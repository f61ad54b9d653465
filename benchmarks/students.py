"""How accurate the default recipe gets with more than the labelled rows of a set.

With more labelled rows, teachers, texts without labels, or pretrained layers; the rest is as in
`accuracy.py`: several seeds, int8, at most 2 MB, the test rows of the set. Each call adds its line
to the results, or replaces the one of the same set.

    textgate teach DATA/trec/train.jsonl.gz --transformer minilm -o trec.teacher
    python benchmarks/students.py --data DATA --set trec --teacher trec.teacher

teacher/README.md tells of the longer ones.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
import torch
from accuracy_recipe import MOST_BYTES, spread, train_and_score
from accuracy_sets import Split, find_sets

from textgate.machine import this_machine
from textgate.rows import Row, load_labelled
from textgate.tables import format_table
from textgate.train.config import TrainingConfig
from textgate.train.settings import format_setting, read_settings

RESULT = Path(__file__).parent / "results" / "students.json"
PATH = click.Path(exists=True, path_type=Path)


@click.command()
@click.option("--data", type=PATH, help="Folder of sets.")
@click.option("--set", "name", required=True, help="Which of them.")
@click.option("--rows", "more", type=PATH, multiple=True, help="Further labelled rows; repeat it.")
@click.option("--teacher", "teachers", type=PATH, multiple=True, help="As for textgate train.")
@click.option("--unlabelled", type=PATH, multiple=True, help="As for textgate train.")
@click.option("--pretrained", type=PATH, help="As for textgate train.")
@click.option("--epochs", type=int, help="Instead of as many as the recipe finds enough.")
@click.option("--bidirectional/--one-directional", default=None, help="As for textgate train.")
@click.option("--config", type=PATH, help="As for textgate train.")
@click.option("--seeds", default=3, show_default=True)
@click.option("--cache", type=click.Path(path_type=Path), default=Path("runs/students"))
@click.option("--out", type=click.Path(path_type=Path), default=RESULT, show_default=True)
def main(
    data: Path | None,
    name: str,
    more: tuple[Path, ...],
    teachers: tuple[Path, ...],
    unlabelled: tuple[Path, ...],
    pretrained: Path | None,
    epochs: int | None,
    bidirectional: bool | None,
    config: Path | None,
    seeds: int,
    cache: Path,
    out: Path,
) -> None:
    """Train students, score them, and add a line to the results."""
    torch.set_num_threads(1)
    cache.mkdir(parents=True, exist_ok=True)
    (split,) = find_sets(data, (name,))
    options = {"teachers": teachers, "unlabelled": unlabelled, "pretrained": pretrained}
    rows = _rows(split, more)
    given = {"epochs": epochs, "bidirectional": bidirectional}
    settings = {key: value for key, value in given.items() if value is not None}
    before = {} if config is None else read_settings(config, TrainingConfig)
    scored = [
        train_and_score(
            split,
            seed,
            cache / f"{name}-{seed}.run",
            rows=rows,
            settings={**before, **settings},
            **options,
        )
        for seed in range(seeds)
    ]
    line = {
        "data": name,
        "seeds": seeds,
        "with": {
            "rows": [path.name for path in more],
            "teachers": [path.name for path in teachers],
            "unlabelled": [path.name for path in unlabelled],
            "pretrained": [pretrained.name] if pretrained else [],
            "config": [config.name] if config else [],
            **{key: [format_setting(value)] for key, value in settings.items()},
        },
        "textgate": {
            value: spread([getattr(item, value) for item in scored])
            for value in ("accuracy", "macro_f1", "ece", "novel", "bytes", "seconds")
        },
    }
    result = with_line(out, line)
    out.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    click.echo(table(result))


def with_line(out: Path, line: dict[str, Any]) -> dict[str, Any]:
    """Return the results that are there with one line more, in the order of the sets' names."""
    before = json.loads(out.read_text(encoding="utf-8"))["sets"] if out.exists() else []
    sets = [*(one for one in before if one["data"] != line["data"]), line]
    return {
        "machine": asdict(this_machine()),
        "most_bytes": MOST_BYTES,
        "sets": sorted(sets, key=lambda one: str(one["data"])),
    }


def table(result: dict[str, Any]) -> str:
    """Return one line a set."""
    lines = [
        [
            one["data"],
            told(one),
            str(one["seeds"]),
            f"{one['textgate']['accuracy']['mean']:.4f}",
            f"{one['textgate']['macro_f1']['mean']:.4f}",
        ]
        for one in result["sets"]
    ]
    return format_table(["set", "with", "seeds", "accuracy", "macro-F1"], lines)


def told(line: dict[str, Any]) -> str:
    """Return what a student had, in words."""
    return "; ".join(
        f"{kind}: {', '.join(counted(names))}" for kind, names in line["with"].items() if names
    )


def counted(names: Sequence[str]) -> list[str]:
    """Return each name once, with how often it is there."""
    return [
        name if count == 1 else f"{name} ({count} times)" for name, count in Counter(names).items()
    ]


def _rows(split: Split, more: tuple[Path, ...]) -> list[Row] | None:
    """Return all labelled rows to train on; None where they are the set's own."""
    if not more:
        return None
    return [row for path in (split.train, *more) for row in load_labelled(path, soft_labels=True)]


if __name__ == "__main__":
    main()
