"""Blocks of the pages: the tables and sentences about each result."""

from __future__ import annotations

import statistics
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import Any

from pages.templates import MACHINE, Block, Result, filled, goals, joined, noise_warning, table

from textgate.bundle.storage import bundle_bytes
from textgate.tables import format_bytes, format_ms

MODELS = Path(__file__).parents[2] / "runtime" / "models"
DOMAINS = {
    "sst2": "sentences about movies",
    "mr": "sentences about movies",
    "imdb": "reviews of movies",
    "vader_amazon": "sentences about products",
    "vader_tweets": "tweets",
}
_INTERVAL = "{low:.3f} to {high:.3f}"
_SPREADS = (
    "{accuracy[mean]:.4f} ± {accuracy[standard_deviation]:.4f} | "
    "{macro_f1[mean]:.4f} ± {macro_f1[standard_deviation]:.4f}"
)


# The README's examples and the installation


def _first(result: Result) -> str:
    lines = [filled("{label}\t{score:.4f}\t{text}", one) for one in result["first"]]
    return "\n".join(["```text", *lines, "```"])


_quickstart = table(
    "rows",
    "network | parameters | bundle | accuracy | 95 % interval | training | "
    "p50, {rows[0][tokens]} tokens",
    "{preset} | {parameters:count} | {bundle_bytes:size} | {accuracy:.4f} | "
    "{low:.4f} to {high:.4f} | {train_seconds:.0f} s | {p50_ms:ms}",
    "<>",
)


def _installed(result: Result) -> str:
    sizes = dict(result["bytes"])
    values = {"own": sizes.pop("textgate"), "count": len(sizes), "all": sum(sizes.values())}
    largest = sorted(sizes, key=lambda name: -sizes[name])[:2]
    values |= {"names": largest, "sizes": [sizes[name] for name in largest]}
    values["system"] = result["machine"]["system"].partition("-")[0]
    return filled(
        "`pip install` puts {own:size} of textgate on the disk, the packaged models included. Its "
        "four dependencies and what they depend on are {count} packages of {all:size}, of which "
        "{names[0]} has {sizes[0]:size} and {names[1]} {sizes[1]:size} (`python "
        "benchmarks/footprint.py`, {system}, {architecture}).",
        {**values, "architecture": result["machine"]["architecture"]},
    )


# Accuracy


def _accuracy_rows(result: Result) -> Iterable[Result]:
    names = dict.fromkeys(one["system"] for found in result["sets"] for one in found["peers"])
    for found in result["sets"]:
        shown = "{accuracy:.4f} ({macro_f1:.4f})"
        peers = {one["system"]: filled(shown, one) for one in found["peers"]}
        yield {**found, **found["textgate"], "each": dict.fromkeys(names, "-") | peers}


_accuracy = table(
    _accuracy_rows,
    "set | seeds | accuracy | macro-F1 | @ | calibration error | bundle",
    f"{{data}} | {{seeds}} | {_SPREADS} | @ | {{ece[mean]:.3f}} | {{bytes[mean]:size}}",
    "<>",
)


def _accuracy_verdict(result: Result) -> str:
    wins = [
        f"{one['system']} is the more accurate one on {found['data']}"
        for found in result["sets"]
        for one in found["peers"]
        if one["accuracy"] > found["textgate"]["accuracy"]["mean"]
    ]
    verdict = f"{'; '.join(wins)}." if wins else "No peer is more accurate on any of them."
    return f"{verdict} {filled(MACHINE, result)}"


def _few_rows(result: Result) -> Iterable[Result]:
    for one in result["entries"]:
        ours, frozen = one["textgate"], one.get("frozen", {}).get("seconds")
        each = {
            name: filled("{score[mean]:.3f} ± {score[standard_deviation]:.3f}", one[name])
            if name in one
            else "-"
            for name in ("textgate", "frozen", "TF-IDF", "MiniLM")
        }
        probe = filled(", {mean:.0f} s", frozen) if frozen else ""
        yield {**one, **ours, "each": each, "probe": probe}


