"""The native engine compared with ONNX Runtime: reference networks in int8, one text, one thread.

Both engines run the same token ids in alternation. The ratio is that of the medians.

Then whole calls with the package's model: a text, the next word of a stream, a batch.

    python benchmarks/native.py
    python benchmarks/native.py --data ../shared/data

The second form measures what integers cost instead: GRU and RNN layers in the native engine against
the float32 graph, on the rows that export verifies on and on the test rows, for several seeds.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from functools import partial
from itertools import product
from pathlib import Path

import click
import numpy as np
from common import PATH, Goal, cache_option, output_option, reference_bundle, write_result

from textgate.bench.timing import (
    bootstrap_ratio_interval,
    measure_alternating,
    percentiles,
    ratio_of_medians,
    texts_of_length,
)
from textgate.bundle.storage import read_bundle
from textgate.inference.classifier import Classifier
from textgate.inference.engines import make_engine
from textgate.native.model import INTEGERS, VERIFIED, model_bytes
from textgate.native.session import NativeSession
from textgate.rows import load_labelled
from textgate.tables import format_ms, format_table

CELLS = ("lstm", "gru", "rnn")
LENGTHS = (10, 25, 100)
ENGINES = ("native", "onnxruntime")
WORDS = 500  # how many frequent words the texts are made of
BOUNDS = {("lstm", 10): 0.25, ("lstm", 100): 0.33, ("gru", 10): 0.25, ("gru", 100): 0.22}


@dataclass(frozen=True)
class Line:
    """Both engines on one network and one length of text.

    Attributes:
        cell: of the network.
        tokens: of the text.
        p50_ms: the median time of a call, by engine.
        ratio: the native engine's median over ONNX Runtime's, with its 95 % interval.
        largest_difference: of a probability.
    """

    cell: str
    tokens: int
    p50_ms: dict[str, float]
    ratio: tuple[float, float, float]
    largest_difference: float


def compare(cell: str, tokens: int, bundle: Path, seconds: float) -> Line:
    """Return both engines' times for one text of so many tokens."""
    stages = Classifier.load(bundle, engine="onnxruntime").stages()
    (encoded,) = stages.encode(texts_of_length(stages.words(WORDS), tokens, 1))
    theirs = make_engine(read_bundle(bundle), engine="onnxruntime", threads=1).session
    sessions = {"native": integer_session(bundle), "onnxruntime": theirs}
    calls = {engine: partial(each.read, encoded.ids) for engine, each in sessions.items()}
    found = [np.array(call()[0]) for call in calls.values()]
    p50_ms, ratio = medians(calls, seconds)
    return Line(cell, tokens, p50_ms, ratio, float(abs(found[0] - found[1]).max()))


def medians(
    calls: dict[str, Callable[[], object]], seconds: float
) -> tuple[dict[str, float], tuple[float, float, float]]:
    """Return the median time of each engine's call, and their ratio with its interval."""
    times = measure_alternating(calls, seconds=seconds)
    ours, theirs = (times[engine] for engine in ENGINES)
    p50_ms = {engine: percentiles(times[engine]).p50 for engine in ENGINES}
    return p50_ms, (ratio_of_medians(ours, theirs), *bootstrap_ratio_interval(ours, theirs))


@dataclass(frozen=True)
class Call:
    """Both engines on one call of the package's model.

    Attributes:
        what: the call.
        p50_ms: its median time, by engine.
        ratio: the native engine's median over ONNX Runtime's, with its 95 % interval.
        bound: what the ratio should be at most.
    """

    what: str
    p50_ms: dict[str, float]
    ratio: tuple[float, float, float]
    bound: float


def whole_calls(seconds: float) -> list[Call]:
    """Return both engines' times for calls of a user, tokenizing included."""
    classifiers = {engine: Classifier.load(engine=engine) for engine in ENGINES}
    words = classifiers["native"].stages().words(WORDS)
    text, batch = texts_of_length(words, 25, 1)[0], texts_of_length(words, 25, 32)
    streams = {engine: each.stream() for engine, each in classifiers.items()}
    for stream in streams.values():
        stream.feed(f"{text} ")
    kinds: dict[str, tuple[dict[str, Callable[[], object]], float]] = {
        "predict, 25 tokens": (
            {engine: partial(each.predict, text) for engine, each in classifiers.items()},
            0.3,
        ),
        "one more word of a stream": (
            {
                engine: lambda stream=stream: stream.copy().feed(f"{words[0]} ")
                for engine, stream in streams.items()
            },
            0.15,
        ),
        "predict_proba, 32 texts of 25 tokens": (
            {engine: partial(each.predict_proba, batch) for engine, each in classifiers.items()},
            0.4,
        ),
    }
    return [Call(what, *medians(calls, seconds), bound) for what, (calls, bound) in kinds.items()]


def table(lines: list[Line]) -> str:
    """Return the times as a table."""
    return format_table(
        ["cell", "tokens", "native", "ONNX Runtime", "ratio", "95 % interval", "difference"],
        [
            [
                line.cell.upper(),
                str(line.tokens),
                *(format_ms(line.p50_ms[engine]) for engine in ENGINES),
                f"{line.ratio[0]:.3f}",
                f"{line.ratio[1]:.3f} to {line.ratio[2]:.3f}",
                f"{line.largest_difference:.1g}",
            ]
            for line in lines
        ],
        align="<>>>>>>",
    )


def goals(lines: list[Line]) -> list[Goal]:
    """Return what the engine is for, and whether it is reached."""
    return [
        Goal(
            f"{line.cell.upper()}, {line.tokens} tokens: native over ONNX Runtime",
            line.ratio[0],
            BOUNDS[line.cell, line.tokens],
        )
        for line in lines
        if (line.cell, line.tokens) in BOUNDS
    ]


