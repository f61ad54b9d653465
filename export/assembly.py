"""A candidate's files: manifest, card, graph and tokenizer."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from typing import TYPE_CHECKING

import numpy as np

import textgate
from textgate.bench.timing import measure_alternating, percentiles
from textgate.bundle.manifest import Manifest
from textgate.bundle.storage import CARD, GRAPH, TOKENIZER, file_entries
from textgate.export.card import model_card
from textgate.export.graph.nodes import IR_VERSION, OPSET
from textgate.export.report import operator_reports
from textgate.export.verification import run

if TYPE_CHECKING:
    import onnxruntime

    from textgate.bundle.run import RunManifest
    from textgate.export.candidate import Candidate, Original
    from textgate.train.fit.checkpoint import TrainedModel

_TIMED_TOKENS = (25, 100)
_TIMED_SECONDS = 0.2
# What the manifest grows by when latencies and thresholds are filled in.
_SPARE_BYTES = 256
_THRESHOLD_BYTES = 32
_INTEGERS_BYTES = 512  # what manifest and card grow by when they tell of a GRU's or RNN's integers
# What manifest and card grow by when they tell of thresholds.
_TOLD_BYTES = 1200
_TOLD_THRESHOLD_BYTES = 128


@dataclass(frozen=True)
class Assembly:
    """Makes the files of a bundle.

    Attributes:
        trained: what was trained on what.
        model: the outcome of the training.
        original: the network in full precision.
        name: what the bundle is called.
        precision: ``int8`` or ``float32``.
        verify_file: name of the file it is verified on; None for the dev rows kept with the run.
        has_thresholds: whether thresholds will be chosen.
    """

    trained: RunManifest
    model: TrainedModel
    original: Original
    name: str
    precision: str
    verify_file: str | None = None
    has_thresholds: bool = False

    def files(self, candidate: Candidate, manifest: Manifest) -> dict[str, bytes]:
        """Return the content of every file but the manifest, by name."""
        files = {
            GRAPH: candidate.graph.model,
            TOKENIZER: candidate.tokenizer_json.encode("utf-8"),
        }
        size = 0
        for _ in range(3):  # the card tells the size of what it is part of
            card = model_card(
                manifest,
                name=self.name,
                model_bytes=len(candidate.graph.model),
                bundle_bytes=size,
                comparison=candidate.comparison,
            )
            files[CARD] = card.encode("utf-8")
            size = _bytes(files, manifest)
        return files

    def size(self, candidate: Candidate) -> int:
        """Return the bytes that the whole bundle will have, or a few more."""
        manifest = self.manifest(candidate)
        spare = _SPARE_BYTES + _THRESHOLD_BYTES * len(manifest.labels)
        spare += 0 if manifest.architecture.cell == "lstm" else _INTEGERS_BYTES
        if self.has_thresholds:
            told = sum(len(label.encode("utf-8")) for label in manifest.labels)
            spare += _TOLD_BYTES + _TOLD_THRESHOLD_BYTES * len(manifest.labels) + 4 * told
        return _bytes(self.files(candidate, manifest), manifest) + spare

    def manifest(self, candidate: Candidate) -> Manifest:
        """Return the manifest without files, latencies and thresholds."""
        trained, model = self.trained, self.model
        architecture = candidate.architecture
        return Manifest(
            architecture=architecture,
            labels=trained.labels,
            max_tokens=trained.max_tokens,
            temperature=model.temperature,
            thresholds=(None,) * len(trained.labels),
            precision=self.precision,
            opset=OPSET,
            ir_version=IR_VERSION,
            state=candidate.graph.states,
            quality={
                "float32": candidate.comparison.before,
                "exported": candidate.comparison.after,
            },
            operators=operator_reports(
                architecture,
                candidate.plan,
                float32_model=self.original.graph.model,
                model=candidate.graph.model,
            ),
            latency_ms={},
            training={
                "preset": trained.preset,
                "seed": trained.settings["seed"],
                "epochs": len(model.history),
                "best_epoch": model.best_epoch,
                "train_file": trained.train.file,
                "train_rows": trained.train.rows,
                "train_sha256": trained.train.sha256,
                "dev_rows": trained.dev.rows,
                "dev_sha256": trained.dev.sha256,
                **_pretrained(trained),
                **_teaching(trained),
                **({} if self.verify_file is None else {"verify_file": self.verify_file}),
            },
            versions={
                **trained.versions,
                "textgate": textgate.__version__,
                "onnx": version("onnx"),
                "onnxruntime": version("onnxruntime"),
            },
            files={},
        )


def _bytes(files: dict[str, bytes], manifest: Manifest) -> int:
    """Return the size of a bundle of these files and this manifest, which lacks their sizes."""
    manifest = dataclasses.replace(manifest, files=file_entries(files))
    return sum(map(len, files.values())) + len(manifest.to_json().encode("utf-8"))


def _pretrained(trained: RunManifest) -> dict[str, str | int | float]:
    """Return what the network started from, as scalars; nothing if it was nothing pretrained."""
    if trained.pretrained is None:
        return {}
    return {
        "pretrained": trained.pretrained.name,
        "pretrained_sha256": trained.pretrained.sha256,
    }


def _teaching(trained: RunManifest) -> dict[str, str | int | float]:
    """Return who taught the network, as scalars; nothing if the labels alone did."""
    teaching = trained.teaching
    if teaching is None:
        return {}
    said: dict[str, str | int | float] = {
        "teachers": ", ".join(teacher.name for teacher in teaching.teachers),
        "teachers_sha256": ", ".join(teacher.sha256 for teacher in teaching.teachers),
        "teacher_weight": trained.settings["teacher_weight"],
    }
    if teaching.unlabelled:
        said |= {
            "unlabelled_files": ", ".join(file.file for file in teaching.unlabelled),
            "unlabelled_rows": sum(file.rows for file in teaching.unlabelled),
            "unlabelled_sha256": ", ".join(file.sha256 for file in teaching.unlabelled),
        }
    return said


def latencies(session: onnxruntime.InferenceSession, max_tokens: int) -> dict[str, float]:
    """Return a first measure: the median time of one text, in milliseconds, on one thread."""
    result = {}
    for tokens in _TIMED_TOKENS:
        if tokens <= max_tokens:
            ids = np.ones((1, tokens), dtype=np.int64)
            lengths = np.array([tokens], dtype=np.int64)
            call = partial(run, session, ids, lengths)
            times = measure_alternating({"run": call}, seconds=_TIMED_SECONDS)
            result[f"p50_{tokens}_tokens"] = percentiles(times["run"]).p50
    return result
