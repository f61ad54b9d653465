"""What the pages say of the results: a block is a result, and the tables and sentences made of it.

Cells and sentences are templates that a row or the result fills in; besides Python's own formats
they know `count`, `size` (of bytes), `ms` (of milliseconds) and `list`. The scripts print the same
blocks when they have measured.
"""

from __future__ import annotations

import json
import statistics
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from string import Formatter
from typing import Any

from textgate.tables import format_bytes, format_count, format_ms, markdown_table

RESULTS = Path(__file__).parent / "results"
CELLS = ("lstm", "gru", "rnn")  # the RNN last: it is missing where gates are set
BEGINNINGS = {
    "reference": "weights begin as textgate's do",
    "torch": "weights begin as torch's do",
    "long gates": "gates begin open for the gap",
}
DOMAINS = {
    "sst2": "sentences about movies",
    "mr": "sentences about movies",
    "imdb": "reviews of movies",
    "vader_amazon": "sentences about products",
    "vader_tweets": "tweets",
}
_SAME = 1.02  # a ratio of times below which neither is called the faster
_GOOD = 0.95  # accuracy from which a gap counts as bridged

Result = Mapping[str, Any]
Part = Callable[[Result], str]


class _Templates(Formatter):
    def format_field(self, value: Any, format_spec: str) -> Any:
        kinds = {"count": format_count, "upper": str.upper, "ms": format_ms, "list": ", ".join}
        if format_spec == "size":
            return format_bytes(round(value))
        return kinds[format_spec](value) if format_spec in kinds else format(value, format_spec)


def filled(template: str, values: Result) -> str:
    """Return a template with the values in it."""
    return _Templates().vformat(template, (), values)


@dataclass(frozen=True)
class Block:
    """What is said of a result.

    Attributes:
        result: its name in `results/`.
        parts: templates, and functions of the result; an empty part is left out.
        pictures: drawings to show on a page: name in `results/` and title.
    """

    result: str
    parts: tuple[str | Part, ...]
    pictures: tuple[tuple[str, str], ...] = ()

    def text(self, result: Result, *, on_page: bool = False) -> str:
        """Return the block's text, with the pictures and the machine where it is on a page."""
        parts = list(self.parts)
        if on_page and self.pictures:
            shown = (f"![{title}](results/{name}.svg)" for name, title in self.pictures)
            parts += ["\n".join(shown), WHERE]
        return joined(*parts)(result)

    def on_page(self) -> str:
        """Return the block's text for a page, or that there is no result yet."""
        result = read_result(self.result)
        if result is None:
            return not_yet(self.result)
        return self.text(result, on_page=True)


def table(
    rows: str | Callable[[Result], Iterable[Result]], header: str, cells: str, align: str = ""
) -> Part:
    """Return what makes a table.

    Args:
        rows: where the result has them, or what makes them of the result.
        header: template of the titles, parted by " | "; "@" stands for the names in a row's "each".
        cells: template of a row, parted in the same way; "@" stands for the values in its "each".
        align: of each column, the last one for all that follow.
    """

    def made(result: Result) -> str:
        listed = list(rows(result) if callable(rows) else result[rows])
        if not listed:
            return ""
        titles = _spread_out(header, result, list(listed[0].get("each", ())))
        lines = [_spread_out(cells, row, list(row.get("each", {}).values())) for row in listed]
        sides = align.ljust(len(titles), align[-1]) if align else None
        return markdown_table(titles, lines, align=sides)

    return made


def _spread_out(templates: str, values: Result, each: list[str]) -> list[str]:
    parts = templates.split(" | ")
    return [text for part in parts for text in (each if part == "@" else [filled(part, values)])]


def read_result(name: str) -> dict[str, Any] | None:
    """Return a result; None if it was not measured yet."""
    path = RESULTS / f"{name}.json"
    if not path.exists():
        return None
    result: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return result


def not_yet(name: str) -> str:
    """Return what is said where a result is missing."""
    return f"Not measured yet: `python benchmarks/{name}.py`."


def joined(*parts: str | Part, by: str = "\n\n") -> Part:
    """Return what makes one part of several, without the empty ones."""

    def made(result: Result) -> str:
        found = [filled(one, result) if isinstance(one, str) else one(result) for one in parts]
        return by.join(part for part in found if part)

    return made