_few = table(
    _few_rows,
    "set | labels | rows of each | measure | @ | calibration error | training, frozen | bundle | "
    "useless",
    "{data} | {labels} | {rows} | {measure} | @ | {ece[mean]:.3f} ± {ece[standard_deviation]:.3f} "
    "| {seconds[mean]:.0f} s{probe} | {bytes[mean]:size} | {useless}",
    "<>><>",
)
_FEW_NOTE = (
    "Means and standard deviations of {draws} draws, on all test rows. Useless counts the draws "
    "whose network is not better than the most frequent label, which `textgate export` refuses. "
    + MACHINE
)


# Tuning


def _tuning_rows(result: Result) -> Iterable[Result]:
    for entry in result["sets"]:
        for one in entry["systems"]:
            on_dev, expected = one.get("dev_accuracy"), one.get("expected_accuracy")
            yield {
                **one,
                "on_dev": "-" if on_dev is None else f"{on_dev:.4f}",
                "expected": "-" if expected is None else f"{expected:.4f}",
            }


_tuning = table(
    _tuning_rows,
    "set | system | accuracy | macro-F1 | on dev | expected of it | settings | size | time",
    "{data} | {system} | {accuracy:.4f} | {macro_f1:.4f} | {on_dev} | {expected} | {setting} | "
    "{bytes:size} | {seconds:.0f} s",
    "<<>>>><>",
)
_TUNING_NOTE = (
    "On the test rows, one seed, one thread; {seconds} seconds to look for settings on dev, and "
    "the training with them after that. The accuracy on dev is that of the rows that chose the "
    "settings, the one beside it what the tuning expects of new rows. " + MACHINE
)


# Explanations


def _explanation_rows(result: Result) -> Iterable[Result]:
    for one in result["sets"]:
        for method in one["methods"]:
            gains = {"comprehensive": "-", "sufficient": "-"}
            if method["name"] != one["methods"][0]["name"]:
                shown = "{:+.3f} ({:+.3f} to {:+.3f})"
                gains = {
                    name: shown.format(*gain)
                    for name, gain in zip(gains, method["gains"], strict=True)
                }
            ratio = "-" if method["ratio"] is None else f"{method['ratio'][0]:.2g}"
            yield {**one, **method, **gains, "beside": ratio}


_explanations = table(
    _explanation_rows,
    "set | explanation | comprehensiveness | textgate's is better by | sufficiency | textgate's is "
    "better by | time | of LIME's",
    "{data} | {name} | {comprehensiveness:.3f} | {comprehensive} | {sufficiency:.3f} | "
    "{sufficient} | {ms:ms} | {beside}",
    "<<>",
)


def _explanations_noise(result: Result) -> str:
    noisy = [one for one in result["sets"] if one["noise"]["reasons"]]
    return noise_warning("ratios of times")(noisy[0]) if noisy else ""


_EXPLANATIONS_NOTE = (
    "{rows} {split} rows of each set, the default recipe, one seed. Integrated gradients have "
    "{ig_steps} steps, LIME has {lime_samples:,} samples. Parentheses hold 95 % bootstrap "
    "intervals. " + MACHINE
)


# Label errors


def _label_error_rows(result: Result) -> Iterable[Result]:
    for one in result["sets"]:
        for method in one["methods"]:
            yield {**one, **method}


_label_errors = table(
    _label_error_rows,
    "set | labels | wrong labels | method | listed | precision | recall | precision of the first k "
    "| of the first k/2",
    "{data} | {labels} | {planted} of {rows:,} | {name} | {listed[mean]:.0f} | "
    "{precision[mean]:.3f} | {recall[mean]:.3f} | {at_k[mean]:.3f} ± "
    "{at_k[standard_deviation]:.3f} | {at_half_k[mean]:.3f}",
    "<>><>",
)
_LABEL_ERRORS_NOTE = (
    "{fraction:.0%} of the labels replaced by another one at random, means of {seeds} draws; k is "
    "the number of wrong labels. Real errors of the sets count as false alarms. All methods read "
    "the same out-of-fold probabilities."
)


# Ray and Spark

_WAYS = {"classify": "`textgate classify --jobs 2`", "ray": "Ray", "spark": "Spark"}


def _scale_rows(result: Result) -> Iterable[Result]:
    for one in result["ways"]:
        shown = filled("{ratio[0]:.2f} ({ratio[1]:.2f} to {ratio[2]:.2f})", one)
        yield {**one, **result, "name": _WAYS[one["way"]], "beside": shown}


