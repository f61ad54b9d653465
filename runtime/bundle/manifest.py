"""Manifest of a bundle, ``textgate.json``, checked field by field."""

# No `from __future__ import annotations`: the decoder would have to evaluate them at start-up.

import dataclasses
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal, get_args

from textgate.bundle.architecture import MAX_SIZE, Architecture, MaxTokens, Task
from textgate.bundle.schema import (
    Count,
    Fraction,
    Keys,
    Location,
    NonNegative,
    PositiveCount,
    Range,
    Sha256,
    decode,
    read_field,
)
from textgate.bundle.strict_json import Format, sha256
from textgate.errors import BundleError, ConfigError

MANIFEST = "textgate.json"
GRAPH = "model.onnx"
TOKENIZER = "tokenizer.json"
CARD = "README.md"
CONFIG = "config.json"  # the labels once more, for programs of the Hugging Face Hub

Precision = Literal["int8", "float32"]
PRECISIONS: tuple[Precision, ...] = get_args(Precision)

FORMAT = Format("textgate-bundle", version=1, limit=2**20, remedy="export the run again")
MAX_FILE_BYTES = {GRAPH: 256 * 2**20, TOKENIZER: 64 * 2**20, CARD: 4 * 2**20}  # bytes


@dataclass(frozen=True)
class Quality:
    """Scores of a network on the verification rows.

    Attributes:
        accuracy: fraction of rows with exactly the right labels, 0 to 1.
        macro_f1: unweighted mean of the labels' F1, 0 to 1.
        ece: expected calibration error, 0 to 1.
        rows: how many rows it was measured on.
    """

    accuracy: Fraction
    macro_f1: Fraction
    ece: Fraction
    rows: PositiveCount


@dataclass(frozen=True)
class OperatorReport:
    """Result of quantization for one operator.

    Attributes:
        name: the operator's name in the network, as in ``lstm_1``.
        kind: its type, as in ``LSTM``.
        stored: the format of its weights in the file, as in ``int8 per row`` or ``float32``.
        computed: the type it computes in.
        bytes_before: size of its weights in float32.
        bytes_after: size of its weights in the file.
    """

    name: str
    kind: str
    stored: str
    computed: Precision
    bytes_before: Count
    bytes_after: Count


@dataclass(frozen=True)
class StateTensor:
    """One state that a stream carries from one call to the next.

    Attributes:
        input: the graph input that takes it; also an initializer, so that it may be left out.
        output: the graph output that gives it for the next call.
        shape: its shape, with -1 for the batch.

    Raises:
        ConfigError: the shape has no size of -1, several, or a size of 0.
    """

    input: str
    output: str
    shape: tuple[Annotated[int, Range(-1, MAX_SIZE)], ...]

    def __post_init__(self) -> None:
        if self.shape.count(-1) != 1 or 0 in self.shape:
            raise ConfigError(
                "field 'shape' should be a list of sizes, one of them -1 for the batch, found "
                f"{list(self.shape)}"
            )


@dataclass(frozen=True)
class FileEntry:
    """Checksum and size in bytes of one file of the bundle."""

    sha256: Sha256
    size: Count