@dataclass(frozen=True)
class Outcome:
    """Integers of the native engine against the float32 graph, for one network.

    Attributes:
        data: the set.
        cell: of the network.
        seed: of the training.
        outcome: of the gate at export, on the dev rows.
        dev_agreement: fraction of dev rows with the same decision.
        test_rows: how many test rows there are.
        test_agreement: fraction of test rows with the same decision.
        accuracy: on the test rows, of the float32 graph and of integers.
        stored_agreement: fraction of test rows with the same decision, of the int8 graph in ONNX
            Runtime and the float32 graph.
    """

    data: str
    cell: str
    seed: int
    outcome: str
    dev_agreement: float
    test_rows: int
    test_agreement: float
    accuracy: tuple[float, float]
    stored_agreement: float


def outcome(folder: Path, cell: str, seed: int, run: Path, epochs: int | None) -> Outcome:
    """Train (or take up) a network, export it, and compare integers with the float32 graph."""
    from textgate.export import export
    from textgate.train import fit

    fit(
        folder / "train.jsonl.gz",
        run,
        dev=folder / "dev.jsonl.gz",
        preset=f"seed-{cell}",
        settings={"seed": seed} | ({"epochs": epochs} if epochs else {}),
        resume=True,
    )
    bundles = [
        export(
            run,
            run.with_suffix(f".{precision}"),
            precision=precision,
            max_accuracy_drop=1.0,
            allow_useless=True,
            force=True,
        )
        for precision in ("float32", "int8")
    ]
    rows = load_labelled(folder / "test.jsonl.gz")
    before, stored = (
        Classifier.load(done.path, engine="onnxruntime")
        .predict_proba(row.text for row in rows)
        .argmax(axis=1)
        for done in bundles
    )
    training = bundles[1].manifest.training
    encoded = Classifier.load(bundles[1].path).stages().encode([row.text for row in rows])
    session = integer_session(bundles[1].path)
    after = np.array([session.read(item.ids)[0] for item in encoded]).argmax(axis=1)
    labels = bundles[0].manifest.labels
    truth = np.array([labels.index(row.labels[0]) for row in rows])
    return Outcome(
        data=folder.name,
        cell=cell,
        seed=seed,
        outcome=str(training[INTEGERS]),
        dev_agreement=float(training[f"{INTEGERS}_agreement"]),
        test_rows=len(rows),
        test_agreement=float((before == after).mean()),
        accuracy=(float((before == truth).mean()), float((after == truth).mean())),
        stored_agreement=float((before == stored).mean()),
    )


def integer_model(path: Path) -> bytes:
    """Return the engine's form of a bundle in integers, whatever the gate at export said."""
    bundle = read_bundle(path)
    manifest = replace(bundle.manifest, training={INTEGERS: VERIFIED})
    return model_bytes(bundle.parts, manifest)


def integer_session(path: Path) -> NativeSession:
    """Return the native engine of a bundle in integers."""
    return NativeSession(integer_model(path))


def outcome_table(outcomes: list[Outcome]) -> str:
    """Return what integers cost as a table."""
    return format_table(
        [
            "data",
            "cell",
            "seed",
            "gate",
            "dev agreement",
            "test agreement",
            "int8 graph's",
            "accuracy",
            "drop",
        ],
        [
            [
                one.data,
                one.cell.upper(),
                str(one.seed),
                one.outcome,
                f"{one.dev_agreement:.2%}",
                f"{one.test_agreement:.2%}",
                f"{one.stored_agreement:.2%}",
                f"{one.accuracy[0]:.4f}",
                f"{100 * (one.accuracy[0] - one.accuracy[1]):+.2f}",
            ]
            for one in outcomes
        ],
        align="<<><>>>>>",
    )


@click.command()
@click.option("--data", type=PATH, help="Folder of sets: measure integers, not time.")
@click.option("--sets", default="sst2,trec,banking77", show_default=True)
@click.option("--seeds", default="0,1,2", show_default=True)
@click.option("--epochs", type=int, help="In place of the preset's.")
@click.option("--seconds", default=5.0, show_default=True, help="Time for a network and length.")
@cache_option("reference")
@output_option("native")
def main(
    data: Path | None,
    sets: str,
    seeds: str,
    epochs: int | None,
    seconds: float,
    cache: Path,
    output: Path,
) -> None:
    """Time both engines, or measure what integers cost."""
    if data is not None:
        outcomes = []
        for name, cell, seed in product(sets.split(","), ("gru", "rnn"), seeds.split(",")):
            run = cache / f"{name}-{cell}-{seed}.run"
            outcomes.append(outcome(data / name, cell, int(seed), run, epochs))
        output = output.with_stem(f"{output.stem}_integers")
        write_result(output, {"outcomes": [asdict(one) for one in outcomes]})
        print(outcome_table(outcomes))
        return
    lines = [
        compare(cell, tokens, bundle, seconds)
        for cell in CELLS
        for bundle in [reference_bundle(cache, f"seed-{cell}")]
        for tokens in LENGTHS
    ]
    calls = whole_calls(seconds)
    reached = goals(lines)
    reached += [
        Goal(f"{one.what}: native over ONNX Runtime", one.ratio[0], one.bound) for one in calls
    ]
    values = {"lines": [asdict(line) for line in lines], "calls": [asdict(one) for one in calls]}
    write_result(output, values, reached)
    print(table(lines), "", *reached, sep="\n")


if __name__ == "__main__":
    main()
