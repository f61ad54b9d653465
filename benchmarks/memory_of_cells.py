"""What is claimed of RNN, LSTM and GRU, tested: how far back they remember, and what it costs.

    python benchmarks/memory_of_cells.py            # about 20 minutes on two cores
    python benchmarks/memory_of_cells.py --quick    # a minute, to see that it works

Networks of one layer learn to name the first symbol of a sequence after gaps of 5 to 500 steps (see
`recall.py`), from several ways to begin the weights, several seeds each. Besides: how much of the
gradient is left so many steps before the loss, before and after training, and what an update and a
prediction cost. `python benchmarks/readme.py` draws the pictures and writes the text.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import statistics
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import click
import numpy as np
import torch
from recall import CELLS, INITS, Recalled, Trainer, architecture, beginnings, gradient_norms, recall

from textgate.architecture import parameter_count
from textgate.export.graph import FLOAT32, INT8, build_graph
from textgate.export.weights import network_weights
from textgate.latency import bootstrap_ratio_interval, measure_alternating, ratio_of_medians
from textgate.machine import this_machine
from textgate.noise import fixed_work, noise_in
from textgate.session import make_session
from textgate.tables import format_count, format_ms, format_table

HERE = Path(__file__).parent
RESULT = HERE / "results" / "memory_of_cells.json"
GAPS = (5, 10, 20, 50, 100, 200, 500)
STEPS_BACK = 200  # of the gradient
TRAINED_GAP = 100  # of the networks whose gradient is looked at after training, and of the times
LENGTHS = (25, 100, 500)  # tokens of the predictions that are timed
BASE = "lstm"  # what the times are compared with


@dataclass(frozen=True)
class Gradient:
    """How much of a gradient is left by distance from the loss, the median over seeds."""

    cell: str
    init: str
    trained: bool
    norms: list[float]


@dataclass(frozen=True)
class Cost:
    """What a cell costs against the LSTM of the same precision, in one alternating run.

    `what` is ``update``, or the precision of a graph that predicts one sequence in ONNX Runtime.
    """

    cell: str
    what: str
    tokens: int
    ms: float
    ratio: float
    low: float
    high: float


@click.command()
@click.option("--gaps", default=",".join(map(str, GAPS)), show_default=True)
@click.option("--seeds", default=3, show_default=True)
@click.option("--updates", default=1000, show_default=True, help="Most updates of a network.")
@click.option("--seconds", default=20.0, show_default=True, help="For each comparison of times.")
@click.option(
    "--jobs", default=os.cpu_count() or 1, show_default=True, help="Processes that train."
)
@click.option("--quick", is_flag=True, help="A smoke run: short gaps, one seed, nothing written.")
@click.option("-o", "--output", type=click.Path(path_type=Path), default=RESULT)
def main(
    gaps: str, seeds: int, updates: int, seconds: float, jobs: int, quick: bool, output: Path
) -> None:
    """Test what is claimed of the memory of cells."""
    torch.set_num_threads(1)
    chosen = [int(gap) for gap in gaps.split(",")]
    if quick:
        chosen, seeds, updates, seconds = [5, 20], 1, 100, 0.2
    # The times first, while nothing else of this run is running.
    costs, fixed = measure_costs(seconds)
    recalled = train_all(chosen, seeds, updates, jobs)
    gradients = all_gradients(seeds, updates, steps=20 if quick else STEPS_BACK)
    result = {
        "machine": asdict(this_machine()),
        "noise": asdict(noise_in([fixed])),
        "updates": updates,
        "parameters": {cell: parameter_count(architecture(cell)) for cell in CELLS},
        "recalled": [asdict(each) for each in recalled],
        "gradients": [asdict(each) for each in gradients],
        "costs": [asdict(each) for each in costs],
    }
    if not quick:
        output.parent.mkdir(parents=True, exist_ok=True)
        output.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    print(recall_table(recalled), "", cost_table(costs), sep="\n")


def train_all(gaps: Sequence[int], seeds: int, updates: int, jobs: int) -> list[Recalled]:
    """Train a network for every cell, beginning, gap and seed, the longest gaps first."""
    wanted = [
        (cell, init, gap, seed, updates)
        for gap in sorted(gaps, reverse=True)
        for cell in CELLS
        for init in beginnings(cell)
        for seed in range(seeds)
    ]
    with multiprocessing.get_context("spawn").Pool(jobs, torch.set_num_threads, (1,)) as pool:
        found = []
        for place, each in enumerate(pool.imap(_recall, wanted), start=1):
            click.echo(f"{place} of {len(wanted)}: {each}", err=True)
            found.append(each)
    return sorted(found, key=lambda each: (each.init, each.cell, each.gap, each.seed))


def _recall(arguments: tuple[str, str, int, int, int]) -> Recalled:
    return recall(*arguments)


def all_gradients(seeds: int, updates: int, *, steps: int) -> list[Gradient]:
    """Return what is left of the gradient for every cell and beginning, untrained and trained."""
    found = []
    for cell in CELLS:
        for init in beginnings(cell):
            before, after = [], []
            for seed in range(seeds):
                trainer = Trainer(cell, init, min(TRAINED_GAP, steps), seed)
                before.append(gradient_norms(trainer.model, steps, seed))
                for _ in range(updates // 2):
                    trainer.update()
                after.append(gradient_norms(trainer.model, steps, seed))
            for trained, runs in ((False, before), (True, after)):
                middle = np.median(np.asarray(runs), axis=0).tolist()
                found.append(Gradient(cell, init, trained, middle))
    return found


def measure_costs(seconds: float) -> tuple[list[Cost], list[int]]:
    """Return what an update and a prediction cost, and the times of fixed work in between."""
    costs: list[Cost] = []
    fixed: list[int] = []

    def compared(what: str, tokens: int, work: dict[str, Callable[[], object]]) -> None:
        times = measure_alternating(
            {**work, "fixed": fixed_work}, seconds=seconds, warm_up=3, minimum=5
        )
        fixed.extend(times.pop("fixed"))
        for cell, values in times.items():
            low, high = bootstrap_ratio_interval(values, times[BASE])
            ratio = ratio_of_medians(values, times[BASE])
            middle = statistics.median(values) / 1e6
            costs.append(Cost(cell, what, tokens, middle, ratio, low, high))

    trainers = {cell: Trainer(cell, INITS[0], TRAINED_GAP, 0) for cell in CELLS}
    compared("update", TRAINED_GAP, {cell: each.update for cell, each in trainers.items()})
    for precision, plan in (("float32", FLOAT32), ("int8", INT8)):
        sessions = {}
        for cell, each in trainers.items():
            weights = network_weights(architecture(cell), each.model.state_dict())
            sessions[cell] = make_session(build_graph(architecture(cell), weights, plan).model)
        for tokens in LENGTHS:
            feed = {
                "input_ids": np.full((1, tokens), 7, dtype=np.int64),
                "lengths": np.array([tokens], dtype=np.int64),
            }
            work = {
                cell: partial(session.run, ["probabilities"], feed)
                for cell, session in sessions.items()
            }
            compared(precision, tokens, work)
    return costs, fixed


def recall_table(recalled: Sequence[Recalled]) -> str:
    """Return one line for each gap: the mean accuracy of every cell and beginning."""
    columns = [(cell, init) for cell in CELLS for init in beginnings(cell)]
    rows = []
    for gap in sorted({each.gap for each in recalled}):
        row = [format_count(gap)]
        for cell, init in columns:
            found = [
                each.accuracy
                for each in recalled
                if (each.init, each.cell, each.gap) == (init, cell, gap)
            ]
            row.append(f"{statistics.mean(found):.3f}")
        rows.append(row)
    return format_table(["gap", *(f"{cell.upper()} ({init})" for cell, init in columns)], rows)


def cost_table(costs: Sequence[Cost]) -> str:
    """Return one line for each cost."""
    return format_table(
        ["what", "tokens", "cell", "p50", "of the LSTM's", "95 % interval"],
        [
            [
                each.what,
                format_count(each.tokens),
                each.cell.upper(),
                format_ms(each.ms),
                f"{each.ratio:.3f}",
                f"{each.low:.3f} to {each.high:.3f}",
            ]
            for each in costs
        ],
        align="<><>>>",
    )


if __name__ == "__main__":
    main()
