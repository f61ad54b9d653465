"""The manifest of a bundle, ``textgate.json``: what it says, checked field by field."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from typing import Any

from textgate.bundle import strict_json
from textgate.bundle.architecture import Architecture
from textgate.bundle.schema import FieldReader
from textgate.errors import BundleError

MANIFEST = "textgate.json"
GRAPH = "model.onnx"
TOKENIZER = "tokenizer.json"
CARD = "README.md"

FORMAT = "textgate-bundle"
FORMAT_VERSION = 1
PRECISIONS = ("int8", "float32")
MEASURED = ("float32", "exported")

MANIFEST_LIMIT = 2**20  # bytes
FILE_LIMITS = {GRAPH: 256 * 2**20, TOKENIZER: 64 * 2**20, CARD: 4 * 2**20}  # bytes


@dataclass(frozen=True)
class Quality:
    """What a network scored on the verification rows.

    Attributes:
        accuracy: share of rows whose labels were all right, 0 to 1.
        macro_f1: unweighted mean of the labels' F1, 0 to 1.
        ece: expected calibration error, 0 to 1.
        rows: how many rows it was measured on.
    """

    accuracy: float
    macro_f1: float
    ece: float
    rows: int


@dataclass(frozen=True)
class OperatorReport:
    """What quantization did to one operator.

    Attributes:
        name: the operator's name in the network, as in ``lstm_1``.
        kind: its type, as in ``LSTM``.
        stored: how its weights lie in the file, as in ``int8 per row`` or ``float32``.
        computed: what it computes in, ``int8`` or ``float32``.
        bytes_before: size of its weights in float32.
        bytes_after: size of its weights in the file.
    """

    name: str
    kind: str
    stored: str
    computed: str
    bytes_before: int
    bytes_after: int


@dataclass(frozen=True)
class StateTensor:
    """One state that a stream carries from a call to the next.

    Attributes:
        input: the graph input that takes it; also an initializer, so that it may be left out.
        output: the graph output that gives it for the next call.
        shape: its shape, -1 standing for the batch.
    """

    input: str
    output: str
    shape: tuple[int, ...]


@dataclass(frozen=True)
class FileEntry:
    """Checksum and size in bytes of one file of the bundle."""

    sha256: str
    size: int


@dataclass(frozen=True)
class Manifest:
    """Everything a bundle says about itself.

    Attributes:
        architecture: the logical network.
        labels: the labels in the order of the graph's columns; unique.
        max_tokens: texts are cut to this many tokens.
        temperature: what the logits were divided by; it is already inside the graph.
        thresholds: a label's probability below which it is not given, or None; one a label.
        precision: ``int8`` or ``float32``.
        opset: the ONNX operator set of the graph.
        ir_version: the ONNX format version of the graph.
        state: what a stream carries; empty if the network cannot stream.
        quality: scores of the ``float32`` network and of the ``exported`` one, where measured.
        operators: what quantization did, operator by operator.
        latency_ms: latencies measured at export, in milliseconds, and what they were measured at.
        training: where the network comes from; informational.
        versions: versions of the tools that made the bundle.
        files: checksum and size of each other file, by name.
    """

    architecture: Architecture
    labels: tuple[str, ...]
    max_tokens: int
    temperature: float
    thresholds: tuple[float | None, ...]
    precision: str
    opset: int
    ir_version: int
    state: tuple[StateTensor, ...]
    quality: dict[str, Quality]
    operators: tuple[OperatorReport, ...]
    latency_ms: dict[str, float]
    training: dict[str, str | int | float]
    versions: dict[str, str]
    files: dict[str, FileEntry]

    @property
    def task(self) -> str:
        """``single-label`` or ``multi-label``."""
        return self.architecture.task

    @property
    def checksum(self) -> str:
        """That of all its fields, those of the files included: two bundles of one are the same."""
        return _checksum(self._document())

    def to_json(self) -> str:
        """Return the text of ``textgate.json``, checksum included.

        Raises:
            ValueError: a number is not finite.
        """
        document = {**self._document(), "checksum": self.checksum}
        return json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False) + "\n"

    @classmethod
    def parse(cls, text: bytes, *, where: str) -> Manifest:
        """Return the manifest that `to_json` wrote, after checking every field of it.

        Args:
            text: the content of ``textgate.json``.
            where: how messages name the file.

        Raises:
            BundleError: it is not a manifest, is damaged, or is of a version this release does not
                read.
        """
        document = strict_json.parse(text, where=where, error=BundleError, limit=MANIFEST_LIMIT)
        fields = FieldReader(document, where=where, error=BundleError)
        _check_version(fields, where)
        if fields.sha256("checksum") != _checksum(document):
            raise BundleError(f"{where}: damaged or edited: it does not match its own checksum")
        architecture = Architecture.from_json(fields.object("architecture"), error=BundleError)
        fields.text("task", choices=(architecture.task,))
        quality = fields.object("quality")
        latencies = fields.object("latency_ms")
        training = fields.object("training")
        versions = fields.object("versions")
        files = fields.object("files")
        manifest = cls(
            architecture=architecture,
            labels=_labels(fields, architecture.label_count),
            max_tokens=fields.integer("max_tokens", low=1, high=1_000_000),
            temperature=_temperature(fields),
            thresholds=_thresholds(fields, architecture.label_count),
            precision=fields.text("precision", choices=PRECISIONS),
            opset=fields.integer("opset", low=1),
            ir_version=fields.integer("ir_version", low=1),
            state=_state(fields),
            quality={
                name: read_quality(quality.object(name))
                for name in MEASURED
                if name in quality.names()
            },
            operators=tuple(_operator(item) for item in fields.objects("operators")),
            latency_ms={name: latencies.number(name, low=0) for name in latencies.names()},
            training={name: _scalar(training, name) for name in training.names()},
            versions={name: versions.text(name) for name in versions.names()},
            files={name: _file(files.object(name), FILE_LIMITS[name]) for name in FILE_LIMITS},
        )
        for reader in (quality, files, fields):
            reader.finish()
        return manifest

    def _document(self) -> dict[str, Any]:
        """Return the fields of ``textgate.json`` without the checksum."""
        return {
            "format": FORMAT,
            "format_version": FORMAT_VERSION,
            "task": self.task,
            **dataclasses.asdict(self),
        }


def _checksum(document: dict[str, Any]) -> str:
    """Return the checksum of the manifest: of all its fields but ``checksum``."""
    return strict_json.sha256({name: document[name] for name in document if name != "checksum"})


def _check_version(fields: FieldReader, where: str) -> None:
    if fields.raw("format") != FORMAT:
        raise BundleError(f"{where}: field 'format' is not {FORMAT!r}; not a textgate manifest")
    version = fields.integer("format_version")
    if version != FORMAT_VERSION:
        remedy = "upgrade textgate" if version > FORMAT_VERSION else "export the run again"
        raise BundleError(
            f"{where}: format version {version}, but this release reads version {FORMAT_VERSION};"
            f" {remedy}"
        )


def _labels(fields: FieldReader, count: int) -> tuple[str, ...]:
    labels = fields.texts("labels")
    if len(labels) != count or len(set(labels)) != count or "" in labels:
        raise fields.fail("labels", f"a list of {count} different, non-empty strings")
    return labels


def _temperature(fields: FieldReader) -> float:
    temperature = fields.number("temperature", low=0, high=1000)
    if temperature == 0:
        raise fields.fail("temperature", "a number above 0")
    return temperature


def _thresholds(fields: FieldReader, count: int) -> tuple[float | None, ...]:
    values = fields.raw("thresholds")
    if (
        not isinstance(values, list)
        or len(values) != count
        or not all(value is None or _is_share(value) for value in values)
    ):
        raise fields.fail("thresholds", f"a list of {count} numbers from 0 to 1, or nulls")
    return tuple(value if value is None else float(value) for value in values)


def _is_share(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1


def _state(fields: FieldReader) -> tuple[StateTensor, ...]:
    tensors = []
    for item in fields.objects("state"):
        shape = item.integers("shape", low=-1, high=2**24)
        if shape.count(-1) != 1 or 0 in shape:
            raise item.fail("shape", "a list of sizes, one of them -1 for the batch")
        tensors.append(StateTensor(item.text("input"), item.text("output"), shape))
        item.finish()
    for names in ([tensor.input for tensor in tensors], [tensor.output for tensor in tensors]):
        if len(set(names)) != len(names) or "" in names:
            raise fields.fail("state", "a list of states with different, non-empty names")
    return tuple(tensors)


def read_quality(fields: FieldReader) -> Quality:
    """Return what was scored, out of its fields."""
    quality = Quality(
        accuracy=fields.number("accuracy", low=0, high=1),
        macro_f1=fields.number("macro_f1", low=0, high=1),
        ece=fields.number("ece", low=0, high=1),
        rows=fields.integer("rows", low=1),
    )
    fields.finish()
    return quality


def _operator(fields: FieldReader) -> OperatorReport:
    report = OperatorReport(
        name=fields.text("name"),
        kind=fields.text("kind"),
        stored=fields.text("stored"),
        computed=fields.text("computed", choices=PRECISIONS),
        bytes_before=fields.integer("bytes_before"),
        bytes_after=fields.integer("bytes_after"),
    )
    fields.finish()
    return report


def _scalar(fields: FieldReader, name: str) -> str | int | float:
    value = fields.raw(name)
    if isinstance(value, str | int):
        return value
    if isinstance(value, float):
        return fields.number(name)
    raise fields.fail(name, "a string or a number")


def _file(fields: FieldReader, limit: int) -> FileEntry:
    entry = FileEntry(fields.sha256("sha256"), fields.integer("size", high=limit))
    fields.finish()
    return entry
