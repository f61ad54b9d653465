"""The model card: a bundle's README."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from textgate.bundle.architecture import layers, parameter_count
from textgate.evaluation.coverage import label_thresholds, threshold_table
from textgate.export.front_matter import front_matter
from textgate.export.operators import remarks
from textgate.inference.prediction import DEFAULT_THRESHOLD
from textgate.native.model import INTEGERS
from textgate.tables import format_bytes, format_count, markdown_table, printable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from textgate.bundle.manifest import Manifest, Quality
    from textgate.export.front_matter import Publication
    from textgate.export.quality import Comparison


# Entries of the manifest's ``training`` that are shown in another section of the card.
_SHOWN_ELSEWHERE = (
    INTEGERS,
    "thresholds",
    "threshold_answers",
    "threshold_kept",
    "threshold_right",
)


def model_card(
    manifest: Manifest,
    *,
    name: str,
    model_bytes: int,
    bundle_bytes: int,
    comparison: Comparison,
    publication: Publication,
) -> str:
    """Return the card as Markdown.

    Args:
        manifest: the bundle's manifest; its ``files`` are not needed yet.
        name: name of the bundle.
        model_bytes: size of ``model.onnx``.
        bundle_bytes: size of the bundle.
        comparison: result of the verification.
        publication: what the manifest does not say.
    """
    net = manifest.architecture
    training = manifest.training
    parts = [
        front_matter(manifest, name=name, publication=publication),
        f"# {_escaped(name)}",
        (
            f"A {manifest.task} text classifier for {net.label_count} labels, exported by textgate "
            f"{manifest.versions['textgate']} as {manifest.precision}. The bundle has "
            f"{format_bytes(bundle_bytes)}, of which the graph has {format_bytes(model_bytes)}. It "
            f"reads at most {manifest.max_tokens} tokens of a text."
        ),
        '```\ntextgate classify -m . "a text"\n```',
        "## Labels",
        ", ".join(map(_code, manifest.labels)),
        "## Quality",
        f"Measured on {_rows(manifest, comparison)}{_tuned(manifest)}",
        markdown_table(
            ["graph", "accuracy", "macro-F1", "calibration error"],
            [
                [
                    title,
                    f"{quality.accuracy:.4f}",
                    f"{quality.macro_f1:.4f}",
                    f"{quality.ece:.4f}",
                ]
                for title, quality in _qualities(manifest)
            ],
            align="<>>>",
        ),
        (
            f"{manifest.precision} against float32: largest difference of a probability "
            f"{comparison.largest:.4f}, mean {comparison.mean:.5f}; the same decision in "
            f"{comparison.agreement:.2%} of the rows."
        ),
        *_thresholds(manifest, comparison),
        "## Network",
        markdown_table(
            ["layer", "type", "parameters"],
            [[layer.name, layer.kind, format_count(layer.parameters)] for layer in layers(net)]
            + [["total", "", format_count(parameter_count(net))]],
            align="<<>",
        ),
        "## Storage",
        markdown_table(
            ["operator", "stored", "computed", "bytes before", "bytes after"],
            [
                [
                    report.name,
                    report.stored,
                    report.computed,
                    format_count(report.bytes_before),
                    format_count(report.bytes_after),
                ]
                for report in manifest.operators
            ],
            align="<<<>>",
        ),
        *remarks(manifest),
        "## Training",
        "\n".join(
            f"- {_escaped(key.replace('_', ' '))}: {_escaped(str(value))}"
            for key, value in training.items()
            if key not in _SHOWN_ELSEWHERE
        ),
    ]
    return "\n\n".join(parts) + "\n"


def _qualities(manifest: Manifest) -> Iterator[tuple[str, Quality]]:
    """Yield the measured networks with their titles."""
    for name, quality in manifest.quality.items():
        if name == "exported":
            yield f"exported ({manifest.precision})", quality
        else:
            yield ("float32" if "exported" in manifest.quality else "out of fold"), quality


def _rows(manifest: Manifest, comparison: Comparison) -> str:
    """Return the verification rows and their limits, as the end of a sentence."""
    folds = manifest.training.get("folds")
    if folds and "exported" not in manifest.quality:
        return (
            f"the {comparison.rows:,} training rows, out of fold: a network trained on the other "
            f"rows classified each of {folds} folds. The exported network was trained on all rows."
        )
    file = manifest.training.get("verify_file")
    if file is not None:
        return (
            f"the {comparison.rows:,} rows of {_code(str(file))}. They tell something about new "
            "texts if they are like these and no row was used for training."
        )
    return (
        f"the {comparison.rows:,} dev rows that chose the epoch and the temperature: read the "
        "figures as a check of the export, not as a promise for new texts."
    )


def _tuned(manifest: Manifest) -> str:
    """Return a sentence about the tuning, with a space before it; "" if it had no choice."""
    training = manifest.training
    if training.get("tuned_trials", 1) == 1:
        return ""
    rows = "dev rows" if training.get("verify_file") else "these rows"
    found = f" The settings were chosen among {training['tuned_trials']} trials on {rows}"
    if "tuned_accuracy" not in training or training.get("verify_file"):
        return f"{found}."
    return (
        f"{found}, so the accuracy may be too high; by resampled rows, "
        f"{training['tuned_accuracy']:.4f} is to be expected."
    )


def _thresholds(manifest: Manifest, comparison: Comparison) -> list[str]:
    """Return the section about thresholds, [] without thresholds."""
    chosen = label_thresholds(manifest)
    if not chosen:
        return []
    metric, _, fraction = str(manifest.training["thresholds"]).partition(" ")
    reached = "is right" if metric == "precision" else "is kept"
    default = (
        f" A label without a threshold is given from {DEFAULT_THRESHOLD} on."
        if manifest.task == "multi-label"
        else " A label without a threshold is always given where it is the most probable one."
    )
    without = any(one.threshold is None for one in chosen)
    header, rows, align = threshold_table(chosen)
    return [
        "## Thresholds",
        (
            "A label is given only where its probability reaches its threshold."
            f"{default if without else ''} The thresholds were chosen on the same "
            f"{comparison.rows:,} rows, so that a fraction of at least {fraction} of each label's "
            f"answers {reached} there. They hold for texts that are like these rows and have "
            "labels as often as these rows do. For other texts, check them with `textgate "
            "evaluate` on labelled rows of your own."
        ),
        markdown_table(header, [[_code(label), *cells] for label, *cells in rows], align=align),
    ]


def _code(text: str) -> str:
    """Return a text as inline code, which shows Markdown and HTML as they are."""
    shown = printable(text)
    fence = "`" * (1 + max(map(len, re.findall("`+", shown)), default=0))
    space = " " if shown[:1] in "` " or shown[-1:] in "` " else ""
    return f"{fence}{space}{shown}{space}{fence}"


def _escaped(text: str) -> str:
    """Return a text on one line in which Markdown and HTML have no effect."""
    return re.sub(r"([\\`*_\[\]<>#|~&])", r"\\\1", printable(text))