@dataclass(frozen=True)
class Manifest:
    """Everything a bundle says about itself.

    Attributes:
        architecture: the logical network.
        labels: the labels in the order of the graph's columns; unique.
        max_tokens: texts are cut to this many tokens.
        temperature: divisor of the logits; it is already inside the graph.
        thresholds: for each label the probability below which it is not given, or None.
        precision: ``int8`` or ``float32``.
        opset: the ONNX operator set of the graph.
        ir_version: the ONNX format version of the graph.
        state: what a stream carries; empty if the network cannot stream.
        quality: scores of the ``float32`` graph and of the ``exported`` one on the verification
            rows. If folds chose, ``float32`` alone, with the scores out of fold of the networks of
            the folds, not of this network.
        operators: the result of quantization for each operator.
        latency_ms: latencies measured at export, in milliseconds, by what was measured.
        training: where the network comes from; informational.
        versions: versions of the tools that made the bundle.
        files: checksum and size of each other file, by name.
    """

    architecture: Architecture
    labels: tuple[str, ...]
    max_tokens: MaxTokens
    temperature: Annotated[float, Range(0, 1000, above=True)]
    thresholds: tuple[Fraction | None, ...]
    precision: Precision
    opset: PositiveCount
    ir_version: PositiveCount
    state: tuple[StateTensor, ...]
    quality: dict[Literal["float32", "exported"], Quality]
    operators: tuple[OperatorReport, ...]
    latency_ms: dict[str, NonNegative]
    training: dict[str, str | int | float]
    versions: dict[str, str]
    files: Annotated[dict[str, FileEntry], Keys(tuple(MAX_FILE_BYTES))]

    @property
    def task(self) -> Task:
        """``single-label`` or ``multi-label``."""
        return self.architecture.task

    @property
    def out_of_fold(self) -> bool:
        """Whether its scores are those of cross-validation, and not of the exported network."""
        return "exported" not in self.quality

    @property
    def scores(self) -> Quality | None:
        """Scores of the exported network, or those of cross-validation; None if none are known."""
        return self.quality.get("exported", self.quality.get("float32"))

    @property
    def checksum(self) -> str:
        """Checksum of all its fields, which include the checksums of the files."""
        return _checksum(self._fields())

    def to_json(self) -> str:
        """Return the text of ``textgate.json``, checksum included.

        Raises:
            ValueError: a number is not finite.
        """
        document = {**self._fields(), "checksum": self.checksum}
        return json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False) + "\n"

    def to_config(self) -> str:
        """Return the text of ``config.json``: the labels as the Hugging Face Hub reads them.

        All of it is in the manifest as well, and textgate does not read it.
        """
        document = {
            "model_type": "textgate",
            "problem_type": f"{self.task.replace('-', '_')}_classification",
            "id2label": {str(number): label for number, label in enumerate(self.labels)},
            "label2id": {label: number for number, label in enumerate(self.labels)},
        }
        return json.dumps(document, indent=2, ensure_ascii=False) + "\n"

    @classmethod
    def parse(cls, text: bytes, *, where: str) -> "Manifest":
        """Return the manifest that `to_json` wrote, after checking every field of it.

        Args:
            text: the content of ``textgate.json``.
            where: how messages name the file.

        Raises:
            BundleError: it is not a manifest, is damaged, or is of a version this release does not
                read.
        """
        location = Location(where, BundleError)
        document = FORMAT.read(text, location)
        found = read_field(document, "checksum", Sha256, location)
        if found != _checksum({**FORMAT.fields, **document}):
            raise location.problem("damaged or edited: it does not match its own checksum")
        task = read_field(document, "task", str, location)
        fields = {name: document[name] for name in document if name not in ("checksum", "task")}
        manifest = decode(cls, fields, location)
        if task != manifest.task:
            raise location.mismatch("task", manifest.task, task)
        _check_consistency(manifest, fields, location)
        return manifest

    def _fields(self) -> dict[str, Any]:
        """Return the fields of ``textgate.json`` without the checksum."""
        return {**FORMAT.fields, "task": self.task, **dataclasses.asdict(self)}


def _checksum(document: dict[str, Any]) -> str:
    """Return the checksum of the manifest: of all its fields but ``checksum``."""
    return sha256({name: document[name] for name in document if name != "checksum"})


def _check_consistency(manifest: Manifest, document: dict[str, Any], location: Location) -> None:
    """Refuse fields that conflict with one another, and files beyond the limits."""
    labels, count = manifest.labels, manifest.architecture.label_count
    if len(labels) != count or not _are_names(labels):
        expected = f"a list of {count} different, non-empty strings"
        raise location.mismatch("labels", expected, document["labels"])
    if len(manifest.thresholds) != count:
        expected = f"a list of {count} numbers from 0 to 1, or nulls"
        raise location.mismatch("thresholds", expected, document["thresholds"])
    for names in zip(*((state.input, state.output) for state in manifest.state), strict=True):
        if not _are_names(names):
            expected = "a list of states with different, non-empty names"
            raise location.mismatch("state", expected, document["state"])
    for name, limit in MAX_FILE_BYTES.items():
        size = manifest.files[name].size
        if size > limit:
            file = location.inside("files").inside(name)
            raise file.mismatch("size", f"a whole number from 0 to {limit}", size)


def _are_names(texts: Sequence[str]) -> bool:
    return len(set(texts)) == len(texts) and "" not in texts
