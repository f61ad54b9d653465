"""The reference networks against what a user would pick instead: same texts, one run, taking turns.

    python benchmarks/latency_peers.py                      # about 10 minutes after the first time
    python benchmarks/latency_peers.py -m reviews           # with a bundle of your own
    python benchmarks/latency_peers.py --quick --only LSTM  # some, to see that it works

Needs benchmarks/requirements.txt in an environment of its own; a peer that is not installed is
skipped with a word. Every peer predicts in a process of its own, on one thread where its note says
nothing else, each as its documentation recommends, and all are asked in turns: a clock that slows
down slows all of them. A bundle takes the engine that it takes by default, and once more ONNX
Runtime. Times are from a text to probabilities, tokenizing included. Networks are
the same network: their probabilities are compared.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from time import perf_counter, perf_counter_ns
from typing import Any

import click
import numpy as np
import torch
from common import (
    PATH,
    Ask,
    EndedError,
    cache_option,
    output_option,
    process,
    reference_bundle,
    write_result,
)
from pages.blocks import BLOCKS

sys.path.insert(0, str(Path(__file__).parent / "peers"))

from measures import goals, installed_bytes, timed, versions
from table import PEERS, Peer

from textgate.bench.noise import fixed_work, noise_in
from textgate.bench.timing import texts_of_length, turn_order
from textgate.bundle.run import MODEL, TOKENIZER, read_run
from textgate.environment import ENGINE, NO_ONNX_RUNTIME_TELEMETRY
from textgate.inference.classifier import Classifier
from textgate.inference.tokenizer import TextTokenizer
from textgate.train.network.model import TextClassifier
from textgate.train.training.checkpoint import load_model

HERE = Path(__file__).parent
REFERENCES = ("seed-lstm", "seed-gru")
WORKER = HERE / "worker.py"
RUNTIME = ("click", "numpy", "onnxruntime", "tokenizers")
BY_ONNX_RUNTIME = ", ONNX Runtime"  # behind the name of a bundle
TEXTS = 16
TURN_MS = 30.0  # of a peer, before the next one is asked
WARM_UP = 20  # calls
FULL = "100"  # tokens of texts that a network of fixed length reads without padding
# One thread for every library that asks the environment; what decides for itself says so. No
# library reports home while it is measured.
VARIABLES = dict.fromkeys(
    ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", NO_ONNX_RUNTIME_TELEMETRY), "1"
)


@dataclass(frozen=True)
class Entry:
    """What was measured of one peer or bundle.

    Attributes:
        name: the peer's, or the bundle's folder's.
        is_bundle: whether it is a bundle in textgate's runtime.
        note: what a reader must know.
        installed_bytes: of all packages that predicting takes, those they depend on included.
        peak_bytes: most memory of its process; None where the system does not tell.
        largest_difference: from the same network in torch, float32; None for another model.
        times: by tokens, as `timed` returns them.
    """

    name: str
    is_bundle: bool
    note: str
    installed_bytes: int
    peak_bytes: int | None
    largest_difference: float | None
    times: dict[str, dict[str, Any]]


@click.command()
@click.option(
    "-m", "--model", "models", type=PATH, multiple=True, help="Further bundle to put beside them."
)
@click.option("--lengths", default="25,100", show_default=True, help="Tokens of a text.")
@click.option("--seconds", default=180.0, show_default=True, help="For each length, all together.")
@click.option("--only", default="", help="Peers whose name holds this.")
@click.option("--quick", is_flag=True, help="A smoke run: 3 seconds a length, nothing written.")
@cache_option("peers")
@output_option("latency_peers")
def main(
    models: tuple[Path, ...],
    lengths: str,
    seconds: float,
    only: str,
    quick: bool,
    cache: Path,
    output: Path,
) -> None:
    """Measure the reference networks against their peers."""
    for name in REFERENCES:
        reference_bundle(cache, name)
    paths = [*map(cache.joinpath, REFERENCES), *models]
    bundles = {path.resolve().name: (path, "auto") for path in paths}
    bundles |= {
        f"{name}{BY_ONNX_RUNTIME}": (path, "onnxruntime") for name, (path, _) in bundles.items()
    }
    skipped: dict[str, str] = {}
    peers = [peer for peer in PEERS if only.lower() in peer.name.lower()]
    ready = [peer for peer in peers if prepared(peer, cache, skipped)]
    words = Classifier.load(cache / REFERENCES[0]).stages().words(500)
    cases = {tokens: texts_of_length(words, int(tokens), TEXTS) for tokens in lengths.split(",")}
    entries, fixed = measure(bundles, ready, cache, cases, 3.0 if quick else seconds, skipped)
    result = {
        "packages": versions({package for peer in ready for package in peer.needs}),
        "noise": asdict(noise_in(fixed)),
        "skipped": skipped,
        "entries": [asdict(entry) for entry in entries],
    }
    written = None if quick else output
    print(BLOCKS["peers"].text(write_result(written, result, goals(result["entries"]))))


def prepared(peer: Peer, cache: Path, skipped: dict[str, str]) -> bool:
    """Make a peer's files where they are missing; say why not in `skipped`."""
    if missing := peer.missing():
        skipped[peer.name] = f"{missing} is not installed"
        return False
    folder = cache / peer.folder
    done = folder / "done"
    if not done.exists():
        folder.mkdir(parents=True, exist_ok=True)
        click.echo(f"preparing {peer.name}", err=True)
        made = subprocess.run(
            _command("prepare", peer.name, folder, cache),
            env={**os.environ, **VARIABLES},
            capture_output=True,
            text=True,
            check=False,
        )
        if made.returncode:
            last = made.stderr.strip().splitlines() or ["no word"]
            skipped[peer.name] = f"cannot be prepared: {last[-1][:300]}"
            return False
        done.touch()
    return True


