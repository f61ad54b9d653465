"""Write the tables and pictures of the pages from the results, or check them.

    python benchmarks/readme.py            # rewrite the pages and the pictures
    python benchmarks/readme.py --check    # exit 1 if one of them would change

A block stands between `<!-- begin NAME -->` and `<!-- end NAME -->`; see `pages/blocks.py`. A block
without a result says that it was not measured yet. The README's first table comes from

    textgate compare ... -o quickstart     # the README's first command, then
    cp quickstart/comparison.json benchmarks/results/quickstart.json
"""

from __future__ import annotations

import re
import statistics
import sys
from collections.abc import Iterator
from pathlib import Path

import click
from common import RESULTS
from pages.blocks import BLOCKS
from pages.pictures import PICTURES
from pages.templates import GOALS, MACHINE, filled, goal_rows, not_measured, read_result, table

from textgate.cli.inspect import layer_table
from textgate.tables import format_bytes, markdown_table
from textgate.train import PRESETS

ROOT = Path(__file__).parent.parent
PAGES = {
    "README.md": (
        "first", "why", "quickstart", "footprint", "accuracy_encoder", "accuracy", "costs",
    ),
    "benchmarks/README.md": ("production", "few_rows", "few_rows_languages", "tuning", "ablation"),
    "benchmarks/tables.md": ("quantization", "pareto", "peers"),
    "docs/errors.md": ("label_errors",),
    "docs/explain.md": ("explanations",),
    "docs/scale.md": ("scale",),
    "docs/serving.md": ("serve",),
    "docs/training.md": ("inspect",),
    "runtime/models/sentiment/README.md": ("sentiment", "left_out", "terms"),
    "runtime/models/toxicity/README.md": ("toxicity",),
}  # fmt: skip
PRODUCTION = ("startup", "overhead", "throughput", "streaming", "soak")
# Name in the README's first table, name in `accuracy` and `pareto`, entry in `latency_peers`.
RIVALS = (
    ("**textgate**, int8", "textgate", "default"),
    ("TF-IDF and logistic regression", "TF-IDF", "TF-IDF, logistic regression"),
    ("fastText", "fastText", "fastText"),
    ("MiniLM-L6, int8", "MiniLM", "transformer 6x384 int8"),
)
COSTS = {
    "pareto": "Accuracy against the time of a text and against the size of the model",
    "latency_peers": "Time of one text, compared with the alternatives",
}


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
            click.echo(f"{stale[-1]}: its result is gone; remove it", err=True)
        elif not check:
            path.write_text(text, encoding="utf-8")
    if check and stale:
        problem = "not what the results say; run python benchmarks/readme.py"
        click.echo(f"{', '.join(stale)}: {problem}", err=True)
        sys.exit(1)


def pages() -> Iterator[tuple[Path, str]]:
    """Yield every page with its blocks rewritten."""
    for page, names in PAGES.items():
        path = ROOT / page
        text = path.read_text(encoding="utf-8")
        for name in names:
            begin, end = f"<!-- begin {name} -->\n", f"<!-- end {name} -->"
            if not re.search(f"{begin}.*?{end}", text, re.DOTALL):
                raise click.ClickException(f"{page} has no block {name!r}")
            before, _, rest = text.partition(begin)
            made = OTHERS[name]() if name in OTHERS else BLOCKS[name].on_page()
            text = f"{before}{begin}{made}\n{end}{rest.partition(end)[2]}"
        yield path, text


def pictures() -> Iterator[tuple[Path, str | None]]:
    """Yield every picture, None for one without a result."""
    for name, draw in PICTURES.items():
        result = read_result(name)
        yield RESULTS / f"{name}.svg", None if result is None else draw(result)


def production() -> str:
    """Return the goals of the runtime's benchmarks."""
    results = {name: result for name in PRODUCTION if (result := read_result(name)) is not None}
    if not results:
        return not_measured(PRODUCTION[0])
    rows = [{"script": name, **row} for name, one in results.items() for row in goal_rows(one)]
    header, cells = f"script | {GOALS[0]}", f"`{{script}}.py` | {GOALS[1]}"
    made = table("rows", header, cells, "<<>><")({"rows": rows})
    return "\n\n".join([made, *dict.fromkeys(filled(MACHINE, one) for one in results.values())])


def why() -> str:
    """Return the table of textgate and its rivals: accuracy, size, time and memory."""
    accuracy, points, peers = map(read_result, ("accuracy", "pareto", "latency_peers"))
    if not (accuracy and points and peers):
        return not_measured("accuracy")
    sets = accuracy["sets"]
    scores = {"textgate": [one["textgate"]["accuracy"]["mean"] for one in sets]}
    for peer in (peer for one in sets for peer in one["peers"]):
        scores.setdefault(peer["system"], []).append(peer["accuracy"])
    sizes = {point["name"]: point["bytes"] for point in points["points"]}
    for one in sets:
        if one["data"] == points["data"]:
            sizes["textgate"] = one["textgate"]["bytes"]["mean"]
    entries = {entry["name"]: entry for entry in peers["entries"]}
    lines = [
        [
            name,
            f"{statistics.fmean(scores[system]):.4f}" if system in scores else "not measured",
            format_bytes(round(sizes[system])) if system in sizes else "not measured",
            f"{entries[entry]['times']['25']['ratios']['default'][0]:.2g} x",
            format_bytes(entries[entry]["peak_bytes"]),
        ]
        for name, system, entry in RIVALS
        if entry in entries
    ]
    header = ["", f"accuracy, mean of {len(sets)} sets", "model", "time", "peak memory"]
    noise = "Times were measured on a noisy machine: their ratios may hold."
    told = [noise] if peers["noise"]["reasons"] else []
    return "\n\n".join([markdown_table(header, lines, align="<>>>>"), *told])


def inspect() -> str:
    """Return the output of `textgate inspect` for the reference LSTM."""
    config = PRESETS["seed-lstm"]
    network = config.architecture(
        vocabulary_size=config.vocabulary_size, label_count=2, task="single-label"
    )
    return f"```\n{layer_table(network)}\n```"


def costs() -> str:
    """Return the pictures of accuracy against time and size and of the peers' times, in a row."""
    shown = {name: title for name, title in COSTS.items() if read_result(name) is not None}
    if not shown:
        return not_measured("pareto")
    images = " ".join(
        f'<img src="benchmarks/results/{name}.svg" alt="{title}" width="48%" align="top">'
        for name, title in shown.items()
    )
    titles = "; ".join(f"{title[0].lower()}{title[1:]}" for title in shown.values())
    page = "[benchmarks/README.md](benchmarks/README.md)"
    return f"{images}\n\n{titles[0].upper()}{titles[1:]}: the figures are in {page}."


# Blocks that are not made of one result.
OTHERS = {"inspect": inspect, "costs": costs, "production": production, "why": why}

if __name__ == "__main__":
    main()
