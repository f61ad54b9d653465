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

import json
import re
import statistics
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import click
import memory_report
import pareto_report
import peers_report
import sentiment as sentiment_results
import students as student_results

from textgate.cli.inspect import layer_table
from textgate.tables import format_bytes, format_count, format_ms, markdown_table
from textgate.train import PRESETS

ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "benchmarks" / "results"


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
        found = _measured(result)
        yield RESULTS / f"{name}.svg", None if found is None else draw(found)


def measured(name: str) -> Callable[[Callable[[dict[str, Any]], str]], Callable[[], str]]:
    """Make a block out of what writes a result down; without the result the block says so."""

    def decorated(write: Callable[[dict[str, Any]], str]) -> Callable[[], str]:
        def block() -> str:
            result = _measured(name)
            return _NOT_YET.format(f"{name}.py") if result is None else write(result)

        return block

    return decorated


def quickstart() -> str:
    """Return the table that the first command prints, and on what machine."""
    result = _result("quickstart")
    rows = [
        [
            row["preset"],
            format_count(row["parameters"]),
            format_bytes(row["bundle_bytes"]),
            f"{row['accuracy']:.4f}",
            f"{row['low']:.4f} to {row['high']:.4f}",
            f"{row['train_seconds']:.0f} s",
            format_ms(row["p50_ms"]),
        ]
        for row in result["rows"]
    ]
    tokens = result["rows"][0]["tokens"]
    header = ["network", "parameters", "bundle", "accuracy", "95 % interval", "training"]
    table = markdown_table([*header, f"p50, {tokens} tokens"], rows, align="<>>>>>>")
    return f"{table}\n\n{_where(result)}"


def inspect() -> str:
    """Return what `textgate inspect` prints of the reference LSTM."""
    config = PRESETS["seed-lstm"]
    network = config.architecture(
        vocabulary_size=config.vocabulary_size, label_count=2, task="single-label"
    )
    return f"```\n{layer_table(network)}\n```"


def quantization() -> str:
    """Return bytes and accuracy by set and cell, and times by cell and length."""
    result = _result("quantization")
    scored, timed = result["scored"], result["timed"]
    rows = []
    for data, cell in dict.fromkeys((row["data"], row["cell"]) for row in scored):
        group = [row for row in scored if (row["data"], row["cell"]) == (data, cell)]
        before = [row["float32_accuracy"] for row in group]
        after = [row["int8_accuracy"] for row in group]
        sizes = [group[0]["float32_bytes"], group[0]["int8_bytes"]]
        rows.append(
            [
                data,
                cell.upper(),
                str(len(group)),
                f"{statistics.mean(before):.4f}",
                f"{statistics.mean(after):.4f} ± {statistics.pstdev(after):.4f}",
                f"{statistics.mean(row['agreement'] for row in group):.2%}",
                format_bytes(sizes[0]),
                format_bytes(sizes[1]),
                f"{sizes[1] / sizes[0]:.3f}",
            ]
        )
    header = ["set", "cell", "seeds", "float32", "int8", "same decision"]
    accuracy = markdown_table(
        [*header, "float32 graph", "int8 graph", "ratio"], rows, align="<<>>>>>>>"
    )
    times = markdown_table(
        ["cell", "tokens", "float32 p50", "int8 p50", "ratio of medians", "95 % interval"],
        [
            [
                row["cell"].upper(),
                str(row["tokens"]),
                format_ms(row["float32_ms"]),
                format_ms(row["int8_ms"]),
                f"{row['ratio']:.3f}",
                f"{row['low']:.3f} to {row['high']:.3f}",
            ]
            for row in timed
        ],
        align="<>>>>>",
    )
    return f"{accuracy}\n\n{times}\n\n{_where(result)}"


@measured("accuracy")
def accuracy(result: dict[str, Any]) -> str:
    """Return the default recipe beside linear models, by set."""
    names = list(
        dict.fromkeys(item["system"] for found in result["sets"] for item in found["peers"])
    )
    rows, wins = [], []
    for found in result["sets"]:
        ours = found["textgate"]
        wins.extend(
            f"{item['system']} is the more accurate one on {found['data']}"
            for item in found["peers"]
            if item["accuracy"] > ours["accuracy"]["mean"]
        )
        peers = {item["system"]: item for item in found["peers"]}
        rows.append(
            [
                found["data"],
                str(found["seeds"]),
                f"{ours['accuracy']['mean']:.4f} ± {ours['accuracy']['standard_deviation']:.4f}",
                f"{ours['macro_f1']['mean']:.4f} ± {ours['macro_f1']['standard_deviation']:.4f}",
                *(
                    f"{peers[name]['accuracy']:.4f} ({peers[name]['macro_f1']:.4f})"
                    if name in peers
                    else "-"
                    for name in names
                ),
                f"{ours['ece']['mean']:.3f}",
                format_bytes(round(ours["bytes"]["mean"])),
            ]
        )
    header = ["set", "seeds", "accuracy", "macro-F1", *names, "calibration error", "bundle"]
    table = markdown_table(header, rows, align="<" + ">" * (len(header) - 1))
    told = f"{'; '.join(wins)}." if wins else "No peer is more accurate on any of them."
    return f"{table}\n\n{told} {_where(result)}"


