"""Regression guard: the speed of this working tree compared with another commit.

    python benchmarks/guard.py HEAD~5
    python benchmarks/guard.py v0.1.0 -m reviews --rounds 20

Each round starts a fresh process for each side, with the same interpreter and packages and
textgate's code from the commit or from this working tree, and lets them predict in turns of a few
milliseconds. A ratio is that of a round's medians, and its interval is over rounds, because two
processes of the same code differ more than their calls. A slowdown is a warning, never a failure.
"""

from __future__ import annotations

import compileall
import io
import os
import shutil
import statistics
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from time import perf_counter_ns
from typing import Any, NamedTuple

import click
import numpy as np
from common import PATH, Ask, EndedError, median_ratio, process, write_result

from textgate.bench.noise import Noise, fixed_work, noise_in
from textgate.bench.timing import texts_of_length, turn_order
from textgate.inference.classifier import Classifier
from textgate.tables import format_ms, format_table

ROOT = Path(__file__).parent.parent
WORKER = Path(__file__).with_name("worker.py")
FOLDERS = {"runtime": "textgate", "train": "textgate/train", "export": "textgate/export"}
SAMPLES = ("lstm-int8", "gru-float32")

LENGTHS = (10, 40)  # tokens of single texts
BATCH = 16  # texts of a batch, of the first length
TEXTS = 8
TURN = 20  # calls before the other side's turn
MAX_RATIO = 1.05  # there is a warning if the whole interval of a ratio is above it


class GuardError(click.ClickException):
    """The comparison cannot be made."""


@dataclass(frozen=True)
class Compared:
    """One figure of one bundle: this working tree compared with the other commit.

    Medians over rounds, in milliseconds. The ratio is the working tree's median divided by the
    other commit's, with the ends of its 95 % bootstrap interval over rounds.
    """

    bundle: str
    case: str
    base_ms: float
    current_ms: float
    ratio: float
    low: float
    high: float

    @property
    def slower(self) -> bool:
        """Whether the slowdown is certain and large enough for a warning."""
        return self.low > MAX_RATIO


class Worker(NamedTuple):
    """A started process: the function that asks it, the stages of its start, and its answers."""

    ask: Ask
    start: Mapping[str, int]  # nanoseconds
    scores: Mapping[str, Any]  # probabilities for every text of every case


@click.command()
@click.argument("base")
@click.option("-m", "--model", "models", type=PATH, multiple=True, help="Bundle to predict with.")
@click.option(
    "--rounds",
    type=click.IntRange(min=5),  # fewer rounds give no useful interval
    default=15,
    show_default=True,
    help="Pairs of fresh processes per bundle.",
)
@click.option("--turns", default=25, show_default=True, help="Turns per case in a round.")
@click.option("--repository", type=PATH, default=ROOT, help="Repository that holds BASE.")
@click.option("-o", "--output", type=PATH, help="JSON file to write.")
def main(
    base: str,
    models: tuple[Path, ...],
    rounds: int,
    turns: int,
    repository: Path,
    output: Path | None,
) -> None:
    """Compare this working tree with the commit BASE."""
    bundles = models or tuple(ROOT / "tests" / "data" / name for name in SAMPLES)
    fixed: list[list[int]] = []
    compared, difference = [], 0.0
    with tempfile.TemporaryDirectory() as folder:
        sides = {"base": Path(folder) / "base", "current": Path(folder) / "current"}
        commit = stage_commit(repository, base, sides["base"])
        stage_tree(ROOT, sides["current"])
        for bundle in bundles:
            found, apart = compare(bundle, sides, rounds, turns, fixed)
            compared += found
            difference = max(difference, apart)
    noise = noise_in(fixed)
    if output is not None:
        values = {"base": commit, "rounds": rounds, "noise": asdict(noise)}
        values |= {"largest_difference": difference, "compared": [asdict(one) for one in compared]}
        write_result(output, values)
    print(report(compared, noise, commit, difference))


def compare(
    bundle: Path, sides: Mapping[str, Path], rounds: int, turns: int, fixed: list[list[int]]
) -> tuple[list[Compared], float]:
    """Return the figures of one bundle, and the largest difference of the sides' probabilities.

    `sides` are the folders to import the package from; each round appends the times of fixed work
    to `fixed`.
    """
    calls = cases(bundle)
    medians: dict[str, dict[str, list[float]]] = {side: {} for side in sides}
    difference = 0.0
    for number in range(rounds):
        # The side that starts first may have the quieter machine, so the order alternates.
        order = turn_order(list(sides), number)
        with (
            worker(sides[order[0]], bundle, calls) as one,
            worker(sides[order[1]], bundle, calls) as two,
        ):
            pair = dict(zip(order, (one, two), strict=True))
            times, ticks = one_round(pair, list(calls), turns)
        difference = max(difference, _apart(pair["base"].scores, pair["current"].scores))
        fixed.append(ticks)
        for side, found in times.items():
            for case, values in found.items():
                medians[side].setdefault(case, []).append(statistics.median(values))
    return [
        summary(bundle.name, case, medians["base"][case], medians["current"][case])
        for case in medians["base"]
    ], difference


