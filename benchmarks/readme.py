"""Write the tables and pictures from the results, or check that they are what the results say.

    python benchmarks/readme.py            # rewrite README.md, benchmarks/README.md, the pictures
    python benchmarks/readme.py --check    # exit 1 if one of them would change

Each table stands between `<!-- begin NAME -->` and `<!-- end NAME -->`. The results come from:

    textgate compare ... -o quickstart     # the README's first command, then
    cp quickstart/comparison.json benchmarks/results/quickstart.json
    python benchmarks/quantization.py --data DATA
    make benchmarks                        # the others

A block without results says that it was not measured yet.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import click
import memory_report
import pareto_report
import peers_report
import readme_results
from readme_accuracy import (
    ablation,
    accuracy,
    first,
    footprint,
    quantization,
    quickstart,
    sentiment,
    sentiment_now,
    students,
)
from readme_results import NOT_YET, goal_lines, measured, result_or_none, where

from textgate.cli.inspect import layer_table
from textgate.tables import markdown_table
from textgate.train import PRESETS

ROOT = Path(__file__).parent.parent


@click.command()
@click.option("--check", is_flag=True, help="Change nothing; exit 1 if something would change.")
def main(check: bool) -> None:
    """Write the tables and the pictures from the results."""
    stale = []
    for path, text in [*pages(), *pictures()]:
        before = path.read_text(encoding="utf-8") if path.exists() else None
        if before == text:
            continue
        stale.append(str(path.relative_to(ROOT)))
        if text is None:
            click.echo(f"{stale[-1]}: its results are gone; remove it", err=True)
        elif not check:
            path.write_text(text, encoding="utf-8")
    if check and stale:
        click.echo(
            f"{', '.join(stale)}: not what the results say; run python benchmarks/readme.py",
            err=True,
        )
        sys.exit(1)


def pages() -> Iterator[tuple[Path, str]]:
    """Yield every page with its blocks rewritten."""
    for page, blocks in BLOCKS.items():
        path = ROOT / page
        text = path.read_text(encoding="utf-8")
        for name, make in blocks.items():
            pattern = rf"(<!-- begin {name} -->\n).*?(<!-- end {name} -->)"
            if not re.search(pattern, text, re.DOTALL):
                raise click.ClickException(f"{page} has no block {name!r}")
            made = make()
            text = re.sub(
                pattern,
                lambda found, made=made: f"{found[1]}{made}\n{found[2]}",
                text,
                flags=re.DOTALL,
            )
        yield path, text


def pictures() -> Iterator[tuple[Path, str | None]]:
    """Yield every picture; None for one that has no results."""
    for name, (result, draw) in PICTURES.items():
        found = result_or_none(result)
        yield readme_results.RESULTS / f"{name}.svg", None if found is None else draw(found)


def inspect() -> str:
    """Return what `textgate inspect` prints of the reference LSTM."""
    config = PRESETS["seed-lstm"]
    network = config.architecture(
        vocabulary_size=config.vocabulary_size, label_count=2, task="single-label"
    )
    return f"```\n{layer_table(network)}\n```"


def production() -> str:
    """Return what the runtime's benchmarks came to beside their goals."""
    rows = []
    machines = []
    for name in ("startup", "overhead", "throughput", "streaming", "soak"):
        result = result_or_none(name)
        if result is None:
            continue
        machines.append(where(result))
        rows.extend([f"`{name}.py`", *line] for line in goal_lines(result))
    if not rows:
        return NOT_YET.format("startup.py")
    header = ["script", "what", "measured", "goal", "reached"]
    return "\n\n".join([markdown_table(header, rows, align="<<>><"), *dict.fromkeys(machines)])


@measured("training")
def training(result: dict[str, Any]) -> str:
    """Return how fast training is beside the usual loop."""
    rates = result["rows_per_second"]
    low, high = result["ratio_tenth_to_ninetieth"]
    return (
        f"On {result['rows']:,} rows of {result['data']} with a batch size of "
        f"{result['batch_size']} and {result['threads']} thread: {rates['textgate']:,.0f} rows a "
        f"second against {rates['packed']:,.0f}, a ratio of medians of {result['ratio']:.2f} "
        f"({low:.2f} to {high:.2f} in eight turns of ten; goal: at least {result['goal']:g}).\n\n"
        f"{where(result)}"
    )


@measured("memory_of_cells")
def memory(result: dict[str, Any]) -> str:
    """Return how far back cells remember and what they cost."""
    shown = "\n".join(
        f"![{title}](results/{name}.svg)"
        for name, title in (
            ("memory_of_cells-accuracy", "Accuracy by gap"),
            ("memory_of_cells-gradient", "Gradient by distance, before training"),
            ("memory_of_cells-gradient-trained", "Gradient by distance, after training"),
        )
    )
    return f"{memory_report.tables(result)}\n\n{shown}\n\n{where(result)}"


@measured("latency_peers")
def peers(result: dict[str, Any]) -> str:
    """Return the reference networks beside their peers."""
    shown = "![Time of one text, by peer](results/latency_peers.svg)"
    header = ["what", "measured", "goal", "reached"]
    reached = markdown_table(header, goal_lines(result), align="<><<")
    return f"{peers_report.tables(result)}\n\n{reached}\n\n{shown}\n\n{where(result)}"


def costs() -> str:
    """Return the pictures of accuracy against time and size and of the peers' times, in a row."""
    shown = [
        (name, about)
        for name, about in (
            ("pareto", "Accuracy against the time of a text and against the size of the model"),
            ("latency_peers", "Time of one text, beside what else could be used"),
        )
        if result_or_none(name) is not None
    ]
    if not shown:
        return NOT_YET.format("pareto.py")
    images = " ".join(
        f'<img src="benchmarks/results/{name}.svg" alt="{about}" width="48%" align="top">'
        for name, about in shown
    )
    told = "; ".join(f"{about[0].lower()}{about[1:]}" for _, about in shown)
    told = f"{told[0].upper()}{told[1:]}"
    return f"{images}\n\n{told}: the figures are in [benchmarks/README.md](benchmarks/README.md)."


@measured("pareto")
def pareto(result: dict[str, Any]) -> str:
    """Return accuracy against time and size."""
    shown = "![Accuracy against time and size](results/pareto.svg)"
    return f"{pareto_report.tables(result)}\n\n{shown}\n\n{where(result)}"


BLOCKS = {
    "README.md": {
        "first": first,
        "quickstart": quickstart,
        "footprint": footprint,
        "inspect": inspect,
        "accuracy": accuracy,
        "costs": costs,
        "quantization": quantization,
    },
    "benchmarks/README.md": {
        "production": production,
        "students": students,
        "ablation": ablation,
        "training": training,
        "pareto": pareto,
        "peers": peers,
        "memory": memory,
    },
    "benchmarks/default_model/README.md": {"sentiment_now": sentiment_now},
    "runtime/models/sentiment/README.md": {"sentiment": sentiment},
}
PICTURES: dict[str, tuple[str, Callable[[dict[str, Any]], str]]] = {
    "latency_peers": ("latency_peers", peers_report.picture),
    "pareto": ("pareto", pareto_report.drawing),
    "memory_of_cells-accuracy": ("memory_of_cells", memory_report.accuracy_picture),
    "memory_of_cells-gradient": (
        "memory_of_cells",
        partial(memory_report.gradient_picture, trained=False),
    ),
    "memory_of_cells-gradient-trained": (
        "memory_of_cells",
        partial(memory_report.gradient_picture, trained=True),
    ),
}

if __name__ == "__main__":
    main()