_scale_rates = table(
    _scale_rows,
    "two workers | compared with `textgate classify --jobs 2` | {rows:count} rows | "
    "rows a second | a billion rows | core hours",
    "{name} | {beside} | {seconds:.0f} s | {rate:,.0f} | 1e9 / {rate:,.0f} / 3600 = {hours:.1f} h "
    "| 2 * {hours:.1f} = {core_hours:.1f}",
    "<>",
)
_SCALE_NOTE = (
    "Texts of {words} words, the packaged model. The second column is the median of {rounds} "
    "rounds of the two commands, in turns. Rates leave out the start of an engine. A machine with "
    "other processors has other rates: measure yours with a part of the corpus. An actor of Ray "
    "answers {actor[start_seconds]:.2f} s later than one that does nothing, and needs "
    "{actor[memory_mb]:.0f} MB more. A class written around an ONNX Runtime session with a padded "
    "batch classifies {plain[rows_per_second]:,.0f} rows a second in an actor, textgate "
    "{actor[textgate_rate]:,.0f}: {plain[times]:.1f} times as many. Reading a file of "
    "{large_file[bytes]:size} in one row group needs at most {large_file[peak_bytes]:size} of "
    "memory. " + MACHINE
)


def variants(result: Result) -> list[dict[str, Any]]:
    """Return each variant's name and its figures on each set (in "each").

    The figures are accuracy and log loss on dev, means over seeds, and the difference of the log
    loss to the first variant's.
    """
    groups: dict[tuple[str, str], list[Result]] = {}
    for run in result["runs"]:
        groups.setdefault((run["variant"], run["data"]), []).append(run)
    first = next(iter(groups))[0]

    def mean(variant: str, data: str, figure: str) -> float:
        return statistics.fmean(run[figure] for run in groups[variant, data])

    rows: dict[str, dict[str, str]] = {}
    for variant, data in groups:
        loss = mean(variant, data, "log_loss")
        more = "" if variant == first else f" ({loss - mean(first, data, 'log_loss'):+.4f})"
        figures = f"{mean(variant, data, 'accuracy'):.4f}, {loss:.4f}{more}"
        rows.setdefault(variant, {})[data] = figures
    return [{"variant": variant, "each": each} for variant, each in rows.items()]


def _ablation_note(result: Result) -> str:
    count = len({run["seed"] for run in result["runs"]})
    seeds = "one seed" if count == 1 else f"the mean of {count} seeds"
    return (
        f"Accuracy on dev, {seeds}, without the packaged encoder, and the calibrated log loss of "
        "the chosen epoch. Parentheses hold the difference to the recipe's log loss: below 0 the "
        f"recipe is worse. {filled(MACHINE, result)}"
    )


def _domain_rows(result: Result) -> Iterable[Result]:
    for name, one in result["domains"].items():
        seeds = one["seeds"]
        spread = "one"
        if len(seeds) > 1:
            mean, deviation = statistics.fmean(seeds), statistics.stdev(seeds)
            spread = f"{mean:.4f} ± {deviation:.4f} ({len(seeds)})"
        yield {**one, "name": name, "about": DOMAINS[name], "spread": spread}


_domains = table(
    _domain_rows,
    "test rows of | what they are | rows | accuracy | of all seeds | calibration error | "
    "answered | of these right",
    "{name} | {about} | {rows:,} | {accuracy:.4f} | {spread} | {ece:.3f} | {answered:.1%} | "
    "{right:.4f}",
    "<<>",
)


def _figure(value: float | None, form: str, missing: str = "-") -> str:
    """Return a figure as text, or what stands for a missing one."""
    return missing if value is None else format(value, form)


def _held_out_rows(result: Result) -> Iterable[Result]:
    """Yield the figures of each domain, and their means."""
    found = result["held_out"]
    if not found:
        return
    mean = {
        name: statistics.fmean(one[name] for one in found if one[name] is not None)
        for name in ("accuracy", "answered", "right", "neutral")
    }
    mean |= {"domain": "mean", "rows": sum(one["rows"] for one in found)}
    for one in (*found, mean):
        yield {**one, "share": _figure(one["neutral"], ".1%", "")}


