"""Bundles of the reference networks to measure with, made once and kept."""

from __future__ import annotations

from pathlib import Path

from textgate.rows import load_labelled

SAMPLE = Path(__file__).parents[1] / "examples" / "reviews"


def reference_bundle(cache: Path, preset: str, *, max_tokens: int = 100) -> Path:
    """Return the int8 bundle of a preset, made if it is not there.

    Trained for a single epoch: what the weights are changes no cost.

    Args:
        cache: the folder that keeps bundles.
        preset: the network, such as ``seed-lstm``.
        max_tokens: tokens of a text that it reads.
    """
    folder = cache / f"{preset}-{max_tokens}"
    bundle = folder / "bundle"
    if not bundle.exists():
        import torch

        from textgate.export import export
        from textgate.train import fit

        torch.set_num_threads(1)
        fit(
            load_labelled(SAMPLE / "train.jsonl.gz")[:2000],
            folder / "run",
            dev=load_labelled(SAMPLE / "dev.jsonl.gz")[:500],
            preset=preset,
            settings={"max_tokens": max_tokens, "epochs": 1},
            force=True,
        )
        export(folder / "run", bundle, max_accuracy_drop=1.0)  # what is lost does not matter here
    return bundle
