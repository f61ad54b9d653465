"""The native engine beside ONNX Runtime: reference networks in int8, one text, one thread.

Both engines run the same token ids in alternation. The ratio is that of the medians.

    python benchmarks/native.py
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

import click
from common import Goal, cache_option, output_option, reference_bundle, write_result

from textgate.bench.timing import (
    bootstrap_ratio_interval,
    measure_alternating,
    percentiles,
    ratio_of_medians,
    texts_of_length,
)
from textgate.inference.classifier import Classifier
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
    calls, found = {}, []
    for engine in ENGINES:
        stages = Classifier.load(bundle, engine=engine).stages()
        encoded = stages.encode(texts_of_length(stages.words(WORDS), tokens, 1))
        calls[engine] = lambda stages=stages, encoded=encoded: stages.run(encoded)
        found.append(calls[engine]())
    times = measure_alternating(calls, seconds=seconds)
    ours, theirs = (times[engine] for engine in ENGINES)
    return Line(
        cell=cell,
        tokens=tokens,
        p50_ms={engine: percentiles(times[engine]).p50 for engine in ENGINES},
        ratio=(ratio_of_medians(ours, theirs), *bootstrap_ratio_interval(ours, theirs)),
        largest_difference=float(abs(found[0] - found[1]).max()),
    )


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


@click.command()
@click.option("--seconds", default=5.0, show_default=True, help="Time for a network and length.")
@cache_option("reference")
@output_option("native")
def main(seconds: float, cache: Path, output: Path) -> None:
    """Time both engines."""
    lines = [
        compare(cell, tokens, bundle, seconds)
        for cell in CELLS
        for bundle in [reference_bundle(cache, f"seed-{cell}")]
        for tokens in LENGTHS
    ]
    write_result(output, {"lines": [asdict(line) for line in lines]}, goals(lines))
    print(table(lines), "", *goals(lines), sep="\n")


if __name__ == "__main__":
    main()