@measured("students")
def students(result: dict[str, Any]) -> str:
    """Return what more than labelled rows is worth, by set."""
    rows = [
        [
            one["data"],
            student_results.told(one),
            str(one["seeds"]),
            *(
                f"{one['textgate'][what]['mean']:.4f} ± "
                f"{one['textgate'][what]['standard_deviation']:.4f}"
                for what in ("accuracy", "macro_f1")
            ),
            format_bytes(round(one["textgate"]["bytes"]["mean"])),
        ]
        for one in result["sets"]
    ]
    header = ["set", "with", "seeds", "accuracy", "macro-F1", "bundle"]
    return f"{markdown_table(header, rows, align='<<>>>>')}\n\n{_where(result)}"


@measured("sentiment")
def sentiment(result: dict[str, Any]) -> str:
    """Return how the package's own model does, by domain and kind of behaviour."""
    return f"{sentiment_results.markdown(result)}\n\n{_where(result)}"


@measured("sentiment")
def first(result: dict[str, Any]) -> str:
    """Return what the README's first command answered."""
    lines = [f"{one['label']}\t{one['score']:.4f}\t{one['text']}" for one in result["first"]]
    return "\n".join(["```text", *lines, "```"])


def production() -> str:
    """Return what the runtime's benchmarks came to beside their goals."""
    rows = []
    machines = []
    for name in ("startup", "overhead", "throughput", "streaming", "soak"):
        result = _measured(name)
        if result is None:
            continue
        machines.append(_where(result))
        rows.extend([f"`{name}.py`", *line] for line in _goal_lines(result))
    if not rows:
        return _NOT_YET.format("startup.py")
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
        f"{_where(result)}"
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
    return f"{memory_report.tables(result)}\n\n{shown}\n\n{_where(result)}"


@measured("latency_peers")
def peers(result: dict[str, Any]) -> str:
    """Return the reference networks beside their peers."""
    shown = "![Time of one text, by peer](results/latency_peers.svg)"
    header = ["what", "measured", "goal", "reached"]
    reached = markdown_table(header, _goal_lines(result), align="<><<")
    return f"{peers_report.tables(result)}\n\n{reached}\n\n{shown}\n\n{_where(result)}"


def costs() -> str:
    """Return the pictures of accuracy against time and size and of the peers' times, in a row."""
    shown = [
        (name, about)
        for name, about in (
            ("pareto", "Accuracy against the time of a text and against the size of the model"),
            ("latency_peers", "Time of one text, beside what else could be used"),
        )
        if _measured(name) is not None
    ]
    if not shown:
        return _NOT_YET.format("pareto.py")
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
    return f"{pareto_report.tables(result)}\n\n{shown}\n\n{_where(result)}"


def _goal_lines(result: dict[str, Any]) -> list[list[str]]:
    """Return what was to be reached, what was, and whether, a line a goal."""
    return [
        [
            goal["what"],
            f"{goal['value']:.3f}",
            f"{'at least' if goal['at_least'] else 'at most'} {goal['bound']:.3g}",
            "yes" if goal["reached"] else "**no**",
        ]
        for goal in result.get("goals", [])
    ]


def _measured(name: str) -> dict[str, Any] | None:
    """Return a result, None if it was not measured yet."""
    return _result(name) if (RESULTS / f"{name}.json").exists() else None


def _result(name: str) -> dict[str, Any]:
    result: dict[str, Any] = json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8"))
    return result


def _where(result: dict[str, Any]) -> str:
    machine = result["machine"]
    versions = machine["versions"]
    return (
        f"Measured on {machine['processor']} ({', '.join(machine['features'])}), "
        f"{machine['cpus']} CPUs, onnxruntime {versions['onnxruntime']}."
    )


_NOT_YET = "Not measured yet: `python benchmarks/{}`."
BLOCKS = {
    "README.md": {
        "first": first,
        "quickstart": quickstart,
        "inspect": inspect,
        "accuracy": accuracy,
        "costs": costs,
        "quantization": quantization,
    },
    "benchmarks/README.md": {
        "production": production,
        "students": students,
        "training": training,
        "pareto": pareto,
        "peers": peers,
        "memory": memory,
    },
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