def noisy(what: str) -> Part:
    """Return what warns of a result that was measured while the machine did something else."""
    told = f"**Measured on a noisy machine**: the {what} may hold, the times do not."
    return lambda result: told if result["noise"]["reasons"] else ""


WHERE = (
    "Measured on {machine[processor]} ({machine[features]:list}), {machine[cpus]} CPUs, "
    "onnxruntime {machine[versions][onnxruntime]}."
)
_SPREADS = (
    "{accuracy[mean]:.4f} ± {accuracy[standard_deviation]:.4f} | "
    "{macro_f1[mean]:.4f} ± {macro_f1[standard_deviation]:.4f}"
)
_INTERVAL = "{low:.3f} to {high:.3f}"


def _goals(result: Result) -> list[dict[str, Any]]:
    return [
        {
            **goal,
            "side": "at least" if goal["at_least"] else "at most",
            "told": "yes" if goal["reached"] else "**no**",
        }
        for goal in result.get("goals", [])
    ]


_GOALS = ("what | measured | goal | reached", "{what} | {value:.3f} | {side} {bound:.3g} | {told}")
goals = table(_goals, *_GOALS, "<><<")


def production() -> str:
    """Return what the runtime's benchmarks came to beside their goals."""
    rows, machines = [], []
    for name in ("startup", "overhead", "throughput", "streaming", "soak"):
        if (result := read_result(name)) is not None:
            machines.append(filled(WHERE, result))
            rows += [{"script": name, **goal} for goal in _goals(result)]
    if not rows:
        return not_yet("startup")
    header, cells = f"script | {_GOALS[0]}", f"`{{script}}.py` | {_GOALS[1]}"
    made = table("rows", header, cells, "<<>><")({"rows": rows})
    return "\n\n".join([made, *dict.fromkeys(machines)])


def _installed(result: Result) -> str:
    sizes = dict(result["bytes"])
    values = {"own": sizes.pop("textgate"), "count": len(sizes), "all": sum(sizes.values())}
    largest = sorted(sizes, key=lambda name: -sizes[name])[:2]
    values |= {"names": largest, "sizes": [sizes[name] for name in largest]}
    values["system"] = result["machine"]["system"].partition("-")[0]
    return filled(
        "`pip install` puts {own:size} of textgate on the disk, the sentiment model included. Its "
        "four dependencies and what they depend on are {count} packages of {all:size}, of which "
        "{names[0]} has {sizes[0]:size} and {names[1]} {sizes[1]:size} (`python "
        "benchmarks/footprint.py`, {system}, {architecture}).",
        {**values, "architecture": result["machine"]["architecture"]},
    )


def _first(result: Result) -> str:
    lines = [filled("{label}\t{score:.4f}\t{text}", one) for one in result["first"]]
    return "\n".join(["```text", *lines, "```"])


# Accuracy


def _accuracy_rows(result: Result) -> Iterable[Result]:
    names = dict.fromkeys(one["system"] for found in result["sets"] for one in found["peers"])
    for found in result["sets"]:
        shown = "{accuracy:.4f} ({macro_f1:.4f})"
        peers = {one["system"]: filled(shown, one) for one in found["peers"]}
        yield {**found, **found["textgate"], "each": dict.fromkeys(names, "-") | peers}


def _accuracy_told(result: Result) -> str:
    wins = [
        f"{one['system']} is the more accurate one on {found['data']}"
        for found in result["sets"]
        for one in found["peers"]
        if one["accuracy"] > found["textgate"]["accuracy"]["mean"]
    ]
    told = f"{'; '.join(wins)}." if wins else "No peer is more accurate on any of them."
    return f"{told} {filled(WHERE, result)}"


def _student_rows(result: Result) -> Iterable[Result]:
    return ({**one, **one["textgate"], "had": extras(one["with"])} for one in result["sets"])


def extras(given: Mapping[str, Sequence[str]]) -> str:
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


