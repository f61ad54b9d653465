"""Data sets of the benchmarks, trainings in parallel, and their cached results."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import click
import torch
from common import SAMPLE

from textgate.messages import did_you_mean
from textgate.rows import Row, load_labelled
from textgate.train.data.holdout import hold_out

_DEV_FRACTION = 0.1


@dataclass(frozen=True)
class Split:
    """One set: its name and files. Without dev, a part of the training rows is held out."""

    name: str
    train: Path
    dev: Path | None
    test: Path

    @cached_property
    def rows(self) -> tuple[list[Row], list[Row]]:
        """The training rows and the dev rows."""
        train = load_labelled(self.train)
        if self.dev is not None:
            return train, load_labelled(self.dev)
        return hold_out(train, _DEV_FRACTION, seed=0)

    @cached_property
    def test_rows(self) -> list[Row]:
        """The test rows."""
        return load_labelled(self.test)

    @property
    def test_labels(self) -> list[str]:
        """Their labels."""
        return [row.labels[0] for row in self.test_rows]


def find_sets(data: Path | None, names: tuple[str, ...]) -> list[Split]:
    """Return the sets in a folder; with names, only these sets.

    Raises:
        click.BadParameter: there is no set of a name.
    """
    folders = [SAMPLE] if data is None else sorted(path for path in data.iterdir() if path.is_dir())
    known = [folder.name for folder in folders]
    for name in names:
        if name not in known:
            raise click.BadParameter(
                f"there is no set {name!r} in {data}{did_you_mean(name, known)}"
            )
    found = []
    for folder in folders:
        files = {name: folder / f"{name}.jsonl.gz" for name in ("train", "dev", "test")}
        whole = files["train"].is_file() and files["test"].is_file()
        if whole and (not names or folder.name in names):
            dev = files["dev"] if files["dev"].is_file() else None
            found.append(Split(folder.name, files["train"], dev, files["test"]))
    return found


def in_processes(
    jobs: int, function: Callable[..., Any], arguments: Iterable[tuple[Any, ...]]
) -> list[Any]:
    """Return the function's results for all arguments, from processes with one thread each."""
    with ProcessPoolExecutor(jobs, initializer=torch.set_num_threads, initargs=(1,)) as pool:
        return list(pool.map(function, *zip(*arguments, strict=True)))


def remembered(kept: Path, find: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """Return a result from its cache file, or compute and cache it."""
    if kept.is_file():
        found: dict[str, Any] = json.loads(kept.read_text(encoding="utf-8"))
        return found
    found = find()
    kept.write_text(json.dumps(found) + "\n", encoding="utf-8")
    return found