_held_out = table(
    _held_out_rows,
    "test rows of | rows | accuracy | answered | of these right | neutral rows without a side",
    "{domain} | {rows:,} | {accuracy:.4f} | {answered:.1%} | {right:.4f} | {share}",
    "<>",
)


def _left_out_rows(result: Result) -> Iterable[Result]:
    """Yield the figures of each domain that was left out, and their means."""
    found = result["domains"]
    mean = {"domain": "mean", "rows": sum(one["rows"] for one in found), **result["mean"]}
    teachers = [one["teacher"] for one in found if one["teacher"] is not None]
    mean |= {"teacher": statistics.fmean(teachers) if teachers else None}
    for one in (*found, mean):
        yield {
            **one,
            "share": _figure(one["neutral"], ".1%", ""),
            "taught": _figure(one["teacher"], ".4f"),
            "began": {"english": "the package's encoder", "none": "word vectors"}.get(
                one.get("encoder", ""), ""
            ),
        }


_left_out = table(
    _left_out_rows,
    "domain left out | begins with | dev rows | accuracy | of its teacher | answered | "
    "of these right | neutral rows without a side",
    "{domain} | {began} | {rows:,} | {accuracy:.4f} | {taught} | {answered:.1%} | {right:.4f} | "
    "{share}",
    "<<>",
)


def _terms_rows(result: Result) -> Iterable[Result]:
    """Yield each domain's accuracy after training from all sets, from some, and of the teacher."""
    both = (result, result["open_terms"])
    taught = result["teacher"] | {"mean": statistics.mean(result["teacher"].values())}
    pairs = zip(*(of["domains"] for of in both), strict=True)
    for one, other in (*pairs, tuple({"domain": "mean", **of["mean"]} for of in both)):
        yield {
            "domain": one["domain"],
            **{
                name: f"{it['accuracy']:.4f}"
                + (f" ± {it['spread']:.4f}" if it.get("spread") is not None else "")
                for name, it in (("all", one), ("open", other))
            },
            "less": one["accuracy"] - other["accuracy"],
            "taught": taught[one["domain"]],
        }


_terms = table(
    _terms_rows,
    "dev rows of | all sets | sets under open terms | less | teacher of both",
    "{domain} | {all} | {open} | {less:.4f} | {taught:.4f}",
    "<>",
)


def _behaviour_rows(result: Result) -> Iterable[Result]:
    for one in result["behaviour"]:
        yield {**one, "rate": one["failed"] / one["cases"], "one": [*one["examples"], ""][0]}


_behaviour = table(
    _behaviour_rows,
    "behaviour | cases | failures | one of them",
    "{group} | {cases} | {rate:.1%} | {one}",
    "<>><",
)


def _size_and_times(result: Result, model: str) -> str:
    """Return the size of a model of the package, its card included, and its times."""
    times = ", ".join(f"{format_ms(ms)} for {n} tokens" for n, ms in result["milliseconds"].items())
    return f"{format_bytes(bundle_bytes(MODELS / model))}; on one core {times}."


def _toxic_rows(result: Result) -> Iterable[Result]:
    for one in result["tests"]:
        yield {**one, "teacher": _figure(one["teacher"], ".4f")}


_toxic_tests = table(
    _toxic_rows,
    "test rows of | rows | accuracy | macro-F1 | of the teacher | F1 of toxic | "
    "toxic rows flagged | clean rows flagged",
    "{name} | {rows:,} | {accuracy:.4f} | {macro_f1:.4f} | {teacher} | {f1:.4f} | {found:.1%} | "
    "{false:.1%}",
    "<>",
)
_identities = table(
    lambda result: result["identities"],
    "clean texts that name | texts | flagged",
    "{identity} | {texts} | {flagged:.1%}",
    "<>",
)


def _toxic_stream(result: Result) -> str:
    """Return what a stream cuts, and what healthy comments get."""
    return filled(
        "In a stream, at the limit {limit:.3f}, {false_cuts:.2%} of {clean:,} clean texts of other "
        "domains are cut, and {cut:.1%} of {toxic:,} toxic test texts: half of these by word "
        "{median_words:.0f}, after {median_share:.0%} of the text. Of {healthy[rows]:,} healthy "
        "comments on news, {healthy[flagged]:.1%} are flagged.",
        {**result["stream"], "healthy": result["healthy"]},
    )


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