def variants(result: Result) -> list[dict[str, Any]]:
    """Return for each variant its name, and what it is like on each set (in "each").

    That is accuracy and log loss on dev, means over seeds, and how much more of the latter it has
    than the first variant.
    """
    runs = result["runs"]
    names, ablated = (
        list(dict.fromkeys(str(run[key]) for run in runs)) for key in ("variant", "data")
    )

    def mean(variant: str, data: str, what: str) -> float:
        return statistics.fmean(
            run[what] for run in runs if (run["variant"], run["data"]) == (variant, data)
        )

    rows = []
    for name in names:
        sets = {}
        for data in ablated:
            accuracy, loss = mean(name, data, "accuracy"), mean(name, data, "log_loss")
            more = loss - mean(names[0], data, "log_loss")
            sets[data] = f"{accuracy:.4f}, {loss:.4f}" + (
                "" if name == names[0] else f" ({more:+.4f})"
            )
        rows.append({"variant": name, "each": sets})
    return rows


def _ablation_told(result: Result) -> str:
    count = len({run["seed"] for run in result["runs"]})
    seeds = "one seed" if count == 1 else f"the mean of {count} seeds"
    return (
        f"Accuracy on dev, {seeds}, and the calibrated log loss of the chosen epoch; in "
        "brackets how much more of it than the recipe has: below 0 the recipe is the worse one. "
        f"{filled(WHERE, result)}"
    )


def _domain_rows(result: Result) -> Iterable[Result]:
    for name, one in result["domains"].items():
        seeds = one["seeds"]
        spread = "one"
        if len(seeds) > 1:
            mean, deviation = statistics.fmean(seeds), statistics.stdev(seeds)
            spread = f"{mean:.4f} ± {deviation:.4f} ({len(seeds)})"
        yield {**one, "name": name, "about": DOMAINS[name], "spread": spread}


def _behaviour_rows(result: Result) -> Iterable[Result]:
    for one in result["behaviour"]:
        yield {**one, "share": one["failed"] / one["cases"], "one": [*one["examples"], ""][0]}


def _bundle_told(result: Result) -> str:
    times = ", ".join(f"{format_ms(ms)} for {n} tokens" for n, ms in result["milliseconds"].items())
    return f"{format_bytes(result['bytes'])}; on one core {times}."


def _quantized_rows(result: Result) -> Iterable[Result]:
    scored = result["scored"]
    for data, cell in dict.fromkeys((row["data"], row["cell"]) for row in scored):
        group = [row for row in scored if (row["data"], row["cell"]) == (data, cell)]
        after = [row["int8_accuracy"] for row in group]
        yield {
            **group[0],
            "seeds": len(group),
            "before": statistics.mean(row["float32_accuracy"] for row in group),
            "after": statistics.mean(after),
            "deviation": statistics.pstdev(after),
            "same": statistics.mean(row["agreement"] for row in group),
            "ratio": group[0]["int8_bytes"] / group[0]["float32_bytes"],
        }


# Name in the README's first table, name in `accuracy` and `pareto`, entry in `latency_peers`.
_RIVALS = (
    ("**textgate**, int8", "textgate", "default"),
    ("TF-IDF and logistic regression", "TF-IDF", "TF-IDF, logistic regression"),
    ("fastText", "fastText", "fastText"),
    ("MiniLM-L6, int8", "MiniLM", "transformer 6x384 int8"),
)


def why() -> str:
    """Return the table of textgate and its rivals: accuracy, size, time and memory."""
    accuracy, points, peers = map(read_result, ("accuracy", "pareto", "latency_peers"))
    if not (accuracy and points and peers):
        return not_yet("accuracy")
    sets = accuracy["sets"]
    scores = {"textgate": [one["textgate"]["accuracy"]["mean"] for one in sets]}
    for peer in (peer for one in sets for peer in one["peers"]):
        scores.setdefault(peer["system"], []).append(peer["accuracy"])
    sizes = {point["name"]: point["bytes"] for point in points["points"]}
    same = next(one for one in sets if one["data"] == points["data"])
    sizes["textgate"] = same["textgate"]["bytes"]["mean"]
    entries = {entry["name"]: entry for entry in peers["entries"]}
    lines = [
        [
            name,
            f"{statistics.fmean(scores[system]):.4f}" if system in scores else "not measured",
            format_bytes(round(sizes[system])) if system in sizes else "not measured",
            f"{entries[entry]['times']['25']['ratios']['default'][0]:.2g} x",
            format_bytes(entries[entry]["peak_bytes"]),
        ]
        for name, system, entry in _RIVALS
    ]
    header = ["", f"accuracy, mean of {len(sets)} sets", "model", "time", "peak memory"]
    noise = "Times were measured on a noisy machine: their ratios may hold."
    told = [noise] if peers["noise"]["reasons"] else []
    return "\n\n".join([markdown_table(header, lines, align="<>>>>"), *told])


