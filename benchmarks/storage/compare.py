"""Ways to keep the weights of recurrent layers as int8: bytes, time, memory, accuracy.

ONNX Runtime computes a GRU or an RNN in float32 whatever its weights are stored as; only for LSTMs
it has an integer operator. Every way is built from the same trained weights of the reference
networks and compared with the plain float32 graph.

    python benchmarks/storage/compare.py [RUN ...]

Without run folders it trains the three reference networks on the sample reviews and keeps them in
`--cache`. All graphs of a network are timed in one run, in alternation, on one thread: their ratios
hold on a busy machine, the milliseconds do not.
"""

from __future__ import annotations

import json
import os
import statistics
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import click
import numpy as np
import torch
from graphs import ways_to_store
from memory import resident_bytes
from numpy.typing import NDArray

from textgate.batching import padded
from textgate.export.weights import network_weights
from textgate.latency import bootstrap_ratio_interval, measure_alternating, ratio_of_medians
from textgate.machine import this_machine
from textgate.rows import load_labelled
from textgate.run import MODEL, TOKENIZER, read_run
from textgate.session import make_session, onnxruntime
from textgate.tables import format_bytes, format_ms, format_table
from textgate.tokenizer import Encoded, TextTokenizer
from textgate.train import fit
from textgate.train.checkpoint import load_model
from textgate.train.progress import TerminalProgress

HERE = Path(__file__).parent
SAMPLE = HERE.parents[1] / "examples" / "reviews"
RESULT = HERE.parent / "results" / "storage.json"
LENGTHS = (10, 100)
BASE = "float32"
NOTE = (
    "ratios: median time over that of the float32 graph, both from one alternating run; "
    "milliseconds depend on what else the machine was doing, see the load"
)


@dataclass(frozen=True)
class Budget:
    """How much to measure."""

    seconds: float
    loads: int
    processes: int
    texts: int


@dataclass(frozen=True)
class Row:
    """One way to store one network; differences are those of probabilities from float32.

    `batch_difference` is how much a text's probability moves with its neighbours in a batch of 8.
    `resident_loaded` and `resident_used` are the bytes a session takes, see `memory.py`.
    """

    network: str
    way: str
    file_bytes: int
    ratios: dict[str, tuple[float, float, float]]  # by tokens: ratio, 95 % interval
    p50_ms: dict[str, float]
    load_ms: float
    resident_loaded: int | None
    resident_used: int | None
    largest_difference: float
    mean_difference: float
    agreement: float
    accuracy: float
    batch_difference: float


@click.command()
@click.argument("runs", nargs=-1, type=click.Path(path_type=Path, exists=True))
@click.option("--cells", default="lstm,gru,rnn", show_default=True, help="What to train.")
@click.option("--seconds", default=30.0, show_default=True, help="Time for a network and length.")
@click.option("--quick", is_flag=True, help="A smoke run: one epoch, few calls, nothing written.")
@click.option(
    "--cache", type=click.Path(path_type=Path), default=Path("runs/storage"), show_default=True
)
@click.option("-o", "--output", type=click.Path(path_type=Path), default=RESULT)
def main(
    runs: tuple[Path, ...], cells: str, seconds: float, quick: bool, cache: Path, output: Path
) -> None:
    """Compare ways to store the weights of recurrent layers."""
    torch.set_num_threads(1)
    budget = Budget(seconds, loads=15, processes=3, texts=500)
    if quick:
        budget = Budget(0.2, loads=2, processes=1, texts=50)
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) if quick else cache
        trained = runs or tuple(train(cell, folder, quick=quick) for cell in cells.split(","))
        load_before = os.getloadavg()
        for run in trained:
            rows += measure(run, budget)
    if not quick:
        result = {
            "machine": asdict(this_machine()),
            "load_before": load_before,
            "load_after": os.getloadavg(),
            "note": NOTE,
            "budget": asdict(budget),
            "rows": [asdict(row) for row in rows],
        }
        output.parent.mkdir(parents=True, exist_ok=True)
        output.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    print(table(rows), "", f"{NOTE}; {load_before[0]:.1f} at the start", sep="\n")


def train(cell: str, folder: Path, *, quick: bool) -> Path:
    """Train (or take up) a reference network on the sample reviews and return its run."""
    fitted = fit(
        SAMPLE / "train.jsonl.gz",
        folder / f"seed-{cell}",
        dev=SAMPLE / "dev.jsonl.gz",
        preset=f"seed-{cell}",
        settings={"epochs": 1} if quick else {},
        resume=True,
        progress=TerminalProgress(),
    )
    return fitted.path


