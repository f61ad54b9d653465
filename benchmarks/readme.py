"""Write the README's tables from the results, or check that they are what the results say.

    python benchmarks/readme.py            # rewrite README.md
    python benchmarks/readme.py --check    # exit 1 if it would change

Each table stands between `<!-- begin NAME -->` and `<!-- end NAME -->`. The results come from:

    textgate compare ... -o quickstart     # the README's first command, then
    cp quickstart/comparison.json benchmarks/results/quickstart.json
    python benchmarks/quantization.py --data DATA
"""

from __future__ import annotations

import json
import re
import statistics
import sys
from pathlib import Path
from typing import Any

import click

from textgate.cli.inspect import layer_table
from textgate.tables import format_bytes, format_count, format_ms, markdown_table
from textgate.train import PRESETS

ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "benchmarks" / "results"


@click.command()
@click.option("--check", is_flag=True, help="Change nothing; exit 1 if something would change.")
def main(check: bool) -> None:
    """Write the README's tables from the results."""
    path = ROOT / "README.md"
    before = path.read_text(encoding="utf-8")
    after = before
    for name, make in BLOCKS.items():
        pattern = rf"(<!-- begin {name} -->\n).*?(<!-- end {name} -->)"
        if not re.search(pattern, after, re.DOTALL):
            raise click.ClickException(f"README.md has no block {name!r}")
        text = make()
        after = re.sub(
            pattern,
            lambda found, text=text: f"{found[1]}{text}\n{found[2]}",
            after,
            flags=re.DOTALL,
        )
    if check and after != before:
        click.echo(
            "README.md is not what the results say; run python benchmarks/readme.py", err=True
        )
        sys.exit(1)
    if not check:
        path.write_text(after, encoding="utf-8")


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


BLOCKS = {"quickstart": quickstart, "inspect": inspect, "quantization": quantization}

if __name__ == "__main__":
    main()