# Time


def _points(result: Result) -> Iterable[Result]:
    for point in sorted(result["points"], key=lambda point: float(point["p50"])):
        best = point["fast"] or point["small"]
        stars = {key: " *" if point[key] else "" for key in ("fast", "small")}
        yield {**point, **stars, "name": f"**{point['name']}**" if best else point["name"]}


def _lengths(result: Result) -> list[str]:
    return list(result["entries"][0]["times"])


def _bundles(result: Result) -> list[str]:
    return [entry["name"] for entry in result["entries"] if entry["is_bundle"]]


def by_time(result: Result, tokens: str) -> list[dict[str, Any]]:
    """Return the peers, the fastest first."""
    return sorted(result["entries"], key=lambda entry: float(entry["times"][tokens]["p50"]))


def _peer_rows(result: Result) -> Iterable[Result]:
    lengths, base = _lengths(result), _bundles(result)[0]
    for entry in by_time(result, lengths[0]):
        times, peak = entry["times"], entry["peak_bytes"]
        each = {f"p50, {n} tokens": format_ms(times[n]["p50"]) for n in lengths}
        for n in lengths:
            value, low, high = times[n]["ratios"][base]
            each[f"of {base}'s, {n} tokens"] = f"{value:.3g} ({low:.3g} to {high:.3g})"
        name = f"**{entry['name']}**" if entry["is_bundle"] else entry["name"]
        peak = "-" if peak is None else format_bytes(peak)
        yield {**entry, "name": name, "each": each, "peak": peak}


def _peer_table(result: Result) -> str:
    sides = f"<{'>' * (2 * len(_lengths(result)) + 2)}<"
    cells = "{name} | @ | {peak} | {installed_bytes:size} | {note}"
    return table(_peer_rows, " | @ | peak memory | installed | ", cells, sides)(result)


def _peers_told(result: Result) -> str:
    """Return who is faster than a bundle for certain, who was left out, and the versions."""
    lines = []
    for bundle in _bundles(result):
        found = []
        for tokens in _lengths(result):
            faster = [
                f"{entry['name']} ({entry['times'][tokens]['ratios'][bundle][0]:.2g})"
                for entry in by_time(result, tokens)
                if not entry["is_bundle"] and entry["times"][tokens]["ratios"][bundle][2] < 1
            ]
            found.append(f"at {tokens} tokens {', '.join(faster) or 'none'}")
        lines.append(f"Faster than {bundle}: {'; '.join(found)}.")
    if result["skipped"]:
        left_out = "; ".join(f"{name} ({why})" for name, why in result["skipped"].items())
        lines.append(f"Left out: {left_out}.")
    lines.append(noisy("ratios")(result))
    packages = ", ".join(f"{name} {version}" for name, version in result["packages"].items())
    return "\n".join(filter(None, [*lines, f"With {packages}."]))


# How far back cells remember


def accuracies(result: Result, cell: str, init: str) -> dict[int, list[float]]:
    """Return the accuracies of all seeds by gap."""
    found: dict[int, list[float]] = {}
    for each in sorted(result["recalled"], key=lambda each: int(each["gap"])):
        if (each["cell"], each["init"]) == (cell, init):
            found.setdefault(each["gap"], []).append(each["accuracy"])
    return found


def _gap_rows(result: Result) -> Iterable[Result]:
    known = {
        f"{cell.upper()}, {init}": found
        for init in BEGINNINGS
        for cell in CELLS
        if (found := accuracies(result, cell, init))
    }
    for gap in sorted({each["gap"] for each in result["recalled"]}):
        means = {name: f"{statistics.mean(found[gap]):.2f}" for name, found in known.items()}
        yield {"gap": gap, "each": means}


