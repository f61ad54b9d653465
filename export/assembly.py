"""Files of a candidate's bundle: manifest, card, graph and tokenizer."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import TYPE_CHECKING

import textgate
from textgate.bundle.manifest import Manifest
from textgate.bundle.storage import CARD, GRAPH, TOKENIZER, file_entries
from textgate.export.card import model_card
from textgate.export.front_matter import Publication
from textgate.export.graph.nodes import IR_VERSION, OPSET
from textgate.export.operators import operator_reports
from textgate.train.pretraining.pretrained import ENGLISH_ENCODER
from textgate.train.text.vectors import ENGLISH_VECTORS

if TYPE_CHECKING:
    from textgate.bundle.manifest import Precision, Quality
    from textgate.bundle.run import RunManifest
    from textgate.export.candidate import Candidate, Original
    from textgate.train.training.checkpoint import TrainedModel

# Largest growth of the manifest when latencies and thresholds are filled in.
_MAX_LATENCY_BYTES = 256
_MAX_THRESHOLD_BYTES = 32  # per label
# Largest growth of manifest and card when they describe the integers of a GRU or RNN.
_MAX_INTEGERS_BYTES = 512
# Largest growth of manifest and card when they describe thresholds.
_MAX_SECTION_BYTES = 1200
_MAX_SECTION_ROW_BYTES = 128  # per label, plus its name


@dataclass(frozen=True)
class Assembly:
    """Makes the files of a bundle.

    Attributes:
        trained: the run's manifest.
        model: the trained model.
        original: the network in full precision.
        name: name of the bundle.
        precision: ``int8`` or ``float32``.
        verify_file: name of the verification file; None for the rows kept with the run.
        has_thresholds: whether thresholds will be chosen.
        out_of_fold: quality out of fold; None if dev rows or a file were held out.
        publication: what the card should say and the run does not know.
    """

    trained: RunManifest
    model: TrainedModel
    original: Original
    name: str
    precision: Precision
    verify_file: str | None = None
    has_thresholds: bool = False
    out_of_fold: Quality | None = None
    publication: Publication = field(default_factory=Publication)

    def files(self, candidate: Candidate, manifest: Manifest) -> dict[str, bytes]:
        """Return the content of every file except the manifest, by name."""
        files = {
            GRAPH: candidate.graph.model,
            TOKENIZER: candidate.tokenizer_json.encode("utf-8"),
        }
        size = 0
        for _ in range(3):  # the card is part of the bundle whose size it states
            card = model_card(
                manifest,
                name=self.name,
                model_bytes=len(candidate.graph.model),
                bundle_bytes=size,
                comparison=candidate.comparison,
                publication=self._publication(),
            )
            files[CARD] = card.encode("utf-8")
            size = _bytes(files, manifest)
        return files

    def _publication(self) -> Publication:
        """Return what the card says, with the language that the run gives away."""
        trained, given = self.trained, self.publication
        start = trained.settings.get("vectors")
        if trained.pretrained is not None:
            start = trained.pretrained.name
        if given.language or start not in {ENGLISH_ENCODER, ENGLISH_VECTORS}:
            return given
        return dataclasses.replace(given, language=("en",))

    def size(self, candidate: Candidate) -> int:
        """Return an upper bound of the size of the whole bundle, in bytes."""
        manifest = self.manifest(candidate)
        spare = _MAX_LATENCY_BYTES + _MAX_THRESHOLD_BYTES * len(manifest.labels)
        spare += 0 if manifest.architecture.cell == "lstm" else _MAX_INTEGERS_BYTES
        if self.has_thresholds:
            names = sum(len(label.encode("utf-8")) for label in manifest.labels)
            spare += _MAX_SECTION_BYTES + _MAX_SECTION_ROW_BYTES * len(manifest.labels) + 4 * names
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
            quality=(
                {
                    "float32": candidate.comparison.before,
                    "exported": candidate.comparison.after,
                }
                if self.out_of_fold is None
                else {"float32": self.out_of_fold}
            ),
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
                **({"folds": folds} if (folds := trained.settings.get("folds")) else {}),
                **_majority(model),
                **_pretrained(trained),
                **_tuning(trained),
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
    """Return the size of a bundle of these files, the manifest, and what is made of it."""
    manifest = dataclasses.replace(manifest, files=file_entries(files))
    added = (manifest.to_json(), manifest.to_config())
    return sum(map(len, files.values())) + sum(len(text.encode("utf-8")) for text in added)


def _majority(model: TrainedModel) -> dict[str, str | int | float]:
    """Return the accuracy of the most frequent label alone, if the run measured it."""
    accuracy = model.metrics.get("majority_accuracy")
    return {} if accuracy is None else {"majority_accuracy": round(accuracy, 4)}


def _pretrained(trained: RunManifest) -> dict[str, str | int | float]:
    """Return the entries about the pretrained network, if there was one."""
    if trained.pretrained is None:
        return {}
    return {
        "pretrained": trained.pretrained.name,
        "pretrained_sha256": trained.pretrained.sha256,
    }


def _tuning(trained: RunManifest) -> dict[str, str | int | float]:
    """Return the entries about the tuning, if there was one."""
    tuning = trained.tuning
    if tuning is None:
        return {}
    entries: dict[str, str | int | float] = {
        "tuned_trials": tuning.trials,
        "tuned_choice": tuning.chosen,
        "tuned_seconds": round(tuning.seconds),
    }
    if tuning.expected_accuracy is not None:
        entries["tuned_accuracy"] = round(tuning.expected_accuracy, 4)
    return entries


def _teaching(trained: RunManifest) -> dict[str, str | int | float]:
    """Return the entries about teachers and unlabelled rows, if there were any."""
    teaching = trained.teaching
    if teaching is None:
        return {}
    entries: dict[str, str | int | float] = {
        "teachers": ", ".join(teacher.name for teacher in teaching.teachers),
        "teachers_sha256": ", ".join(teacher.sha256 for teacher in teaching.teachers),
        "teacher_weight": trained.settings["teacher_weight"],
    }
    if teaching.unlabelled:
        entries |= {
            "unlabelled_files": ", ".join(file.file for file in teaching.unlabelled),
            "unlabelled_rows": sum(file.rows for file in teaching.unlabelled),
            "unlabelled_sha256": ", ".join(file.sha256 for file in teaching.unlabelled),
        }
    return entries
