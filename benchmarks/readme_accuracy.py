"""The blocks of the pages that say how right networks are."""

from __future__ import annotations

import statistics
from collections import Counter
from typing import Any

import ablation as ablation_results
import sentiment as sentiment_results
from readme_results import measured, read_result, where

from textgate.tables import format_bytes, format_count, format_ms, markdown_table


def quickstart() -> str:
    """Return the table that the first command prints, and on what machine."""
    result = read_result("quickstart")
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
    return f"{table}\n\n{where(result)}"


@measured("footprint")
def footprint(result: dict[str, Any]) -> str:
    """Return what an installation of the runtime takes on disk."""
    sizes = dict(result["bytes"])
    own = sizes.pop("textgate")
    largest = sorted(sizes, key=lambda name: -sizes[name])[:2]
    return (
        f"`pip install` puts {format_bytes(own)} of textgate on the disk, the sentiment model "
        f"included. Its four dependencies and what they depend on are {len(sizes)} packages of "
        f"{format_bytes(sum(sizes.values()))}, of which {largest[0]} has "
        f"{format_bytes(sizes[largest[0]])} and {largest[1]} {format_bytes(sizes[largest[1]])} "
        f"(`python benchmarks/footprint.py`, {result['machine']['system'].partition('-')[0]}, "
        f"{result['machine']['architecture']})."
    )


def quantization() -> str:
    """Return bytes and accuracy by set and cell, and times by cell and length."""
    result = read_result("quantization")
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
    return f"{accuracy}\n\n{times}\n\n{where(result)}"


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
    return f"{table}\n\n{told} {where(result)}"


@measured("students")
def students(result: dict[str, Any]) -> str:
    """Return what more than labelled rows is worth, by set."""
    rows = [
        [
            one["data"],
            _extras(one["with"]),
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
    return f"{markdown_table(header, rows, align='<<>>>>')}\n\n{where(result)}"


@measured("sentiment_now")
def sentiment_now(result: dict[str, Any]) -> str:
    """Return how the sentiment model does when the recipe of now makes it, by domain."""
    header, rows, align = sentiment_results.domain_table(result)
    return f"{markdown_table(header, rows, align=align)}\n\n{where(result)}"


@measured("ablation")
def ablation(result: dict[str, Any]) -> str:
    """Return what the default recipe loses or gains by each part, by set."""
    sets, rows = ablation_results.by_variant(result["runs"])
    table = markdown_table(["", *sets], rows, align="<" + ">" * len(sets))
    count = len({run["seed"] for run in result["runs"]})
    seeds = "one seed" if count == 1 else f"the mean of {count} seeds"
    return (
        f"{table}\n\nAccuracy on dev, {seeds}, and the calibrated log loss of the chosen epoch; in "
        "brackets how much more of it than the recipe has: below 0 the recipe is the worse one. "
        f"{where(result)}"
    )


@measured("sentiment")
def sentiment(result: dict[str, Any]) -> str:
    """Return how the package's own model does, by domain and kind of behaviour."""
    return f"{sentiment_results.markdown(result)}\n\n{where(result)}"


@measured("sentiment")
def first(result: dict[str, Any]) -> str:
    """Return what the README's first command answered."""
    lines = [f"{one['label']}\t{one['score']:.4f}\t{one['text']}" for one in result["first"]]
    return "\n".join(["```text", *lines, "```"])


def _extras(given: dict[str, list[str]]) -> str:
    """Return what a student had, in words; what it had several times is named once."""
    return "; ".join(
        f"{kind}: "
        + ", ".join(
            name if count == 1 else f"{name} ({count} times)"
            for name, count in Counter(names).items()
        )
        for kind, names in given.items()
        if names
    )