def measure(run: Path, budget: Budget) -> list[Row]:
    """Measure all ways to store the network of a run."""
    manifest, model = read_run(run), load_model(run / MODEL)
    weights = network_weights(manifest.architecture, model.weights)
    graphs = ways_to_store(manifest.architecture, weights, temperature=model.temperature)
    sessions = {way: make_session(graph) for way, graph in graphs.items()}
    tokenizer_json = (run / TOKENIZER).read_text(encoding="utf-8")
    tokenizer = TextTokenizer(tokenizer_json, max_tokens=manifest.max_tokens)
    rows = load_labelled(SAMPLE / "test.jsonl.gz")[: budget.texts]
    encoded = tokenizer.encode_batch([row.text for row in rows])
    answers = np.array([manifest.labels.index(row.labels[0]) for row in rows])

    alone = {way: probabilities(session, encoded, 1) for way, session in sessions.items()}
    batched = {way: probabilities(session, encoded, 8) for way, session in sessions.items()}
    memory = {
        way: resident_bytes(graph, processes=budget.processes) for way, graph in graphs.items()
    }
    loads = measure_alternating(
        {way: partial(make_session, graph) for way, graph in graphs.items()},
        seconds=0,
        warm_up=1,
        minimum=budget.loads,
    )
    times = {tokens: call_times(sessions, encoded, tokens, budget.seconds) for tokens in LENGTHS}
    found = []
    for way, graph in graphs.items():
        difference = np.abs(alone[way] - alone[BASE])
        found.append(
            Row(
                network=manifest.preset,
                way=way,
                file_bytes=len(graph),
                ratios={
                    str(tokens): (
                        ratio_of_medians(calls[way], calls[BASE]),
                        *bootstrap_ratio_interval(calls[way], calls[BASE]),
                    )
                    for tokens, calls in times.items()
                },
                p50_ms={
                    str(tokens): statistics.median(calls[way]) / 1e6
                    for tokens, calls in times.items()
                },
                load_ms=statistics.median(loads[way]) / 1e6,
                resident_loaded=memory[way][0],
                resident_used=memory[way][1],
                largest_difference=float(difference.max()),
                mean_difference=float(difference.mean()),
                agreement=float((alone[way].argmax(1) == alone[BASE].argmax(1)).mean()),
                accuracy=float((alone[way].argmax(1) == answers).mean()),
                batch_difference=float(np.abs(batched[way] - alone[way]).max()),
            )
        )
    return found


def probabilities(
    session: onnxruntime.InferenceSession, encoded: list[Encoded], batch_size: int
) -> NDArray[np.float32]:
    """Return the probabilities of texts in batches as they come, float32 [texts, labels]."""
    starts = range(0, len(encoded), batch_size)
    return np.concatenate([call(session, encoded[start : start + batch_size]) for start in starts])


def call(session: onnxruntime.InferenceSession, batch: list[Encoded]) -> NDArray[np.float32]:
    """Return the probabilities of one batch, float32 [texts, labels]."""
    ids, lengths = padded(batch)
    result: NDArray[np.float32] = session.run(
        ["probabilities"], {"input_ids": ids, "lengths": lengths}
    )[0]
    return result


def call_times(
    sessions: Mapping[str, onnxruntime.InferenceSession],
    encoded: list[Encoded],
    tokens: int,
    seconds: float,
) -> dict[str, list[int]]:
    """Return the nanoseconds of calls with one text of so many tokens."""
    words = [word for item in encoded for word in item.ids]
    text = [Encoded(words[:tokens], truncated=False)]
    return measure_alternating(
        {way: partial(call, session, text) for way, session in sessions.items()},
        seconds=seconds,
    )


def table(rows: list[Row]) -> str:
    """Return one line for every network and way."""
    header = [
        "network", "stored as", "file", *(f"time, {tokens} tokens" for tokens in LENGTHS),
        "load", "memory", "in use", "largest", "mean", "agree", "accuracy", "by batch",
    ]  # fmt: skip
    return format_table(
        header,
        [
            [
                row.network,
                row.way,
                format_bytes(row.file_bytes),
                *(f"{row.ratios[str(tokens)][0]:.3f}" for tokens in LENGTHS),
                format_ms(row.load_ms),
                *(
                    "-" if size is None else format_bytes(size)
                    for size in (row.resident_loaded, row.resident_used)
                ),
                f"{row.largest_difference:.4f}",
                f"{row.mean_difference:.5f}",
                f"{row.agreement:.3f}",
                f"{row.accuracy:.4f}",
                f"{row.batch_difference:.4f}",
            ]
            for row in rows
        ],
    )


if __name__ == "__main__":
    main()
