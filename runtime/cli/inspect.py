"""`textgate inspect`: layers and facts of a run or a bundle."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from textgate.bundle.architecture import layers, parameter_count
from textgate.bundle.builtin import find_bundle, open_bundle
from textgate.bundle.run import is_run, read_run
from textgate.cli import options
from textgate.tables import format_bytes, format_count, format_table, printable

if TYPE_CHECKING:
    from textgate.bundle.architecture import Architecture
    from textgate.bundle.manifest import Manifest
    from textgate.evaluation.coverage import LabelThreshold


@click.command()
@click.argument("path", required=False, type=options.BUNDLE)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def inspect(path: Path | str | None, as_json: bool) -> None:
    """Show the layers of a run or a bundle.

    PATH may also be the name of a model that comes with the package, or hf://OWNER/NAME. Without
    PATH, it is the model that the other commands use without -m.

    The table shows the logical network, without what export adds to the graph. It has one bias per
    gate; a GRU has a second one inside its reset gate.
    """
    folder = find_bundle(path)
    if is_run(folder):
        run = read_run(folder)
        architecture, labels, facts = run.architecture, run.labels, _run_facts(folder)
        more: dict[str, Any] = {}
    else:
        from textgate.bundle.storage import bundle_bytes, file_sizes
        from textgate.inference.engines import make_engine

        bundle = open_bundle(folder)
        manifest = bundle.manifest
        engine = make_engine(bundle, engine=None, threads=1)
        architecture, labels = manifest.architecture, manifest.labels
        facts = _bundle_facts(manifest, file_sizes(folder))
        facts["engine"] = f"{engine.name} ({engine.detail})"
        more = {
            "bytes": bundle_bytes(folder),
            "thresholds": _thresholds(manifest),
            "engine": {"name": engine.name, "detail": engine.detail},
        }
    if as_json:
        document = {**_as_json(folder, architecture, labels), **more}
        click.echo(json.dumps(document, default=dataclasses.asdict))
        return
    shown = ", ".join(map(printable, labels[:20])) + (", ..." if len(labels) > 20 else "")
    facts = {"labels": shown, **facts}
    click.echo(layer_table(architecture))
    click.echo()
    width = max(map(len, facts)) + 2
    for name, value in facts.items():
        click.echo(printable(f"{name:<{width}}{value}"))
    if more.get("thresholds"):
        from textgate.evaluation.coverage import threshold_table

        header, rows, align = threshold_table(more["thresholds"])
        click.echo()
        click.echo(format_table(header, rows, align=align))


def layer_table(architecture: Architecture) -> str:
    """Return the layers, their shapes and parameters as a table for a terminal."""
    rows = [
        [layer.name, layer.kind, _shape(layer.shape), format_count(layer.parameters)]
        for layer in layers(architecture)
    ]
    rows.append(["total", "", "", format_count(parameter_count(architecture))])
    return format_table(["layer", "type", "output shape", "parameters"], rows, align="<<<>")


def _shape(shape: tuple[int | None, ...]) -> str:
    return f"({', '.join('None' if size is None else str(size) for size in shape)})"


def _as_json(path: Path, architecture: Architecture, labels: tuple[str, ...]) -> dict[str, Any]:
    return {
        "path": str(path),
        "labels": list(labels),
        "task": architecture.task,
        "architecture": dataclasses.asdict(architecture),
        "layers": [dataclasses.asdict(layer) for layer in layers(architecture)],
        "parameters": parameter_count(architecture),
    }


def _thresholds(manifest: Manifest) -> tuple[LabelThreshold, ...]:
    if all(threshold is None for threshold in manifest.thresholds):
        return ()  # without the slow import below
    from textgate.evaluation.coverage import label_thresholds

    return label_thresholds(manifest)


def _run_facts(path: Path) -> dict[str, str]:
    run = read_run(path)
    facts = {
        "kind": "training run",
        "preset": run.preset,
        "trained on": f"{run.train.file}, {format_count(run.train.rows)} rows",
        "max tokens": format_count(run.max_tokens),
    }
    if run.pretrained is not None:
        facts["pretrained"] = run.pretrained.name
    if run.tuning is not None:
        tuning = run.tuning
        facts["tuned"] = _tuned(tuning.trials, tuning.chosen, tuning.expected_accuracy)
    if run.teaching is not None:
        facts["taught by"] = ", ".join(teacher.name for teacher in run.teaching.teachers)
        for file in run.teaching.unlabelled:
            facts[f"on texts of {file.file}"] = f"{format_count(file.rows)} texts"
    return facts


def _bundle_facts(manifest: Manifest, sizes: dict[str, int]) -> dict[str, str]:
    facts = {
        "kind": f"bundle, {manifest.precision}",
        "task": manifest.task,
        "max tokens": format_count(manifest.max_tokens),
        "streaming": "yes" if manifest.state else "no: the network is bidirectional",
        "size": format_bytes(sum(sizes.values()))
        + f" ({', '.join(f'{name} {format_bytes(size)}' for name, size in sizes.items())})",
    }
    if "tuned_trials" in (training := manifest.training):
        facts["tuned"] = _tuned(
            training["tuned_trials"],
            training.get("tuned_choice", "not known"),
            training.get("tuned_accuracy"),
        )
    if any(threshold is not None for threshold in manifest.thresholds):
        wish = manifest.training.get("thresholds", "not known")
        facts["thresholds for"] = f"{wish}, chosen on the rows of the quality below"
    for name, quality in manifest.quality.items():
        title = "quality, out of fold" if manifest.out_of_fold else f"quality, {name}"
        facts[title] = (
            f"accuracy {quality.accuracy:.4f}, macro-F1 {quality.macro_f1:.4f}, calibration error "
            f"{quality.ece:.4f} on {format_count(quality.rows)} rows"
        )
    return facts


def _tuned(trials: object, chosen: object, expected: object) -> str:
    line = f"trial {chosen} of {trials}"
    if not isinstance(expected, float):
        return line
    return f"{line}; accuracy to expect on new texts {expected:.4f}"
