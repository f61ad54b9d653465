"""The reference networks: trained, exported, and asked in torch for what every peer must answer."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch

from textgate.export import export
from textgate.rows import load_labelled
from textgate.run import MODEL, TOKENIZER, read_run
from textgate.tokenizer import TextTokenizer
from textgate.train import fit
from textgate.train.checkpoint import load_model
from textgate.train.model import TextClassifier

REFERENCES = ("seed-lstm", "seed-gru")
_SAMPLE = Path(__file__).parents[2] / "examples" / "reviews"
_ROWS, _DEV_ROWS = 1000, 200


def make_references(cache: Path) -> None:
    """Train and export the reference networks where they are missing: one epoch changes no time."""
    torch.set_num_threads(1)
    for name in REFERENCES:
        if (cache / name).exists():
            continue
        fit(
            load_labelled(_SAMPLE / "train.jsonl.gz")[:_ROWS],
            cache / f"{name}.run",
            dev=load_labelled(_SAMPLE / "dev.jsonl.gz")[:_DEV_ROWS],
            preset=name,
            settings={"epochs": 1},
            force=True,
        )
        export(cache / f"{name}.run", cache / name, max_accuracy_drop=1.0)


def reference_scores(
    cache: Path, network: str, cases: Mapping[str, list[str]]
) -> dict[str, list[list[float]]]:
    """Return what the trained network says of texts, float32, without a temperature."""
    run = cache / f"{network}.run"
    manifest = read_run(run)
    model = TextClassifier(manifest.architecture)
    model.load_state_dict(load_model(run / MODEL).weights)
    model.eval()
    text = (run / TOKENIZER).read_text(encoding="utf-8")
    tokenizer = TextTokenizer(text, max_tokens=manifest.max_tokens)
    found: dict[str, list[list[float]]] = {}
    with torch.inference_mode():
        for case, texts in cases.items():
            found[case] = []
            for encoded in tokenizer.encode_batch(texts):
                length = len(encoded.ids)
                logits = model(torch.tensor([encoded.ids]), torch.tensor([length]))
                found[case].append(model.probabilities(logits)[0].tolist())
    return found