def _cost_rows(result: Result) -> Iterable[Result]:
    for each in result["costs"]:
        known = result["parameters"][each["cell"]]
        yield {**each, "parameters": known}


def _longest(result: Result, cell: str, init: str) -> str:
    """Return the longest gap up to which every seed answers well."""
    longest = "none"
    for gap, found in accuracies(result, cell, init).items():
        if min(found) < _GOOD:
            break
        longest = str(gap)
    return longest


def _left(result: Result, cell: str, steps: int = 100) -> float:
    """Return what is left of an untrained network's gradient so many steps back, or fewer."""
    norms: list[float] = next(
        each["norms"]
        for each in result["gradients"]
        if (each["cell"], each["init"], each["trained"]) == (cell, "reference", False)
    )
    return norms[min(steps, len(norms) - 1)]


def memory_claims(result: Result) -> str:
    """Return a paragraph on how far back each cell remembers, in figures of this result."""
    reached = [
        f"{about}: "
        + ", ".join(
            f"{cell.upper()} {_longest(result, cell, init)}"
            for cell in CELLS
            if accuracies(result, cell, init)
        )
        for init, about in BEGINNINGS.items()
    ]
    left = {cell: _left(result, cell) for cell in CELLS}
    shown = ", ".join(f"{cell.upper()} {left[cell]:.2g}" for cell in CELLS)
    lost = [cell.upper() for cell in ("lstm", "gru") if left[cell] < left["rnn"]]
    verdict = f"does not hold for the {' and the '.join(lost)}" if lost else "holds"
    return (
        f"**Memory.** The longest gap that every seed bridged ({_GOOD:.0%} right or more), within "
        f"{format_count(result['updates'])} updates, by how it began: {'; '.join(reached)}. Of "
        "the gradient, 100 steps before the loss and before training, there is left where weights "
        f"begin as textgate's do: {shown}. That a plain RNN's gradient vanishes and that of the "
        f"others is kept {verdict}: orthogonal recurrent weights carry an RNN's gradient, and a "
        "gate that begins half shut loses it at every step. How the weights begin counts beside "
        "the cell."
    )


def cost_claims(result: Result) -> str:
    """Return a paragraph on parameters and times, in figures of this result."""
    at_100 = {
        f"{each['cell']} {each['what']}": each["ratio"]
        for each in result["costs"]
        if each["tokens"] == 100
    }
    int8, known = at_100["gru int8"], result["parameters"]
    verdict = "slower than" if int8 > _SAME else "faster than" if int8 < 1 / _SAME else "as fast as"
    return filled(
        "**Cost.** A GRU has {gru:.2f} of the LSTM's parameters and an RNN {rnn:.2f}; their times "
        "do not follow. At 100 tokens a GRU takes {gru float32:.2f} of the LSTM's time in float32 "
        "and {gru int8:.2f} in int8, where it is {verdict} the LSTM, which alone has an integer "
        "kernel; an RNN takes {rnn float32:.2f} and {rnn int8:.2f}. An update in training takes "
        "{gru update:.2f} of the LSTM's time with a GRU and {rnn update:.2f} with an RNN.",
        {**at_100, "verdict": verdict, **{c: known[c] / known["lstm"] for c in ("gru", "rnn")}},
    )


