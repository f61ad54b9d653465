"""The model card: a bundle's README."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textgate.architecture import layers, parameter_count
from textgate.export.report import remarks
from textgate.tables import format_bytes, format_count, markdown_table

if TYPE_CHECKING:
    from textgate.export.quality import Comparison
    from textgate.manifest import Manifest


def model_card(manifest: Manifest, *, name: str, model_bytes: int, comparison: Comparison) -> str:
    """Return the card as Markdown.

    Args:
        manifest: the bundle's manifest; its ``files`` are not needed yet.
        name: what the bundle is called.
        model_bytes: size of ``model.onnx``.
        comparison: what verification found.
    """
    net = manifest.architecture
    training = manifest.training
    parts = [
        f"# {name}",
        (
            f"A {manifest.task} text classifier for {net.label_count} labels, exported by textgate "
            f"{manifest.versions['textgate']} as {manifest.precision}. The graph is "
            f"{format_bytes(model_bytes)} and reads at most {manifest.max_tokens} tokens of a text."
        ),
        '```\ntextgate classify -m . "a text"\n```',
        "## Labels",
        ", ".join(f"`{label}`" for label in manifest.labels),
        "## Quality",
        (
            f"Measured on {comparison.rows:,} verification rows. By default they are the rows that "
            "chose the epoch and the temperature: read the figures as a check of the export, not "
            "as a promise for new texts."
        ),
        markdown_table(
            ["graph", "accuracy", "macro-F1", "calibration error"],
            [
                [
                    title,
                    f"{quality.accuracy:.4f}",
                    f"{quality.macro_f1:.4f}",
                    f"{quality.ece:.4f}",
                ]
                for title, quality in (
                    ("float32", comparison.before),
                    (f"exported ({manifest.precision})", comparison.after),
                )
            ],
            align="<>>>",
        ),
        (
            f"Largest difference of a probability {comparison.largest:.4f}, mean "
            f"{comparison.mean:.5f}; the same decision in {comparison.agreement:.2%} of the rows."
        ),
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
        *remarks(manifest.operators),
        "## Training",
        "\n".join(f"- {key.replace('_', ' ')}: {value}" for key, value in training.items()),
    ]
    return "\n\n".join(parts) + "\n"
