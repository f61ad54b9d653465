"""What the scripts share: goals, results, networks to measure with, processes that take turns."""

from __future__ import annotations

import json
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
_DRAWS = 2000  # of the bootstrap
PATH = click.Path(path_type=Path)
_Command = TypeVar("_Command", bound=Callable[..., Any])


@dataclass(frozen=True)
class Goal:
    """What was measured in words, what it came to, and its bound."""

    what: str
    value: float
    bound: float
    at_least: bool = False

    @property
    def reached(self) -> bool:
        """Whether the value is on the right side of its bound."""
        return self.value >= self.bound if self.at_least else self.value <= self.bound


def output_option(name: str) -> Callable[[_Command], _Command]:
    """Return the option for the file of a result, `results/NAME.json` by default."""
    default = RESULTS / f"{name}.json"
    return click.option("-o", "--output", type=PATH, default=default, help="File to write.")


def cache_option(name: str) -> Callable[[_Command], _Command]:
    """Return the option for the folder that keeps what takes long to make."""
    kept = Path("runs") / name
    return click.option("--cache", type=PATH, default=kept, show_default=True, help="Kept folder.")


def write_result(
    path: Path | None, values: Mapping[str, Any], goals: Sequence[Goal] = ()
) -> dict[str, Any]:
    """Write a result with the machine in front and the goals, if there are any, behind.

    Returns:
        The result as it is read from the file. Without a path it is not written.
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
    """Return the int8 bundle of a preset, made if it is not there.

    Trained for a single epoch: what the weights are changes no cost. The run stands beside it.

    Args:
        kept: the folder that keeps bundles.
        preset: the network, such as ``seed-lstm``.
        max_tokens: tokens of a text that it reads.
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
            load_labelled(SAMPLE / "train.jsonl.gz")[:2000],
            kept / f"{name}.run",
            dev=load_labelled(SAMPLE / "dev.jsonl.gz")[:500],
            preset=preset,
            settings={"max_tokens": max_tokens, "epochs": 1},
            force=True,
        )
        # What is lost does not matter here.
        export(kept / f"{name}.run", bundle, max_accuracy_drop=1.0)
    return bundle


def median_ratio(values: Sequence[float], base: Sequence[float]) -> tuple[float, float, float]:
    """Return the median ratio of values measured in turns, and its 95 % bootstrap interval."""
    ratios = np.asarray(values) / np.asarray(base)
    drawn = np.random.default_rng(0).choice(ratios, size=(_DRAWS, len(ratios)))
    low, high = np.quantile(np.median(drawn, axis=1), (0.025, 0.975)).tolist()
    return float(np.median(ratios)), low, high


# Processes that take turns: each is asked by a line of JSON and answers with one.

Ask = Callable[[object], Any]
ANSWER = "answer: "  # what the line of an answer begins with


class EndedError(Exception):
    """A process that ended instead of answering; the message is its last complaint."""


@contextmanager
def process(
    command: Sequence[str], *, environment: Mapping[str, str], folder: Path
) -> Iterator[Ask]:
    """Start a process in a folder; yield what asks it. It ends when the body does.

    Raises:
        EndedError: when asking, if the process has ended.
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
            with suppress(BrokenPipeError):  # what it complained about is told below
                child.stdin.write(json.dumps(request) + "\n")
                child.stdin.flush()
            # Libraries print what they like; an answer is marked.
            while line := child.stdout.readline():
                if line.startswith(ANSWER):
                    return json.loads(line.removeprefix(ANSWER))
            child.wait()
            complaints.seek(0)
            last = complaints.read().strip().splitlines() or ["no word"]
            raise EndedError(last[-1])

        yield ask