def cases(bundle: Path) -> dict[str, list[list[str]]]:
    """Return the calls of each case: lists of texts to predict at once."""
    words = Classifier.load(bundle).stages().words(500)
    found = {
        f"{tokens} tokens": [[text] for text in texts_of_length(words, tokens, TEXTS)]
        for tokens in LENGTHS
    }
    found[f"{BATCH} texts of {LENGTHS[0]}"] = [
        texts_of_length(words, LENGTHS[0], BATCH, seed=number) for number in range(TEXTS)
    ]
    return found


def one_round(
    pair: Mapping[str, Worker], names: list[str], turns: int
) -> tuple[dict[str, dict[str, list[int]]], list[int]]:
    """Let two processes take turns; return times by side and case, and times of fixed work."""
    times = {
        side: {case: [value] for case, value in each.start.items()} for side, each in pair.items()
    }
    ticks = []
    for turn in range(turns + 1):
        for name in names:
            for side in turn_order(list(pair), turn):
                taken = pair[side].ask({"case": name, "calls": TURN})
                if turn:  # the first turn is a warm-up
                    times[side].setdefault(name, []).extend(taken)
            begun = perf_counter_ns()
            fixed_work()
            ticks.append(perf_counter_ns() - begun)
    return times, ticks


@contextmanager
def worker(package: Path, bundle: Path, calls: Mapping[str, object]) -> Iterator[Worker]:
    """Start a process of one side; yield it after its first prediction.

    Raises:
        GuardError: it ends early, or imports the package from another folder.
    """
    command = [sys.executable, "-s", "-P", str(WORKER), "bundle", str(bundle.absolute())]
    environment = {**os.environ, "PYTHONPATH": str(package)}
    try:
        with process(command, environment=environment, folder=package) as ask:
            hello = ask(calls)
            if not Path(hello["package"]).is_relative_to(package):
                raise GuardError(
                    f"{hello['package']} was imported instead of the package in {package}"
                )
            yield Worker(ask, hello["start"], hello["scores"])
    except EndedError as problem:
        raise GuardError(f"the process of {package.name} ended: {problem}") from None


def stage_commit(repository: Path, base: str, target: Path) -> str:
    """Copy the package of a commit to `target`; return the commit's name.

    Raises:
        GuardError: there is no such commit, or it holds no package.
    """
    name = (
        _git(repository, "rev-parse", "--verify", "--quiet", f"{base}^{{commit}}").decode().strip()
    )
    archive = _git(repository, "archive", "--format=tar", name, *FOLDERS)
    with tempfile.TemporaryDirectory() as scratch:
        with tarfile.open(fileobj=io.BytesIO(archive)) as files:
            files.extractall(scratch, filter="data")
        stage_tree(Path(scratch), target)
    return name


def stage_tree(source: Path, target: Path) -> None:
    """Copy a working tree's folders to `target` as packages."""
    for folder, package in FOLDERS.items():
        shutil.copytree(
            source / folder, target / package, ignore=shutil.ignore_patterns("__pycache__")
        )
    compileall.compile_dir(target, quiet=1)  # not in the time of the first process


def _git(repository: Path, *arguments: str) -> bytes:
    done = subprocess.run(
        ["git", "-C", str(repository), *arguments], capture_output=True, check=False
    )
    if done.returncode:
        problem = done.stderr.decode("utf-8", errors="replace").strip() or "no such commit"
        raise GuardError(f"git {' '.join(arguments)}: {problem}")
    return done.stdout


def summary(bundle: str, case: str, base: list[float], current: list[float]) -> Compared:
    """Return the figure of the medians of all rounds, in nanoseconds."""
    base_ms, current_ms = statistics.median(base) / 1e6, statistics.median(current) / 1e6
    return Compared(bundle, case, base_ms, current_ms, *median_ratio(current, base))


def report(compared: list[Compared], noise: Noise, commit: str, difference: float) -> str:
    """Return the table and the warnings."""
    header = ["bundle", "case", commit[:10], "this tree", "ratio", "95 % interval"]
    rows = [
        [
            *(each.bundle, each.case, format_ms(each.base_ms), format_ms(each.current_ms)),
            *(f"{each.ratio:.3f}", f"{each.low:.3f} to {each.high:.3f}"),
        ]
        for each in compared
    ]
    table = format_table(header, rows, align="<<>>>>")
    lines = [table, ""]
    lines += [
        f"WARNING: {each.bundle}, {each.case}: slower than {commit[:10]} by a factor of "
        f"{each.ratio:.2f} ({each.low:.2f} to {each.high:.2f})"
        for each in compared
        if each.slower
    ] or [f"nothing is slower than {commit[:10]} by more than {MAX_RATIO - 1:.0%} for certain"]
    if difference:
        lines.append(f"note: probabilities differ by up to {difference:.2g}")
    if not noise.quiet:
        lines.append(f"note: a noisy machine: of a fixed piece of work, {'; '.join(noise.reasons)}")
    return "\n".join(lines)


def _apart(base: Mapping[str, Any], current: Mapping[str, Any]) -> float:
    """Return the largest difference of the probabilities of two sides."""
    return max(
        float(np.abs(np.asarray(base[case]) - np.asarray(current[case])).max()) for case in base
    )


if __name__ == "__main__":
    main()
