"""Write the tables and pictures from the results, or check that they are what the results say.

    python benchmarks/readme.py            # rewrite the pages and the pictures
    python benchmarks/readme.py --check    # exit 1 if one of them would change

A block stands between `<!-- begin NAME -->` and `<!-- end NAME -->`; see `blocks.py`. A block
without a result says that it was not measured yet. The README's first table comes from

    textgate compare ... -o quickstart     # the README's first command, then
    cp quickstart/comparison.json benchmarks/results/quickstart.json
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import blocks
import click
from pictures import PICTURES

from textgate.cli.inspect import layer_table
from textgate.train import PRESETS

ROOT = Path(__file__).parent.parent
PAGES = {
    "README.md": ("first", "why", "quickstart", "footprint", "accuracy", "costs"),
    "benchmarks/README.md": ("production", "training", "ablation", "students"),
    "benchmarks/tables.md": ("quantization", "pareto", "peers", "memory"),
    "benchmarks/default_model/README.md": ("sentiment_now",),
    "docs/training.md": ("inspect",),
    "runtime/models/sentiment/README.md": ("sentiment",),
}  # fmt: skip
COSTS = {
    "pareto": "Accuracy against the time of a text and against the size of the model",
    "latency_peers": "Time of one text, beside what else could be used",
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
            click.echo(f"{stale[-1]}: its results are gone; remove it", err=True)
        elif not check:
            path.write_text(text, encoding="utf-8")
    if check and stale:
        told = "not what the results say; run python benchmarks/readme.py"
        click.echo(f"{', '.join(stale)}: {told}", err=True)
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
            made = OTHERS[name]() if name in OTHERS else blocks.BLOCKS[name].on_page()
            text = f"{before}{begin}{made}\n{end}{rest.partition(end)[2]}"
        yield path, text


def pictures() -> Iterator[tuple[Path, str | None]]:
    """Yield every picture; None for one that has no results."""
    for name, (source, draw) in PICTURES.items():
        result = blocks.read_result(source)
        yield blocks.RESULTS / f"{name}.svg", None if result is None else draw(result)


def inspect() -> str:
    """Return what `textgate inspect` prints of the reference LSTM."""
    config = PRESETS["seed-lstm"]
    network = config.architecture(
        vocabulary_size=config.vocabulary_size, label_count=2, task="single-label"
    )
    return f"```\n{layer_table(network)}\n```"


def costs() -> str:
    """Return the pictures of accuracy against time and size and of the peers' times, in a row."""
    shown = {name: about for name, about in COSTS.items() if blocks.read_result(name) is not None}
    if not shown:
        return blocks.not_yet("pareto")
    images = " ".join(
        f'<img src="benchmarks/results/{name}.svg" alt="{about}" width="48%" align="top">'
        for name, about in shown.items()
    )
    told = "; ".join(f"{about[0].lower()}{about[1:]}" for about in shown.values())
    told = f"{told[0].upper()}{told[1:]}"
    return f"{images}\n\n{told}: the figures are in [benchmarks/README.md](benchmarks/README.md)."


# Blocks that are not made of one result.
OTHERS = {
    "inspect": inspect, "costs": costs, "production": blocks.production, "why": blocks.why,
}  # fmt: skip

if __name__ == "__main__":
    main()