# The service

_SERVERS = {
    "service": "`textgate serve`",
    "constant": "the same with a constant answer",
    "bare": "a socket that answers without reading",
    "fastapi": "FastAPI, a plain handler",
    "bentoml": "BentoML, one worker",
}


def _served_rows(result: Result) -> Iterable[Result]:
    for engine, found in result["engines"].items():
        for kind, name in _SERVERS.items():
            if kind in found["open_loop"]:
                yield {
                    "engine": engine,
                    "name": name,
                    "closed": found["requests_a_second"][kind],
                    **found["open_loop"][kind],
                }


_served = table(
    _served_rows,
    "engine | server | requests a second | p99 | at a fixed rate | p50 | p99",
    "{engine} | {name} | {closed[median]:,.0f} | {closed[p99]:.1f} ms | {rate:,.0f} a second | "
    "{p50:.2f} ms | {p99:.1f} ms",
    "<<>",
)


# Time


def _points(result: Result) -> Iterable[Result]:
    for point in sorted(result["points"], key=lambda point: float(point["p50"])):
        best = point["fast"] or point["small"]
        stars = {key: " *" if point[key] else "" for key in ("fast", "small")}
        yield {**point, **stars, "name": f"**{point['name']}**" if best else point["name"]}


_pareto = table(
    _points,
    " | accuracy | p50 | size",
    "{name} | {accuracy:.4f} | {p50:ms}{fast} | {bytes:size}{small}",
    "<>",
)
_pareto_note = joined(
    "On {test_rows:,} test rows of {data}, one seed; * none is both as accurate and faster "
    "(smaller).",
    noise_warning("order"),
    by="\n",
)


def _lengths(result: Result) -> list[str]:
    return list(result["entries"][0]["times"])


def _bundles(result: Result) -> list[str]:
    return [entry["name"] for entry in result["entries"] if entry["is_bundle"]]


def by_time(result: Result, tokens: str) -> list[dict[str, Any]]:
    """Return the peers, fastest first."""
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


def _peers_note(result: Result) -> str:
    """Return the peers certainly faster than a bundle, the peers left out, and the versions."""
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
    lines.append(noise_warning("ratios")(result))
    packages = ", ".join(f"{name} {version}" for name, version in result["packages"].items())
    return "\n".join(filter(None, [*lines, f"With {packages}."]))


BLOCKS = {
    "first": Block("sentiment", (_first,)),
    "quickstart": Block("quickstart", (_quickstart, MACHINE)),
    "footprint": Block("footprint", (_installed,)),
    "accuracy": Block("accuracy", (_accuracy, _accuracy_verdict)),
    "accuracy_encoder": Block("accuracy_encoder", (_accuracy, MACHINE)),
    "few_rows": Block("few_rows", (_few, _FEW_NOTE, goals)),
    "few_rows_languages": Block("few_rows_languages", (_few, goals)),
    "quantization": Block("quantization", (_quantized, _quantized_times, MACHINE)),
    "ablation": Block("ablation", (table(variants, " | @", "{variant} | @", "<>"), _ablation_note)),
    "tuning": Block("tuning", (_tuning, _TUNING_NOTE, goals)),
    "explanations": Block(
        "explanations", (_explanations, _EXPLANATIONS_NOTE, _explanations_noise, goals)
    ),
    "serve": Block("serve", (_served, goals, MACHINE)),
    "label_errors": Block("label_errors", (_label_errors, _LABEL_ERRORS_NOTE, goals)),
    "scale": Block("scale", (_scale_rates, _SCALE_NOTE, goals)),
    "sentiment": Block(
        "sentiment",
        (_domains, _held_out, _behaviour, partial(_size_and_times, model="sentiment"), MACHINE),
    ),
    "left_out": Block("left_out", (_left_out, goals)),
    "terms": Block("terms", (_terms,)),
    "toxicity": Block(
        "toxicity",
        (
            *(_toxic_tests, _toxic_stream, _behaviour, _identities),
            *(partial(_size_and_times, model="toxicity"), MACHINE),
        ),
    ),
    "pareto": Block("pareto", (_pareto, _pareto_note), "Accuracy against time and size"),
    "peers": Block("latency_peers", (_peer_table, _peers_note, goals), "Time of one text, by peer"),
}