_domains = table(
    _domain_rows,
    "test rows of | what they are | rows | accuracy | of all seeds | calibration error | "
    "answered | of these right",
    "{name} | {about} | {rows:,} | {accuracy:.4f} | {spread} | {ece:.3f} | {answered:.1%} | "
    "{right:.4f}",
    "<<>",
)
_quickstart = table(
    "rows",
    "network | parameters | bundle | accuracy | 95 % interval | training | "
    "p50, {rows[0][tokens]} tokens",
    "{preset} | {parameters:count} | {bundle_bytes:size} | {accuracy:.4f} | "
    "{low:.4f} to {high:.4f} | {train_seconds:.0f} s | {p50_ms:ms}",
    "<>",
)
_quantized = table(
    _quantized_rows,
    "set | cell | seeds | float32 | int8 | same decision | float32 graph | int8 graph | ratio",
    "{data} | {cell:upper} | {seeds} | {before:.4f} | {after:.4f} ± {deviation:.4f} | {same:.2%} | "
    "{float32_bytes:size} | {int8_bytes:size} | {ratio:.3f}",
    "<<>",
)
_quantized_times = table(
    "timed",
    "cell | tokens | float32 p50 | int8 p50 | ratio of medians | 95 % interval",
    "{cell:upper} | {tokens} | {float32_ms:ms} | {int8_ms:ms} | {ratio:.3f} | " + _INTERVAL,
    "<>",
)
_students = table(
    _student_rows,
    "set | with | seeds | accuracy | macro-F1 | bundle",
    f"{{data}} | {{had}} | {{seeds}} | {_SPREADS} | {{bytes[mean]:size}}",
    "<<>",
)
_behaviour = table(
    _behaviour_rows,
    "behaviour | cases | failures | one of them",
    "{group} | {cases} | {share:.1%} | {one}",
    "<>><",
)
_training = (
    "On {rows:,} rows of {data} with a batch size of {batch_size} and {threads} thread: "
    "{rows_per_second[textgate]:,.0f} rows a second against {rows_per_second[packed]:,.0f}, a "
    "ratio of medians of {ratio:.2f} ({ratio_tenth_to_ninetieth[0]:.2f} to "
    "{ratio_tenth_to_ninetieth[1]:.2f} in eight turns of ten; goal: at least {goal:g})."
)
_pareto = table(
    _points,
    " | accuracy | p50 | size",
    "{name} | {accuracy:.4f} | {p50:ms}{fast} | {bytes:size}{small}",
    "<>",
)
_pareto_told = joined(
    "On {test_rows:,} test rows of {data}, one seed; * none is both as accurate and faster "
    "(smaller).",
    noisy("order"),
    by="\n",
)
_costs = table(
    _cost_rows,
    "what | tokens | cell | parameters | p50 | of the LSTM's | 95 % interval",
    "{what} | {tokens:count} | {cell:upper} | {parameters:count} | {ms:ms} | {ratio:.3f} | "
    f"{_INTERVAL}",
    "<><>",
)
_accuracy = table(
    _accuracy_rows,
    "set | seeds | accuracy | macro-F1 | @ | calibration error | bundle",
    f"{{data}} | {{seeds}} | {_SPREADS} | @ | {{ece[mean]:.3f}} | {{bytes[mean]:size}}",
    "<>",
)
_ablation = table(variants, " | @", "{variant} | @", "<>")
_memory = table(_gap_rows, "gap | @", "{gap:count} | @")

# Block -> what it is made of.
BLOCKS = {
    "first": Block("sentiment", (_first,)),
    "quickstart": Block("quickstart", (_quickstart, WHERE)),
    "footprint": Block("footprint", (_installed,)),
    "accuracy": Block("accuracy", (_accuracy, _accuracy_told)),
    "quantization": Block("quantization", (_quantized, _quantized_times, WHERE)),
    "students": Block("students", (_students, WHERE)),
    "ablation": Block("ablation", (_ablation, _ablation_told)),
    "sentiment": Block("sentiment", (_domains, _behaviour, _bundle_told, WHERE)),
    "sentiment_now": Block("sentiment_now", (_domains, WHERE)),
    "training": Block("training", (_training, WHERE)),
    "pareto": Block(
        "pareto", (_pareto, _pareto_told), (("pareto", "Accuracy against time and size"),)
    ),
    "peers": Block(
        "latency_peers",
        (_peer_table, _peers_told, goals),
        (("latency_peers", "Time of one text, by peer"),),
    ),
    "memory": Block(
        "memory_of_cells",
        (_memory, _costs, memory_claims, cost_claims, noisy("ratios")),
        (
            ("memory_of_cells-accuracy", "Accuracy by gap"),
            ("memory_of_cells-gradient", "Gradient by distance, before training"),
            ("memory_of_cells-gradient-trained", "Gradient by distance, after training"),
        ),
    ),
}
