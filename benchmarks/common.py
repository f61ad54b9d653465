"""Shared parts of the scripts: goals, results, reference networks, processes that take turns."""

from __future__ import annotations

import json
import statistics
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeVar

import click
import numpy as np

from textgate.bench.machine import this_machine

HERE = Path(__file__).parent
RESULTS = HERE / "results"
SAMPLE = HERE.parent / "examples" / "reviews"
_BOOTSTRAP_DRAWS = 2000
REFERENCE_ROWS = 2000  # that a reference network is trained on
PATH = click.Path(path_type=Path)
_Command = TypeVar("_Command", bound=Callable[..., Any])


@dataclass(frozen=True)
class Goal:
    """A measured value with its description and its bound."""

    what: str
    value: float
    bound: float
    at_least: bool = False

    @property
    def reached(self) -> bool:
        """Whether the value satisfies its bound."""
        return self.value >= self.bound if self.at_least else self.value <= self.bound


def output_option(name: str) -> Callable[[_Command], _Command]:
    """Return the option for the result's file, by default `results/NAME.json`."""
    default = RESULTS / f"{name}.json"
    return click.option("-o", "--output", type=PATH, default=default, help="File to write.")


def cache_option(name: str) -> Callable[[_Command], _Command]:
    """Return the option for the folder that caches trained networks and other slow results."""
    kept = Path("runs") / name
    return click.option("--cache", type=PATH, default=kept, show_default=True, help="Cache folder.")


def write_result(
    path: Path | None, values: Mapping[str, Any], goals: Sequence[Goal] = ()
) -> dict[str, Any]:
    """Write a result with the machine first and the goals, if there are any, last.

    Returns:
        The result as read from the file. Without a path no file is written.
    """
    result = {"machine": asdict(this_machine()), **values}
    if goals:
        result["goals"] = [{**vars(goal), "reached": goal.reached} for goal in goals]
    text = json.dumps(result, indent=2, ensure_ascii=False) + "\n"
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    found: dict[str, Any] = json.loads(text)
    return found


def reference_bundle(kept: Path, preset: str, *, max_tokens: int = 100) -> Path:
    """Return the int8 bundle of a preset; train and export it if it is missing.

    It is trained for one epoch, because the values of the weights do not change the time. The run
    is beside the bundle.

    Args:
        kept: the folder that caches bundles.
        preset: the network, such as ``seed-lstm``.
        max_tokens: largest number of tokens per text.
    """
    name = preset if max_tokens == 100 else f"{preset}-{max_tokens}"
    bundle = kept / name
    if not bundle.exists():
        import torch

        from textgate.export import export
        from textgate.rows import load_labelled
        from textgate.train import fit

        torch.set_num_threads(1)
        fit(
            load_labelled(SAMPLE / "train.jsonl.gz")[:REFERENCE_ROWS],
            kept / f"{name}.run",
            dev=load_labelled(SAMPLE / "dev.jsonl.gz")[:500],
            preset=preset,
            settings={"max_tokens": max_tokens, "epochs": 1},
            force=True,
        )
        export(kept / f"{name}.run", bundle, max_accuracy_drop=1.0, allow_useless=True)
    return bundle


def median_ratio(values: Sequence[float], base: Sequence[float]) -> tuple[float, float, float]:
    """Return the median ratio of values measured in turns, and its 95 % bootstrap interval."""
    ratios = np.asarray(values) / np.asarray(base)
    drawn = np.random.default_rng(0).choice(ratios, size=(_BOOTSTRAP_DRAWS, len(ratios)))
    low, high = np.quantile(np.median(drawn, axis=1), (0.025, 0.975)).tolist()
    return float(np.median(ratios)), low, high


def spread(values: list[float]) -> dict[str, float]:
    """Return the mean and the standard deviation, which is 0 for a single value."""
    deviation = statistics.stdev(values) if len(values) > 1 else 0.0
    return {"mean": statistics.fmean(values), "standard_deviation": deviation}


# Processes that take turns: a request is one line of JSON, and so is its answer.

Ask = Callable[[object], Any]
ANSWER = "answer: "  # prefix of the line of an answer


class EndedError(Exception):
    """A process ended instead of answering; the message is its last line of standard error."""


@contextmanager
def process(
    command: Sequence[str], *, environment: Mapping[str, str], folder: Path
) -> Iterator[Ask]:
    """Start a process in a folder and yield a function that asks it; it ends with the body.

    Raises:
        EndedError: by the function, if the process has ended.
    """
    with (
        tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as complaints,
        subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=complaints,
            text=True,
            env=environment,
            cwd=folder,
        ) as child,
    ):

        def ask(request: object) -> Any:
            if child.stdin is None or child.stdout is None:
                raise EndedError("started without pipes")
            with suppress(BrokenPipeError):  # its error is reported below
                child.stdin.write(json.dumps(request) + "\n")
                child.stdin.flush()
            # Libraries may print other lines.
            while line := child.stdout.readline():
                if line.startswith(ANSWER):
                    return json.loads(line.removeprefix(ANSWER))
            child.wait()
            complaints.seek(0)
            last = complaints.read().strip().splitlines() or ["no message"]
            raise EndedError(last[-1])

        yield ask