def measure(
    bundles: Mapping[str, tuple[Path, str]],
    peers: Sequence[Peer],
    cache: Path,
    cases: Mapping[str, list[str]],
    seconds: float,
    skipped: dict[str, str],
) -> tuple[list[Entry], list[list[int]]]:
    """Let all of them take turns; return what was measured, and times of a fixed piece of work."""
    commands = {
        name: _command("bundle", str(path.resolve())) for name, (path, _) in bundles.items()
    }
    commands |= {
        peer.name: _command("peer", peer.name, cache / peer.folder, cache) for peer in peers
    }
    with ExitStack() as stack:
        asks: dict[str, Ask] = {}
        scores: dict[str, dict[str, list[list[float]]]] = {}
        for name, command in commands.items():
            click.echo(f"starting {name}", err=True)
            _, engine = bundles.get(name, (None, "auto"))
            environment = {**os.environ, **VARIABLES, ENGINE: engine}
            try:
                ask = stack.enter_context(process(command, environment=environment, folder=HERE))
                calls = {case: [[text] for text in texts] for case, texts in cases.items()}
                found = ask(calls)["scores"]
                scores[name] = {case: [one[0] for one in each] for case, each in found.items()}
                asks[name] = ask
            except EndedError as problem:
                skipped[name] = f"cannot be loaded: {str(problem)[:300]}"
        times, fixed = take_turns(asks, list(cases), seconds)
        peaks = {name: ask(None) for name, ask in asks.items()}
    known = {peer.name: peer for peer in peers}
    references = {
        name: reference_scores(cache, name, cases[FULL])
        for name in {peer.network for peer in peers if peer.network and FULL in cases}
    }
    entries = []
    for name in asks:
        peer = known.get(name)
        difference = None
        if peer is not None and peer.network and FULL in cases:
            difference = _apart(scores[name][FULL], references[peer.network])
            if difference > peer.tolerance:
                skipped[name] = f"computes something else: differs by {difference:.2g}"
                continue
        entries.append(
            Entry(
                name=name,
                is_bundle=peer is None,
                note="" if peer is None else peer.note,
                installed_bytes=installed_bytes(RUNTIME if peer is None else peer.needs),
                peak_bytes=peaks[name],
                largest_difference=difference,
                times={
                    tokens: timed(turns[name], {base: turns[base] for base in bundles})
                    for tokens, turns in times.items()
                },
            )
        )
    return entries, fixed


def take_turns(
    asks: Mapping[str, Ask], cases: Sequence[str], seconds: float
) -> tuple[dict[str, dict[str, list[list[int]]]], list[list[int]]]:
    """Return the nanoseconds by case, peer and turn, and of fixed work by case."""
    times: dict[str, dict[str, list[list[int]]]] = {}
    fixed: list[list[int]] = []
    for case in cases:
        calls = {}
        for name, ask in asks.items():
            warm = ask({"case": case, "calls": WARM_UP})
            typical = statistics.median(warm[WARM_UP // 2 :]) / 1e6
            calls[name] = max(1, min(200, round(TURN_MS / typical)))
        times[case] = {name: [] for name in asks}
        ticks: list[int] = []
        deadline, rounds = perf_counter() + seconds, 0
        while rounds < 3 or perf_counter() < deadline:
            for name in turn_order(list(asks), rounds):
                times[case][name].append(asks[name]({"case": case, "calls": calls[name]}))
                begun = perf_counter_ns()
                fixed_work()
                ticks.append(perf_counter_ns() - begun)
            rounds += 1
        fixed.append(ticks)
    return times, fixed


def reference_scores(cache: Path, network: str, texts: list[str]) -> list[list[float]]:
    """Return what the trained network says of texts, float32, without a temperature."""
    run = cache / f"{network}.run"
    manifest = read_run(run)
    model = TextClassifier(manifest.architecture)
    model.load_state_dict(load_model(run / MODEL).weights)
    model.eval()
    text = (run / TOKENIZER).read_text(encoding="utf-8")
    encoded = TextTokenizer(text, max_tokens=manifest.max_tokens).encode_batch(texts)
    with torch.inference_mode():
        logits = [model(torch.tensor([one.ids]), torch.tensor([len(one.ids)])) for one in encoded]
    return [model.probabilities(each)[0].tolist() for each in logits]


def _apart(scores: list[list[float]], reference: list[list[float]]) -> float:
    return float(np.abs(np.asarray(scores) - np.asarray(reference)).max())


def _command(task: str, name: str, *folders: Path) -> list[str]:
    return [sys.executable, str(WORKER), task, name, *(str(path.resolve()) for path in folders)]


if __name__ == "__main__":
    main()
